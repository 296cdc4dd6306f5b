// SPDX-License-Identifier: Apache-2.0
// core/light/edge_snap.cpp, a pixel a thread.
#include "core/cuda/light/device.cuh"
#include "core/light/finishing.h"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kColumns = 32, kRows = 8, kThreads = kColumns * kRows;

__global__ void __launch_bounds__(kThreads)
    snap_kernel(const float* x, const float* from, const Range* ranges, int enough, Geometry g, int reach,
                float* to) {
  const int row = blockIdx.y * kRows + threadIdx.x / kColumns,
            column = blockIdx.x * kColumns + threadIdx.x % kColumns;
  if (row >= g.height || column >= g.width) return;
  const int64_t pixels = g.pixels(), here = int64_t{row} * g.width + column;
  from += blockIdx.z * pixels;
  to += blockIdx.z * pixels;
  const float y = from[here];
  to[here] = y;
  if (!(y > 0) || ranges[blockIdx.z].measured < enough) return;

  const int top = max(row - reach, 0), bottom = min(row + reach, g.height - 1);
  const int left = max(column - reach, 0), right = min(column + reach, g.width - 1);
  float low = y, high = y;
  for (int r = top; r <= bottom; ++r) {
    for (int c = left; c <= right; ++c) {
      const float depth = from[int64_t{r} * g.width + c];
      high = fmaxf(high, depth);
      if (depth > 0) low = fminf(low, depth);
    }
  }
  if (!(high > (1 + light::kSnapEdge) * low)) return;

  const float middle = sqrtf(low * high);
  const float *const red = x + 4 * int64_t{blockIdx.z} * pixels, *const green = red + pixels,
                     *const blue = green + pixels;
  float weight_near = 0, total_near = 0, weight_far = 0, total_far = 0;
  for (int r = top; r <= bottom; ++r) {
    for (int c = left; c <= right; ++c) {
      const int64_t there = int64_t{r} * g.width + c;
      const float depth = from[there];
      if (!(depth > 0)) continue;
      const float dr = red[there] - red[here], dg = green[there] - green[here], db = blue[there] - blue[here];
      const float unlike = 1 + light::kSnapContrast * (dr * dr + dg * dg + db * db);
      const float alike = 1 / (unlike * unlike);
      if (depth >= middle)
        weight_near += alike, total_near += alike * depth;
      else
        weight_far += alike, total_far += alike * depth;
    }
  }
  if (y >= middle) {
    if (weight_far > light::kSnapMajority * weight_near) to[here] = total_far / weight_far;
  } else {
    if (weight_near > light::kSnapMajority * weight_far) to[here] = total_near / weight_near;
  }
}

}  // namespace

void snap(const float* x, const float* from, const Range* ranges, int enough, const Geometry& g, int reach,
          float* to, cudaStream_t stream) {
  const dim3 blocks(blocks_for(g.width, kColumns), blocks_for(g.height, kRows), g.batch);
  launch(snap_kernel, blocks, kThreads, 0, stream, x, from, ranges, enough, g, reach, to);
}

}  // namespace rgbd::cuda::light_kernels
