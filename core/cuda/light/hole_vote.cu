// SPDX-License-Identifier: Apache-2.0
// The vote on holes of core/light/hole_vote.cpp, a pixel a thread.
#include <utility>

#include "core/cuda/light/device.cuh"
#include "core/light/finishing.h"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kThreads = 256;

__global__ void halve_kernel(const float* x, Geometry whole, Geometry half, float* out) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= half.pixels()) return;
  const int row = static_cast<int>(i / half.width), column = static_cast<int>(i % half.width);
  const int64_t pixels = whole.pixels();
  x += 4 * blockIdx.y * pixels;
  out += 4 * blockIdx.y * half.pixels() + i;
  const int64_t above = int64_t{2 * row} * whole.width,
                below = int64_t{min(2 * row + 1, whole.height - 1)} * whole.width;
  const int left = 2 * column, right = min(2 * column + 1, whole.width - 1);
  const int64_t four[] = {above + left, above + right, below + left, below + right};
  for (int c = 0; c < 4; ++c) {
    float sum = 0;
    int count = 0;
    for (const int64_t pixel : four) {
      const float value = x[c * pixels + pixel];
      sum += value;
      count += c < 3 || value > 0;
    }
    out[c * half.pixels()] = sum / static_cast<float>(max(count, 1));
  }
}

/// What measured pixels became; 0 in holes.
__global__ void begin_kernel(const float* x, const float* y, Geometry g, float* fill) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= g.pixels()) return;
  const int64_t at = blockIdx.y * g.pixels() + i;
  fill[at] = x[(4 * int64_t{blockIdx.y} + 3) * g.pixels() + i] > 0 ? y[at] : 0.0f;
}

__global__ void spread_kernel(const float* x, const float* from, Geometry g, int step, float* to) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x, pixels = g.pixels();
  if (i >= pixels) return;
  from += blockIdx.y * pixels;
  to += blockIdx.y * pixels;
  if (from[i] > 0) {
    to[i] = from[i];
    return;
  }
  const float *const red = x + 4 * blockIdx.y * pixels, *const green = red + pixels,
                     *const blue = green + pixels;
  const int row = static_cast<int>(i / g.width), column = static_cast<int>(i % g.width);
  float total = 0, weight = 0;
  for (int dy = -1; dy <= 1; ++dy) {
    const int other_row = row + dy * step;
    if (other_row < 0 || other_row >= g.height) continue;
    for (int dx = -1; dx <= 1; ++dx) {
      const int other_column = column + dx * step;
      if (other_column < 0 || other_column >= g.width) continue;
      const int64_t other = int64_t{other_row} * g.width + other_column;
      const float depth = from[other];
      if (!(depth > 0)) continue;
      const float r = red[other] - red[i], gr = green[other] - green[i], b = blue[other] - blue[i];
      const float unlike = 1 + light::kVoteContrast * (r * r + gr * gr + b * b);
      const float alike = (dy == 0 || dx == 0 ? light::kVoteBeside : 1.0f) / (unlike * unlike);
      total += alike * depth;
      weight += alike;
    }
  }
  to[i] = weight > light::kVoteLeast ? total / weight : 0.0f;
}

__global__ void vote_kernel(const float* x, const float* half, const float* coarse, const float* fill,
                            Geometry g, Geometry half_g, int far, float* y) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x, pixels = g.pixels();
  if (i >= pixels) return;
  if (x[(4 * int64_t{blockIdx.y} + 3) * pixels + i] > 0) return;
  const int row = static_cast<int>(i / g.width) / 2, column = static_cast<int>(i % g.width) / 2;
  const float wide = coarse[blockIdx.y * half_g.pixels() + int64_t{row} * half_g.width + column];
  y += blockIdx.y * pixels + i;
  if (!(*y > 0) || !(wide > 0)) return;
  const float* const measured = half + (4 * int64_t{blockIdx.y} + 3) * half_g.pixels();
  bool near = false;
  for (int r = max(row - far, 0); r <= min(row + far, half_g.height - 1) && !near; ++r)
    for (int c = max(column - far, 0); c <= min(column + far, half_g.width - 1) && !near; ++c)
      near = measured[int64_t{r} * half_g.width + c] > 0;
  const float found = fill[blockIdx.y * pixels + i], guided = found > 0 ? found : near ? *y : wide;
  const float slack = near ? 1.0f : 1 + light::kFarSlack;
  *y = fminf(fmaxf(wide, fminf(*y, guided) / slack), fmaxf(*y, guided) * slack);
}

}  // namespace

void halve(const float* x, const Geometry& whole, const Geometry& half, float* out, cudaStream_t stream) {
  launch(halve_kernel, dim3(blocks_for(half.pixels(), kThreads), half.batch), kThreads, 0, stream, x, whole,
         half, out);
}

void vote(const float* x, const float* half, const float* coarse, const Geometry& g, const Geometry& half_g,
          int far, float* scratch, float* y, cudaStream_t stream) {
  const dim3 blocks(blocks_for(g.pixels(), kThreads), g.batch);
  float *from = scratch, *to = scratch + g.batch * g.pixels();
  launch(begin_kernel, blocks, kThreads, 0, stream, x, y, g, from);
  for (const int step : light::kVoteSteps) {
    launch(spread_kernel, blocks, kThreads, 0, stream, x, from, g, step, to);
    std::swap(from, to);
  }
  launch(vote_kernel, blocks, kThreads, 0, stream, x, half, coarse, from, g, half_g, far, y);
}

}  // namespace rgbd::cuda::light_kernels
