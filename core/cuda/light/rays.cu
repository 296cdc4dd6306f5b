// SPDX-License-Identifier: Apache-2.0
// The borders of holes (core/light/rays.h). A block follows a row, or some columns side by side, both ways at
// once: every thread looks through a segment, what the segments end with is handed on in shared memory, and
// every thread goes through its segment again, knowing what comes before it.
#include "core/cuda/light/device.cuh"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kColumns = 8;  // of a block: 32 bytes, which memory moves at once

__global__ void __launch_bounds__(kThreads) rays_kernel(const float* q, Geometry g, float* rays) {
  __shared__ float last[kThreads], first[kThreads];  // measured depth of a segment and what lies before or
                                                     // behind it, 0 = none
  const bool row = static_cast<int>(blockIdx.x) < g.rows;
  const int across = row ? 1 : kColumns, segments = kThreads / across;
  const int t = threadIdx.x, segment = t / across;
  const int column = row ? 0 : (static_cast<int>(blockIdx.x) - g.rows) * kColumns + t % across;
  const int64_t start = row ? int64_t{blockIdx.x} * g.columns : column, step = row ? 1 : g.columns;
  const int count = row ? g.columns : column < g.columns ? g.rows : 0;
  const int each = (count + segments - 1) / segments;
  const int begin = min(segment * each, count), end = min(begin + each, count);
  q += blockIdx.z * g.cells() + start;
  float* const forward = rays + (int64_t{blockIdx.z} * kRays + (row ? 0 : 2)) * g.cells() + start;
  float* const backward = forward + g.cells();

  float from_start = 0, from_end = 0;
  for (int i = begin; i < end; ++i) {
    const float depth = q[i * step];
    if (!(depth > 0)) continue;
    from_start = depth;
    if (from_end == 0) from_end = depth;
  }
  last[t] = from_start, first[t] = from_end;
  for (int away = 1; away < segments; away *= 2) {
    __syncthreads();
    const float before = segment >= away ? last[t - away * across] : 0.0f;
    const float behind = segment + away < segments ? first[t + away * across] : 0.0f;
    __syncthreads();
    if (last[t] == 0) last[t] = before;
    if (first[t] == 0) first[t] = behind;
  }
  __syncthreads();
  from_start = segment > 0 ? last[t - across] : 0.0f;
  from_end = segment + 1 < segments ? first[t + across] : 0.0f;
  for (int i = begin; i < end; ++i) {
    const float depth = q[i * step];
    forward[i * step] = from_start = depth > 0 ? depth : from_start;
  }
  for (int i = end - 1; i >= begin; --i) {
    const float depth = q[i * step];
    backward[i * step] = from_end = depth > 0 ? depth : from_end;
  }
}

}  // namespace

void find_rays(const float* q, const Geometry& g, float* rays, cudaStream_t stream) {
  const dim3 blocks(g.rows + blocks_for(g.columns, kColumns), 1, g.batch);
  launch(rays_kernel, blocks, kThreads, 0, stream, q, g, rays);
}

}  // namespace rgbd::cuda::light_kernels
