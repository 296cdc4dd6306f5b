// SPDX-License-Identifier: Apache-2.0
// What stands between the convolutions, eight channels a thread. Fewer than 2^32 of these groups: 64 GB in
// half types.
#include "core/cuda/light/device.cuh"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_kernel(T* y, const float* bias, const T* other, unsigned groups, int channels, bool relu) {
  const unsigned group = blockIdx.x * kThreads + threadIdx.x;
  if (group >= groups) return;
  const int64_t at = int64_t{8} * group;
  float values[8], biases[8], others[8] = {};
  load(y + at, values);
  load(bias + 8 * (group % (channels / 8u)), biases);
  if (other) load(other + at, others);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    values[i] += biases[i] + others[i];
    if (relu) values[i] = fmaxf(values[i], 0.0f);
  }
  store(values, y + at);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    enlarge_add_kernel(const T* x, T* skip, int height, int width, int channels, unsigned groups) {
  const unsigned group = blockIdx.x * kThreads + threadIdx.x;
  if (group >= groups) return;
  skip += int64_t{8} * group;
  const unsigned pixel = group / (channels / 8u), full_row = pixel / (2u * width);
  const int channel = 8 * (group % (channels / 8u));
  const int column = pixel % (2u * width), row = full_row % (2u * height), frame = full_row / (2u * height);
  x += int64_t{frame} * height * width * channels + channel;
  const Taps across = taps(column, 1, width), down = taps(row, 1, height);
  float sum[8];
  load(skip, sum);
  auto add = [&](int from_row, int from_column, float weight) {
    float values[8];
    load(x + (int64_t{from_row} * width + from_column) * channels, values);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum[i] += weight * values[i];
  };
  add(down.low, across.low, (1 - down.weight) * (1 - across.weight));
  add(down.low, across.high, (1 - down.weight) * across.weight);
  add(down.high, across.low, down.weight * (1 - across.weight));
  add(down.high, across.high, down.weight * across.weight);
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] = fmaxf(sum[i], 0.0f);
  store(sum, skip);
}

}  // namespace

void finish(void* y, const float* bias, const void* other, int64_t pixels, int channels, bool relu,
            NumberType type, cudaStream_t stream) {
  const auto groups = static_cast<unsigned>(pixels * channels / 8);
  for_type(type, [&](auto zero) {
    using T = decltype(zero);
    launch(finish_kernel<T>, dim3(blocks_for(groups, kThreads)), kThreads, 0, stream, static_cast<T*>(y),
           bias, static_cast<const T*>(other), groups, channels, relu);
  });
}

void enlarge_add(const void* x, void* skip, int batch, int height, int width, int channels, NumberType type,
                 cudaStream_t stream) {
  const auto groups = static_cast<unsigned>(int64_t{batch} * 4 * height * width * channels / 8);
  for_type(type, [&](auto zero) {
    using T = decltype(zero);
    launch(enlarge_add_kernel<T>, dim3(blocks_for(groups, kThreads)), kThreads, 0, stream,
           static_cast<const T*>(x), static_cast<T*>(skip), height, width, channels, groups);
  });
}

}  // namespace rgbd::cuda::light_kernels
