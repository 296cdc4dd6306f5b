// SPDX-License-Identifier: Apache-2.0
// What the light network's kernels are written in beside CUDA C++: launching, vectors of eight channels, the
// tensor cores. Kernels use nothing else of the hardware, so that a test can run them on the CPU: the last
// part of this file is then tests/support/emulated/cuda.h's.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "core/cuda/light/kernels.h"

namespace rgbd::cuda::light_kernels {

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

/// kCount neighbouring channels, moved as one (float: as two).
template <class T, int kCount>
struct alignas(kCount * sizeof(T) > 16 ? 16 : kCount * sizeof(T)) Channels {
  T values[kCount];
};
template <class T, int kCount>
__device__ inline void load(const T* from, float (&to)[kCount]) {
  const auto all = *reinterpret_cast<const Channels<T, kCount>*>(from);
#pragma unroll
  for (int i = 0; i < kCount; ++i) to[i] = to_float(all.values[i]);
}
template <class T, int kCount>
__device__ inline void store(const float (&from)[kCount], T* to) {
  Channels<T, kCount> all;
#pragma unroll
  for (int i = 0; i < kCount; ++i) all.values[i] = from_float<T>(from[i]);
  *reinterpret_cast<Channels<T, kCount>*>(to) = all;
}

__device__ inline int clamped(int i, int count) {
  return min(max(i, 0), count - 1);
}

/// Linear interpolation between cells: `high`'s weight, and `low`'s is the rest.
struct Taps {
  int low, high;
  float weight;
};
/// Where pixel i lies among `count` cells of 2^level pixels, as at::upsample_bilinear2d sees it (corners not
/// aligned). Exact.
__device__ inline Taps taps(int i, int level, int count) {
  const float cell = fmaxf((static_cast<float>(i) + 0.5f) / static_cast<float>(1 << level) - 0.5f, 0.0f);
  const int low = static_cast<int>(cell);
  return {low, min(low + 1, count - 1), cell - static_cast<float>(low)};
}
template <class At>
__device__ inline float between(const Taps& y, const Taps& x, const At& at) {
  const float left = 1 - x.weight, above = 1 - y.weight;
  return above * (left * at(y.low, x.low) + x.weight * at(y.low, x.high)) +
         y.weight * (left * at(y.high, x.low) + x.weight * at(y.high, x.high));
}

/// Calls f with a zero of the type.
template <class F>
void for_type(NumberType type, const F& f) {
  switch (type) {
    case NumberType::kFp32:
      return f(float{});
    case NumberType::kFp16:
      return f(__half{});
    case NumberType::kBf16:
      return f(__nv_bfloat16{});
  }
}

inline int blocks_for(int64_t items, int each) {
  return static_cast<int>((items + each - 1) / each);
}

#ifdef __CUDACC__

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, int threads, size_t shared_bytes, cudaStream_t stream,
            const Arguments&... arguments) {
  kernel<<<blocks, threads, shared_bytes, stream>>>(arguments...);
}

/// The block's dynamic shared memory, 16-byte aligned.
__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char bytes[];
  return bytes;
}

// The rest is compute capability 8.0's; kernels that use it are not launched on older chips, for which it
// only has to compile.
#if __CUDA_ARCH__ >= 800
#define RGBD_PTX(...) asm volatile(__VA_ARGS__)
#else
#define RGBD_PTX(...) __trap()
#endif

/// 16 bytes from global to shared memory, or zeros; done for the calling thread after copies_done().
__device__ inline void copy_16(void* shared, const void* global, bool inside) {
  [[maybe_unused]] const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  RGBD_PTX("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(inside ? 16 : 0)
           : "memory");
}
__device__ inline void copies_done() {
  RGBD_PTX("cp.async.wait_all;" ::: "memory");
}

/// ldmatrix: this lane's part of a 16x16 matrix A (row-major) of two-byte elements. `row` is where row
/// lane % 16 lies, columns 8 (lane / 16) and the seven after it.
__device__ inline void load_a(const void* row, uint32_t (&a)[4]) {
  [[maybe_unused]] const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  RGBD_PTX("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
           : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
           : "r"(from)
           : "memory");
}
/// c += A B for A [16, 16], B [16, 8]; of B this lane has column lane / 4, in b.x rows 2 (lane % 4) and the
/// next, in b.y those eight further. Of c it has rows lane / 4 (two values) and lane / 4 + 8, columns
/// 2 (lane % 4) and the next.
template <class T>
__device__ inline void multiply_add(const uint32_t (&a)[4], uint2 b, float (&c)[4]);
#define RGBD_MULTIPLY_ADD(T, name)                                                       \
  template <>                                                                            \
  __device__ inline void multiply_add<T>(const uint32_t(&a)[4], uint2 b, float(&c)[4]) { \
    RGBD_PTX("mma.sync.aligned.m16n8k16.row.col.f32." name "." name                      \
             ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"      \
             : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                            \
             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));          \
  }
RGBD_MULTIPLY_ADD(__half, "f16")
RGBD_MULTIPLY_ADD(__nv_bfloat16, "bf16")
#undef RGBD_MULTIPLY_ADD
#undef RGBD_PTX

#endif

}  // namespace rgbd::cuda::light_kernels
