// SPDX-License-Identifier: Apache-2.0
// Eight floats side by side, for the own kernels of the CPU, and the product that two of them are made of. A
// file that uses it compiles its functions twice from one source: RGBD_INLINE ones into one for AVX2 and FMA,
// where RGBD_AVX2 is set and has_avx2() says so, and into one for whatever the compiler's target has.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define RGBD_AVX2 __attribute__((target("avx2,fma")))
#endif
#define RGBD_INLINE __attribute__((always_inline)) inline

namespace rgbd {

inline constexpr int64_t kLanes = 8;
typedef float Lanes __attribute__((vector_size(32)));

inline bool has_avx2() {
#ifdef RGBD_AVX2
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

// By reference: passing 32-byte vectors by value depends on the target.
RGBD_INLINE void load(const float* from, Lanes& to) {
  std::memcpy(&to, from, sizeof to);
}
RGBD_INLINE void store(const Lanes& from, float* to) {
  std::memcpy(to, &from, sizeof from);
}

inline constexpr int64_t kProductRows = 4;
inline constexpr int64_t kProductVectors = 3;  // at most: 12 sums, 3 loads and a broadcast fill 16 registers

/// out[4][8 * vectors] = a[4][steps] b[steps][8 * vectors]; rows of out lie `stride` apart.
template <int vectors>
RGBD_INLINE void product(const float* a, int64_t steps, const float* b, float* out, int64_t stride) {
  Lanes sums[kProductRows][vectors] = {};
  for (int64_t step = 0; step < steps; ++step) {
    Lanes right[vectors];
#pragma GCC unroll 3
    for (int j = 0; j < vectors; ++j) load(b + (step * vectors + j) * kLanes, right[j]);
#pragma GCC unroll 4
    for (int i = 0; i < kProductRows; ++i) {
      const float left = a[i * steps + step];
#pragma GCC unroll 3
      for (int j = 0; j < vectors; ++j) sums[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kProductRows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < vectors; ++j) store(sums[i][j], out + i * stride + j * kLanes);
}

/// each(first, vectors) for the pieces of `columns`, a multiple of 8, that products make: 24 columns, or 16
/// where 8 would be left.
template <typename Each>
RGBD_INLINE void for_pieces(int64_t columns, const Each& each) {
  for (int64_t first = 0; first < columns;) {
    const int64_t left = (columns - first) / kLanes;
    const int64_t vectors = left == 4 ? 2 : std::min(left, kProductVectors);
    each(first, vectors);
    first += vectors * kLanes;
  }
}

/// out[rows][columns] = a[rows][steps] b, for rows in fours and columns in eights. b lies in pieces of
/// for_pieces(), [steps][8 * vectors] each.
RGBD_INLINE void product(const float* a, int64_t rows, int64_t steps, const float* b, int64_t columns,
                         float* out, int64_t stride) {
  for_pieces(
      columns, [&](int64_t first, int64_t vectors) __attribute__((always_inline)) {
        for (int64_t i = 0; i < rows; i += kProductRows) {
          const float *const left = a + i * steps, *const right = b + first * steps;
          float* const to = out + i * stride + first;
          if (vectors == 3)
            product<3>(left, steps, right, to, stride);
          else if (vectors == 2)
            product<2>(left, steps, right, to, stride);
          else
            product<1>(left, steps, right, to, stride);
        }
      });
}

}  // namespace rgbd
