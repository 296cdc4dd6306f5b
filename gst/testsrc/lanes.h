// SPDX-License-Identifier: Apache-2.0
// Four floats side by side. Code written as a template on float or Lanes gives the same bits for both: every
// operation rounds as IEEE 754 says. (Compilers would not vectorise these loops by themselves.)
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace rgbd {

using Lanes = float __attribute__((vector_size(16)));
using IntLanes = int32_t __attribute__((vector_size(16)));
inline constexpr int kLanes = 4;
/// What comparing gives: 0 or 1, or all bits of a lane.
template <class T>
using Mask = std::conditional_t<std::is_same_v<T, float>, int, IntLanes>;

inline float square_root(float x) {
  return std::sqrt(x);
}
inline Lanes square_root(Lanes x) {
#if defined(__SSE2__)
  return _mm_sqrt_ps(x);
#else
  for (int i = 0; i < kLanes; ++i) x[i] = std::sqrt(x[i]);
  return x;
#endif
}

inline float lesser(float a, float b) {
  return a < b ? a : b;
}
inline float greater(float a, float b) {
  return a > b ? a : b;
}
#if defined(__SSE2__)
inline Lanes lesser(Lanes a, Lanes b) {
  return _mm_min_ps(a, b);
}  // just as the float form, also for NaN
inline Lanes greater(Lanes a, Lanes b) {
  return _mm_max_ps(a, b);
}
#else
inline Lanes lesser(Lanes a, Lanes b) {
  return a < b ? a : b;
}
inline Lanes greater(Lanes a, Lanes b) {
  return a > b ? a : b;
}
#endif

/// Whether the mask is set in any lane.
inline bool any(int mask) {
  return mask != 0;
}
inline bool any(IntLanes mask) {
#if defined(__SSE2__)
  return _mm_movemask_ps(reinterpret_cast<__m128>(mask)) != 0;
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

/// Bits of a where the mask is set, else of b.
inline float choose(int mask, float a, float b) {
  return mask ? a : b;
}
inline int32_t choose(int mask, int32_t a, int32_t b) {
  return mask ? a : b;
}
inline IntLanes choose(IntLanes mask, IntLanes a, IntLanes b) {
  return (a & mask) | (b & ~mask);
}
inline Lanes choose(IntLanes mask, Lanes a, Lanes b) {
  return reinterpret_cast<Lanes>(choose(mask, reinterpret_cast<IntLanes>(a), reinterpret_cast<IntLanes>(b)));
}

/// Towards zero.
inline int32_t truncate(float x) {
  return static_cast<int32_t>(x);
}
inline IntLanes truncate(Lanes x) {
  return __builtin_convertvector(x, IntLanes);
}

inline float to_float(int32_t x) {
  return static_cast<float>(x);
}
inline Lanes to_float(IntLanes x) {
  return __builtin_convertvector(x, Lanes);
}

/// from[at], for each lane.
inline float gather(const float* from, int32_t at) {
  return from[at];
}
inline Lanes gather(const float* from, IntLanes at) {
  return Lanes{from[at[0]], from[at[1]], from[at[2]], from[at[3]]};
}

template <class T>
T load(const float* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T, class Element>
void store(Element* to, T value) {
  static_assert(sizeof(T) % sizeof(Element) == 0);
  std::memcpy(to, &value, sizeof value);
}

/// x, x + 1, ... as floats.
template <class T>
T count_from(int x);
template <>
inline float count_from<float>(int x) {
  return static_cast<float>(x);
}
template <>
inline Lanes count_from<Lanes>(int x) {
  const auto first = static_cast<float>(x);
  return Lanes{first, first + 1, first + 2, first + 3};
}

/// The same value in every lane.
template <class T>
T fill(float x) {
  if constexpr (sizeof(T) == sizeof(float))
    return x;
  else
    return T{x, x, x, x};
}

/// Calls body(x) for left..right with a value of type Lanes for whole groups and float for the rest.
template <class Body>
void for_lanes(int left, int right, Body body) {
  int x = left;
  for (; x + kLanes <= right; x += kLanes) body(x, Lanes{});
  for (; x < right; ++x) body(x, 0.0f);
}

}  // namespace rgbd
