// SPDX-License-Identifier: Apache-2.0
// Device side of element.h: eight numbers at a time, 16 bytes of a half type.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "core/cuda/element.h"

namespace rgbd::cuda {

template <Element E>
inline constexpr int64_t kWidth = width(E);

template <Element E>
struct Plain;  // the type of a number that is no operand
template <>
struct Plain<Element::kFp16> {
  using type = __half;
};
template <>
struct Plain<Element::kBf16> {
  using type = __nv_bfloat16;
};
template <>
struct Plain<Element::kTf32x3> {
  using type = float;
};

__device__ inline void load8(const float* from, float (&v)[8]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0], b = reinterpret_cast<const float4*>(from)[1];
  v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}
__device__ inline void load8(const __half* from, float (&v)[8]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  const auto* pairs = reinterpret_cast<const __half2*>(&bits);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __half22float2(pairs[i]);
    v[2 * i] = pair.x, v[2 * i + 1] = pair.y;
  }
}
__device__ inline void load8(const __nv_bfloat16* from, float (&v)[8]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(&bits);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __bfloat1622float2(pairs[i]);
    v[2 * i] = pair.x, v[2 * i + 1] = pair.y;
  }
}

__device__ inline void store8(float* to, const float (&v)[8]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(v[0], v[1], v[2], v[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(v[4], v[5], v[6], v[7]);
}
__device__ inline void store8(__half* to, const float (&v)[8]) {
  uint4 bits;
  auto* pairs = reinterpret_cast<__half2*>(&bits);
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2half2_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = bits;
}
__device__ inline void store8(__nv_bfloat16* to, const float (&v)[8]) {
  uint4 bits;
  auto* pairs = reinterpret_cast<__nv_bfloat162*>(&bits);
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = bits;
}

/// Nearest number of TF32, ties away from zero.
__device__ inline float to_tf32(float v) {
  return __uint_as_float((__float_as_uint(v) + 0x1000u) & 0xffffe000u);
}

/// Eight numbers of an operand's segment: `segment` is where it begins, `columns` its numbers.
template <Element E>
__device__ inline void put8(typename Plain<E>::type* segment, int64_t columns, int64_t column,
                            const float (&v)[8]) {
  if constexpr (E == Element::kTf32x3) {
    float hi[8], lo[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) hi[i] = to_tf32(v[i]), lo[i] = to_tf32(v[i] - hi[i]);
    store8(segment + column, lo);
    store8(segment + columns + column, hi);
    store8(segment + 2 * columns + column, hi);
  } else {
    store8(segment + column, v);
  }
}

/// Calls `run` with an integral_constant of the element.
template <typename Run>
void with_element(Element element, Run run) {
  switch (element) {
    case Element::kFp16:
      return run(std::integral_constant<Element, Element::kFp16>());
    case Element::kBf16:
      return run(std::integral_constant<Element, Element::kBf16>());
    case Element::kTf32x3:
      return run(std::integral_constant<Element, Element::kTf32x3>());
  }
}

}  // namespace rgbd::cuda
