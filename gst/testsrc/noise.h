// SPDX-License-Identifier: Apache-2.0
// Random numbers from integer hashes, tiles of smooth noise, and a sine without libm: the same bits
// everywhere.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace rgbd {

/// A well mixing hash of 32 bits.
inline uint32_t hash(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ x >> 16;
}
inline uint32_t hash(uint32_t a, uint32_t b) {
  return hash(a ^ hash(b + 0x9e3779b9u));
}

/// A stream of numbers that depends on nothing but its key.
class Random {
 public:
  explicit Random(uint32_t key) : key_(key) {}
  uint32_t bits() { return hash(key_, ++count_); }
  double uniform(double low, double high) { return low + (high - low) * (bits() * 0x1p-32); }
  int below(int n) { return static_cast<int>(bits() % static_cast<uint32_t>(n)); }

 private:
  uint32_t key_, count_ = 0;
};

/// sin(2 pi turns), error below 4e-6.
inline double sine(double turns) {
  double x = turns - std::floor(turns + 0.5);         // -0.5 .. 0.5
  x = x > 0.25 ? 0.5 - x : x < -0.25 ? -0.5 - x : x;  // -0.25 .. 0.25
  x *= 6.283185307179586;
  const double xx = x * x;
  return x * (1 - xx / 6 * (1 - xx / 20 * (1 - xx / 42 * (1 - xx / 72))));
}
inline double cosine(double turns) {
  return sine(turns + 0.25);
}

/// Fields of normally distributed values, by how far they are correlated (standard deviation, px).
enum class Blur { kNone, kFine /* 1.4 */, kMedium /* 3.5 */, kCoarse /* 6.5 */, kHuge /* 25 */ };
inline constexpr int kBlurCount = 5;

/// Seeded noise that repeats after 1024 x 512 px. Values are int8, 32 = one standard deviation.
class NoiseTiles {
 public:
  static constexpr int kWidth = 1024, kHeight = 512;
  static constexpr float kUnit = 1.0f / 32;

  explicit NoiseTiles(uint32_t seed);

  int8_t at(Blur blur, int x, int y) const {
    return tiles_[static_cast<int>(blur)][(y & (kHeight - 1)) * kWidth + (x & (kWidth - 1))];
  }
  /// `width` values of row y in standard deviations, from column x on, around the tile's edges.
  void row(Blur blur, uint32_t x, uint32_t y, int width, float* out) const;

 private:
  std::array<std::vector<int8_t>, kBlurCount> tiles_;
};

}  // namespace rgbd
