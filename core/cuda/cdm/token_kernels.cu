// SPDX-License-Identifier: Apache-2.0
// See token_kernels.h. A warp to a token: its numbers stay in registers, and nothing is read twice.
#include "core/cuda/cdm/token_kernels.h"

#include <type_traits>

#include "core/cuda/element.cuh"

namespace rgbd::cuda {
namespace {

constexpr int kWarps = 4;  // of a block
constexpr float kEps = 1e-6f;
constexpr int kPatch = 14;

int blocks_for(int64_t threads, int per_block) {
  return static_cast<int>((threads + per_block - 1) / per_block);
}

__device__ float sum_of_warp(float v) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) v += __shfl_xor_sync(0xffffffffu, v, distance);
  return v;
}

// A row over the lanes of a warp, eight numbers at a time; N groups of 256 numbers.
template <int N>
struct Row {
  float v[N][8];
  int64_t channels;

  __device__ bool has(int i) const { return column(i) < channels; }
  __device__ static int64_t column(int i) { return i * 256 + 8 * (threadIdx.x % 32); }

  template <typename T>
  __device__ void load(const T* row) {
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (has(i)) load8(row + column(i), v[i]);
  }
  __device__ void normalise() {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (has(i))
#pragma unroll
        for (int k = 0; k < 8; ++k) sum += v[i][k];
    const float mean = sum_of_warp(sum) / static_cast<float>(channels);
    sum = 0;
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (has(i))
#pragma unroll
        for (int k = 0; k < 8; ++k) v[i][k] -= mean, sum += v[i][k] * v[i][k];
    const float scale = rsqrtf(sum_of_warp(sum) / static_cast<float>(channels) + kEps);
#pragma unroll
    for (int i = 0; i < N; ++i)
#pragma unroll
      for (int k = 0; k < 8; ++k) v[i][k] *= scale;
  }
  __device__ void gain(const float* gain, const float* offset) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      if (!has(i)) continue;
      float g[8], o[8];
      load8(gain + column(i), g), load8(offset + column(i), o);
#pragma unroll
      for (int k = 0; k < 8; ++k) v[i][k] = v[i][k] * g[k] + o[k];
    }
  }
  template <Element E>
  __device__ void put(typename Plain<E>::type* segment) const {
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (has(i)) put8<E>(segment, channels, column(i), v[i]);
  }
};

// The N that takes `channels`.
template <typename Run>
void with_groups(int64_t channels, Run run) {
  if (channels <= 256) return run(std::integral_constant<int, 1>());
  if (channels <= 512) return run(std::integral_constant<int, 2>());
  if (channels <= 768) return run(std::integral_constant<int, 3>());
  if (channels <= 1024) return run(std::integral_constant<int, 4>());
  return run(std::integral_constant<int, 6>());
}
static_assert(kMostChannels == 6 * 256);

__device__ int64_t warp_of_grid() {
  return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
}

__device__ int64_t thread_of_grid() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

template <Element E>
__global__ void patches_kernel(const float* x, typename Plain<E>::type* out, int64_t batch, int height,
                               int width, int columns) {
  const int across = width / kPatch, patches = (height / kPatch) * across;
  const int groups = columns / 8;
  const int64_t i = thread_of_grid();
  if (i >= 2 * batch * patches * groups) return;
  const int column = static_cast<int>(i % groups) * 8;
  const int64_t row = i / groups;  // of [2, batch, patches]
  const int patch = static_cast<int>(row % patches);
  const int64_t frame = row / patches % batch;
  const bool depth = row >= batch * patches;
  const int numbers = (depth ? 1 : 3) * kPatch * kPatch;
  float v[8];
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const int n = column + k, channel = n / (kPatch * kPatch), at = n % (kPatch * kPatch);
    const int y = patch / across * kPatch + at / kPatch, px = patch % across * kPatch + at % kPatch;
    v[k] = n < numbers ? x[((frame * 4 + (depth ? 3 : channel)) * height + y) * width + px] : 0.0f;
  }
  put8<E>(out + row * columns * kWidth<E>, columns, column, v);
}

