// SPDX-License-Identifier: Apache-2.0
// core/light/denoise.cpp, a pixel a thread.
#include "core/cuda/light/device.cuh"
#include "core/light/finishing.h"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 8 * kThreads;  // that a block adds up
constexpr float kUnit = 0x1p32f;       // of sums: whole numbers, whose order does not matter

/// Zeros to begin with.
struct Noise {
  unsigned long long moved;  // in 1/kUnit
  unsigned long long measured;
};

__global__ void noise_kernel(const float* x, const float* y, Geometry g, Noise* noise) {
  __shared__ Noise sums;
  if (threadIdx.x == 0) sums = {0, 0};
  __syncthreads();
  const int64_t pixels = g.pixels(), begin = int64_t{blockIdx.x} * kPixels;
  const float* const measured = x + (4 * int64_t{blockIdx.y} + 3) * pixels;
  y += blockIdx.y * pixels;
  Noise mine{0, 0};
  for (int i = threadIdx.x; i < kPixels && begin + i < pixels; i += kThreads) {
    const float depth = measured[begin + i];
    if (!(depth > 0)) continue;
    const float moved = fminf(fabsf(depth / y[begin + i] - 1), light::kMostNoise);
    mine.moved += static_cast<unsigned long long>(moved * kUnit);
    mine.measured += 1;
  }
  if (mine.measured) {
    atomicAdd(&sums.moved, mine.moved);
    atomicAdd(&sums.measured, mine.measured);
  }
  __syncthreads();
  if (threadIdx.x == 0 && sums.measured) {
    atomicAdd(&noise[blockIdx.y].moved, sums.moved);
    atomicAdd(&noise[blockIdx.y].measured, sums.measured);
  }
}

/// Averages with the pixels `step` before and behind in the row, or in the column.
__global__ void average_kernel(const float* from, const Noise* noise, Geometry g, float strength, int step,
                               bool rows, float* to) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x, pixels = g.pixels();
  if (i >= pixels) return;
  from += blockIdx.y * pixels;
  const Noise sums = noise[blockIdx.y];
  const unsigned long long count = sums.measured > 0 ? sums.measured : 1;
  const float tolerance = strength * (static_cast<float>(sums.moved) / (kUnit * static_cast<float>(count)));
  const float y = from[i], scale = 1 / (tolerance * y);
  const int at = static_cast<int>(rows ? i % g.width : i / g.width), end = rows ? g.width : g.height;
  const int64_t stride = rows ? step : int64_t{step} * g.width;
  float total = 2 * y, weight = 2;
  auto add = [&](float other) {
    const float away = (other - y) * scale;
    const float alike = 1 - away * away;
    if (!(alike > 0)) return;  // nor where both are 0
    total += alike * alike * other;
    weight += alike * alike;
  };
  if (at >= step) add(from[i - stride]);
  if (at + step < end) add(from[i + stride]);
  to[blockIdx.y * pixels + i] = total / weight;
}

}  // namespace

size_t denoise_scratch_bytes(const Geometry& g) {
  return g.batch * (sizeof(Noise) + sizeof(float) * g.pixels());
}

void denoise(const float* x, const Geometry& g, float strength, void* scratch, float* y,
             cudaStream_t stream) {
  auto* const noise = static_cast<Noise*>(scratch);
  auto* const other = reinterpret_cast<float*>(noise + g.batch);
  cudaMemsetAsync(noise, 0, g.batch * sizeof(Noise), stream);
  launch(noise_kernel, dim3(blocks_for(g.pixels(), kPixels), g.batch), kThreads, 0, stream, x, y, g, noise);
  const dim3 blocks(blocks_for(g.pixels(), kThreads), g.batch);
  for (const int step : light::kDenoiseSteps) {
    launch(average_kernel, blocks, kThreads, 0, stream, y, noise, g, strength, step, true, other);
    launch(average_kernel, blocks, kThreads, 0, stream, other, noise, g, strength, step, false, y);
  }
}

}  // namespace rgbd::cuda::light_kernels
