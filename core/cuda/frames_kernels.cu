// SPDX-License-Identifier: Apache-2.0
// See frames_kernels.h. Compiled with -fmad=false: the CPU has no fused multiply-adds there either.
#include <cmath>

#include "core/cuda/frames_kernels.h"

namespace rgbd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTileWidth = 32, kTileHeight = kThreads / kTileWidth;

// One thread per pixel of x, from the bytes of the frame to the network's numbers: no picture in between is
// written and read again. Neighbours share most of the 16 colour pixels that each one reads, so they come
// from the caches.
__global__ void __launch_bounds__(kThreads) preprocess(const Preprocess work) {
  __shared__ double share[256];  // a division each, once per block instead of 48 times per pixel
  const int thread = threadIdx.y * kTileWidth + threadIdx.x;
  static_assert(kThreads == 256, "a thread per byte");
  share[thread] = thread / 255.0;
  __syncthreads();
  const int x = blockIdx.x * kTileWidth + threadIdx.x, y = blockIdx.y * kTileHeight + threadIdx.y;
  if (x < work.width && y < work.height) prepare_pixel(work, x, y, share);
}

__device__ void join(Range& range, const Range& other) {
  if (other.min < range.min) range.min = other.min;
  if (other.max > range.max) range.max = other.max;
}

// One block per output row, so that each row's range needs no atomics and no clearing beforehand.
__global__ void __launch_bounds__(kThreads) postprocess(const Postprocess work) {
  constexpr int kWarp = 32;
  const int y = blockIdx.x;
  Range range{INFINITY, -INFINITY};  // of nothing
  for (int x = threadIdx.x; x < work.width; x += kThreads) extend(range, finish_pixel(work, x, y));
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    join(range,
         {__shfl_down_sync(0xffffffffu, range.min, lanes), __shfl_down_sync(0xffffffffu, range.max, lanes)});
  }
  __shared__ Range warps[kThreads / kWarp];
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = range;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (const Range& warp : warps) join(range, warp);
  work.ranges[y] = range;
}

}  // namespace

cudaError_t launch(const Preprocess& work, cudaStream_t stream) {
  const dim3 tiles((work.width + kTileWidth - 1) / kTileWidth, (work.height + kTileHeight - 1) / kTileHeight);
  preprocess<<<tiles, dim3(kTileWidth, kTileHeight), 0, stream>>>(work);
  return cudaGetLastError();
}

cudaError_t launch(const Postprocess& work, cudaStream_t stream) {
  postprocess<<<work.height, kThreads, 0, stream>>>(work);
  return cudaGetLastError();
}

}  // namespace rgbd::cuda