template <Element E, int N>
__global__ void normalise_kernel(const float* x, typename Plain<E>::type* out, int64_t rows,
                                 int64_t channels) {
  const int64_t r = warp_of_grid();
  if (r >= rows) return;
  Row<N> row{{}, channels};
  row.load(x + r * channels);
  row.normalise();
  row.template put<E>(out + r * channels * kWidth<E>);
}

template <Element E>
__global__ void gelu_kernel(const float* x, typename Plain<E>::type* out, int64_t rows, int64_t channels) {
  const int64_t i = thread_of_grid() * 8;
  if (i >= rows * channels) return;
  float v[8];
  load8(x + i, v);
#pragma unroll
  for (int k = 0; k < 8; ++k) v[k] = 0.5f * v[k] * (1.0f + erff(v[k] * 0.70710678118654752f));
  put8<E>(out + i / channels * channels * kWidth<E>, channels, i % channels, v);
}

template <Element E>
__global__ void swiglu_kernel(const typename Plain<E>::type* x, typename Plain<E>::type* out, int64_t rows,
                              int64_t channels) {
  const int64_t i = thread_of_grid() * 8;
  if (i >= rows * channels) return;
  const int64_t row = i / channels, column = i % channels;
  float a[8], b[8];
  load8(x + row * 2 * channels + column, a);
  load8(x + row * 2 * channels + channels + column, b);
#pragma unroll
  for (int k = 0; k < 8; ++k) a[k] = a[k] / (1.0f + expf(-a[k])) * b[k];
  put8<E>(out + row * channels * kWidth<E>, channels, column, a);
}

__global__ void split_kernel(const float* x, float* out, int64_t rows, int64_t channels) {
  const int64_t i = thread_of_grid() * 8;
  if (i >= rows * channels) return;
  float v[8];
  load8(x + i, v);
  put8<Element::kTf32x3>(out + i / channels * channels * 3, channels, i % channels, v);
}

template <Element E, int N>
__global__ void tap_kernel(const float* tokens, const float* gain, const float* offset,
                           typename Plain<E>::type* joined, typename Plain<E>::type* difference,
                           int64_t batch, int64_t patches, int64_t channels) {
  const int64_t p = warp_of_grid();  // of [batch, patches]
  if (p >= batch * patches) return;
  const int64_t token = p / patches * (patches + 1) + 1 + p % patches;
  Row<N> rgb{{}, channels}, depth{{}, channels};
  rgb.load(tokens + token * channels);
  depth.load(tokens + (batch * (patches + 1) + token) * channels);
  rgb.normalise();
  depth.normalise();
  rgb.gain(gain, offset);
  depth.gain(gain + channels, offset + channels);
  const int64_t segment = channels * kWidth<E>;
  rgb.template put<E>(joined + 3 * p * segment);
  depth.template put<E>(joined + (3 * p + 1) * segment);
#pragma unroll
  for (int i = 0; i < N; ++i)
#pragma unroll
    for (int k = 0; k < 8; ++k) rgb.v[i][k] -= depth.v[i][k];
  rgb.template put<E>(difference + p * segment);
}

