// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/random_frames.h"

#include <algorithm>
#include <random>

namespace rgbd::bench {

std::vector<uint8_t> random_colour(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> out(bytes);
  for (auto& value : out) value = static_cast<uint8_t>(random() >> 24);
  return out;
}

std::vector<uint16_t> random_depth(int width, int height, uint32_t seed) {
  constexpr int kHoles = 12;
  std::mt19937 random(seed);
  std::vector<uint16_t> out(static_cast<size_t>(width) * static_cast<size_t>(height));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int slope = 800 + 3200 * (x + y) / (width + height);
      out[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)] =
          static_cast<uint16_t>(slope + static_cast<int>(random() % 41) - 20);
    }
  }
  for (int i = 0; i < kHoles; ++i) {
    const int radius = std::min(width, height) / 16 + 1;
    const int x0 = static_cast<int>(random() % static_cast<unsigned>(width));
    const int y0 = static_cast<int>(random() % static_cast<unsigned>(height));
    for (int y = std::max(0, y0 - radius); y < std::min(height, y0 + radius); ++y) {
      for (int x = std::max(0, x0 - radius); x < std::min(width, x0 + radius); ++x) {
        if ((x - x0) * (x - x0) + (y - y0) * (y - y0) > radius * radius) continue;
        out[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)] = 0;
      }
    }
  }
  return out;
}

}  // namespace rgbd::bench
