// SPDX-License-Identifier: Apache-2.0
// See map_kernels.h. A thread to eight channels of a pixel: 16 bytes of a half type, neighbours side by side.
#include "core/cuda/cdm/map_kernels.h"

#include <type_traits>

#include "core/cuda/element.cuh"

namespace rgbd::cuda {
namespace {

constexpr int kThreads = 256;

int blocks_for(int64_t threads) {
  return static_cast<int>((threads + kThreads - 1) / kThreads);
}

__device__ int64_t thread_of_grid() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

template <Element E>
__global__ void spread_kernel(const typename Plain<E>::type* x, typename Plain<E>::type* out, int64_t pixels,
                              int height, int width, int factor, int channels) {
  const int groups = channels / 8;
  const int64_t i = thread_of_grid();
  if (i >= pixels * groups) return;  // of the output
  const int column = static_cast<int>(i % groups) * 8;
  const int64_t pixel = i / groups;
  const int across = width * factor;
  const int px = static_cast<int>(pixel % across);
  const int64_t line = pixel / across;  // of [batch, factor * height]
  const int y = static_cast<int>(line % (height * factor));
  const int64_t frame = line / (height * factor);
  const int64_t source = (frame * height + y / factor) * width + px / factor;
  float v[8];
  load8(x + ((source * factor + y % factor) * factor + px % factor) * channels + column, v);
  store8(out + pixel * channels + column, v);
}

// Where a pixel lies in a smaller map whose corners are aligned, in torch's arithmetic.
struct Tap {
  int first, second;
  float share;  // of the second
};
__device__ Tap tap_at(int i, float scale, int size) {
  const float at = scale * static_cast<float>(i);
  const int first = static_cast<int>(at);
  return {first, first + (first < size - 1 ? 1 : 0), at - static_cast<float>(first)};
}

template <Element E>
__global__ void combine_kernel(Combination c, float scale_y, float scale_x) {
  using T = typename Plain<E>::type;
  const int channels = static_cast<int>(c.channels), groups = channels / 8;
  const int64_t i = thread_of_grid();
  if (i >= c.batch * c.height * c.width * groups) return;
  const int column = static_cast<int>(i % groups) * 8;
  const int64_t pixel = i / groups;
  float v[8] = {};
  if (c.small) {
    const int px = static_cast<int>(pixel % c.width), py = static_cast<int>(pixel / c.width % c.height);
    const int64_t frame = pixel / (c.width * c.height);
    const Tap y = tap_at(py, scale_y, static_cast<int>(c.small_height));
    const Tap x = tap_at(px, scale_x, static_cast<int>(c.small_width));
    const T* map =
        static_cast<const T*>(c.small) + frame * c.small_height * c.small_width * channels + column;
    auto at = [&](int row, int col) {
      return map + (static_cast<int64_t>(row) * c.small_width + col) * channels;
    };
    float a[8], b[8], d[8], e[8];
    load8(at(y.first, x.first), a);
    load8(at(y.first, x.second), b);
    load8(at(y.second, x.first), d);
    load8(at(y.second, x.second), e);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      v[k] = (1 - y.share) * ((1 - x.share) * a[k] + x.share * b[k]) +
             y.share * ((1 - x.share) * d[k] + x.share * e[k]);
    }
  }
  auto add = [&](const auto* from) {
    float w[8];
    load8(from, w);
#pragma unroll
    for (int k = 0; k < 8; ++k) v[k] += w[k];
  };
  const int64_t at = pixel * channels + column;
  if (c.map) add(static_cast<const T*>(c.map) + at);
  if (c.skip) add(static_cast<const T*>(c.skip) + at);
  if (c.bias) add(c.bias + column);
  if (c.sum) store8(static_cast<T*>(c.sum) + at, v);
  if (c.operand) put8<E>(static_cast<T*>(c.operand) + pixel * channels * kWidth<E>, channels, column, v);
  if (!c.bent) return;
#pragma unroll
  for (int k = 0; k < 8; ++k) v[k] = fmaxf(v[k], 0.0f);
  store8(static_cast<T*>(c.bent) + at, v);
}

template <Element E>
__global__ void finish_kernel(const typename Plain<E>::type* x, const float* bias, const float* weight,
                              const float* last_bias, float* y, int64_t pixels, int channels) {
  const int64_t i = thread_of_grid();
  if (i >= pixels) return;
  float sum = *last_bias;
  for (int column = 0; column < channels; column += 8) {
    float v[8], b[8], w[8];
    load8(x + i * channels + column, v);
    load8(bias + column, b);
    load8(weight + column, w);
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += w[k] * fmaxf(v[k] + b[k], 0.0f);
  }
  y[i] = fmaxf(sum, 0.0f);
}

}  // namespace

void spread(const void* x, void* out, Element element, int64_t batch, int64_t height, int64_t width,
            int64_t factor, int64_t channels, cudaStream_t stream) {
  const int64_t pixels = batch * height * width * factor * factor;
  with_element(element, [&](auto e) {
    using T = typename Plain<e()>::type;
    spread_kernel<e()><<<blocks_for(pixels * channels / 8), kThreads, 0, stream>>>(
        static_cast<const T*>(x), static_cast<T*>(out), pixels, static_cast<int>(height),
        static_cast<int>(width), static_cast<int>(factor), static_cast<int>(channels));
  });
}

void combine(const Combination& c, Element element, cudaStream_t stream) {
  auto scale = [](int64_t small, int64_t large) {
    return large > 1 ? static_cast<float>(small - 1) / static_cast<float>(large - 1) : 0.0f;
  };
  with_element(element, [&](auto e) {
    combine_kernel<e()><<<blocks_for(c.batch * c.height * c.width * c.channels / 8), kThreads, 0, stream>>>(
        c, scale(c.small_height, c.height), scale(c.small_width, c.width));
  });
}

void finish(const void* x, const float* bias, const float* weight, const float* last_bias, float* y,
            Element element, int64_t pixels, int64_t channels, cudaStream_t stream) {
  with_element(element, [&](auto e) {
    finish_kernel<e()><<<blocks_for(pixels), kThreads, 0, stream>>>(
        static_cast<const typename Plain<e()>::type*>(x), bias, weight, last_bias, y, pixels,
        static_cast<int>(channels));
  });
}

}  // namespace rgbd::cuda