__device__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// A warp to a token and head.
template <Element E>
__global__ void weigh_kernel(const typename Plain<E>::type* queries,
                             const typename Plain<E>::type* keys_values, typename Plain<E>::type* joined,
                             int64_t rows, int64_t channels, int heads) {
  const int64_t w = warp_of_grid();
  if (w >= rows * heads) return;
  const int64_t row = w / heads, size = channels / heads, first = w % heads * size;
  float of_rgb = 0, of_depth = 0;
  for (int64_t c = 8 * (threadIdx.x % 32); c < size; c += 256) {
    float key[8], q[8];
    load8(keys_values + row * 2 * channels + first + c, key);
    load8(queries + row * channels + first + c, q);
#pragma unroll
    for (int k = 0; k < 8; ++k) of_rgb += q[k] * key[k];
    load8(queries + (rows + row) * channels + first + c, q);
#pragma unroll
    for (int k = 0; k < 8; ++k) of_depth += q[k] * key[k];
  }
  const float weight = sigmoid(sum_of_warp(of_rgb)) + sigmoid(sum_of_warp(of_depth));
  for (int64_t c = 8 * (threadIdx.x % 32); c < size; c += 256) {
    float value[8];
    load8(keys_values + row * 2 * channels + channels + first + c, value);
#pragma unroll
    for (int k = 0; k < 8; ++k) value[k] *= weight;
    put8<E>(joined + (3 * row + 2) * channels * kWidth<E>, channels, first + c, value);
  }
}

}  // namespace

void patches(const float* x, void* out, Element element, int64_t batch, int64_t height, int64_t width,
             int64_t columns, cudaStream_t stream) {
  const int64_t threads = 2 * batch * (height / kPatch) * (width / kPatch) * (columns / 8);
  with_element(element, [&](auto e) {
    patches_kernel<e()><<<blocks_for(threads, 256), 256, 0, stream>>>(
        x, static_cast<typename Plain<e()>::type*>(out), batch, static_cast<int>(height),
        static_cast<int>(width), static_cast<int>(columns));
  });
}

void normalise(const float* x, void* out, Element element, int64_t rows, int64_t channels,
               cudaStream_t stream) {
  with_element(element, [&](auto e) {
    with_groups(channels, [&](auto n) {
      normalise_kernel<e(), n()><<<blocks_for(rows, kWarps), 32 * kWarps, 0, stream>>>(
          x, static_cast<typename Plain<e()>::type*>(out), rows, channels);
    });
  });
}

void gelu(const float* x, void* out, Element element, int64_t rows, int64_t channels, cudaStream_t stream) {
  with_element(element, [&](auto e) {
    gelu_kernel<e()><<<blocks_for(rows * channels / 8, 256), 256, 0, stream>>>(
        x, static_cast<typename Plain<e()>::type*>(out), rows, channels);
  });
}

void swiglu(const void* x, void* out, Element element, int64_t rows, int64_t channels, cudaStream_t stream) {
  with_element(element, [&](auto e) {
    using T = typename Plain<e()>::type;
    swiglu_kernel<e()><<<blocks_for(rows * channels / 8, 256), 256, 0, stream>>>(
        static_cast<const T*>(x), static_cast<T*>(out), rows, channels);
  });
}

void split(const float* x, void* out, int64_t rows, int64_t channels, cudaStream_t stream) {
  split_kernel<<<blocks_for(rows * channels / 8, 256), 256, 0, stream>>>(x, static_cast<float*>(out), rows,
                                                                         channels);
}

void tap(const float* tokens, const float* gain, const float* offset, void* joined, void* difference,
         Element element, int64_t batch, int64_t patches, int64_t channels, cudaStream_t stream) {
  with_element(element, [&](auto e) {
    with_groups(channels, [&](auto n) {
      using T = typename Plain<e()>::type;
      tap_kernel<e(), n()><<<blocks_for(batch * patches, kWarps), 32 * kWarps, 0, stream>>>(
          tokens, gain, offset, static_cast<T*>(joined), static_cast<T*>(difference), batch, patches,
          channels);
    });
  });
}

void weigh(const void* queries, const void* keys_values, void* joined, Element element, int64_t rows,
           int64_t channels, int heads, cudaStream_t stream) {
  with_element(element, [&](auto e) {
    using T = typename Plain<e()>::type;
    weigh_kernel<e()><<<blocks_for(rows * heads, kWarps), 32 * kWarps, 0, stream>>>(
        static_cast<const T*>(queries), static_cast<const T*>(keys_values), static_cast<T*>(joined), rows,
        channels, heads);
  });
}

}  // namespace rgbd::cuda
