// SPDX-License-Identifier: Apache-2.0
// Makes the noise tiles: hashed white noise, three box blurs (near enough to a Gaussian), unit variance.
#include "gst/testsrc/noise.h"

#include <algorithm>

namespace rgbd {
namespace {

static_assert((NoiseTiles::kWidth & (NoiseTiles::kWidth - 1)) == 0 &&
              (NoiseTiles::kHeight & (NoiseTiles::kHeight - 1)) == 0);

constexpr int kBoxRadius[kBlurCount] = {0, 1, 3, 6, 25};
constexpr int kBoxPasses = 3;

/// Sums of 2r+1 neighbours in each row, around the tile's edges.
void sum_across(const float* in, float* out, int width, int height, int radius) {
  for (int y = 0; y < height; ++y, in += width, out += width) {
    double sum = 0;
    for (int i = -radius; i <= radius; ++i) sum += in[i & (width - 1)];
    for (int x = 0; x < width; ++x) {
      out[x] = static_cast<float>(sum);
      sum += in[(x + radius + 1) & (width - 1)] - static_cast<double>(in[(x - radius) & (width - 1)]);
    }
  }
}

/// The same in each column, row by row for the cache's sake.
void sum_down(const float* in, float* out, int width, int height, int radius) {
  std::vector<double> sums(static_cast<size_t>(width));
  auto row = [&](int y) { return in + static_cast<size_t>(y & (height - 1)) * width; };
  for (int i = -radius; i <= radius; ++i) {
    const float* values = row(i);
    for (int x = 0; x < width; ++x) sums[x] += values[x];
  }
  for (int y = 0; y < height; ++y, out += width) {
    const float *next = row(y + radius + 1), *last = row(y - radius);
    for (int x = 0; x < width; ++x) {
      out[x] = static_cast<float>(sums[x]);
      sums[x] += next[x] - static_cast<double>(last[x]);
    }
  }
}

}  // namespace

NoiseTiles::NoiseTiles(uint32_t seed) {
  constexpr int kPixels = kWidth * kHeight;
  std::vector<float> field(kPixels), blurred(kPixels);
  for (int blur = 0; blur < kBlurCount; ++blur) {
    for (int i = 0; i < kPixels; ++i) {
      const uint32_t bits = hash(seed + static_cast<uint32_t>(blur), static_cast<uint32_t>(i));
      const int sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24);  // nearly normal
      field[i] = static_cast<float>(sum - 510);
    }
    const int radius = kBoxRadius[blur];
    for (int pass = 0; radius && pass < kBoxPasses; ++pass) {
      sum_across(field.data(), blurred.data(), kWidth, kHeight, radius);
      sum_down(blurred.data(), field.data(), kWidth, kHeight, radius);
      for (float& value : field) value *= 1.0f / static_cast<float>((2 * radius + 1) * (2 * radius + 1));
    }
    double mean = 0, variance = 0;
    for (float value : field) mean += value;
    mean /= kPixels;
    for (float value : field) variance += (value - mean) * (value - mean);
    const double scale = 1 / (kUnit * std::sqrt(variance / kPixels));
    tiles_[blur].resize(kPixels);
    for (int i = 0; i < kPixels; ++i)
      tiles_[blur][i] =
          static_cast<int8_t>(std::clamp(std::floor((field[i] - mean) * scale + 0.5), -127.0, 127.0));
  }
}

void NoiseTiles::row(Blur blur, uint32_t x, uint32_t y, int width, float* out) const {
  const int8_t* tile_row = &tiles_[static_cast<int>(blur)][(y & (kHeight - 1)) * kWidth];
  for (int done = 0; done < width;) {
    const int column = static_cast<int>((x + static_cast<uint32_t>(done)) & (kWidth - 1));
    const int count = std::min(width - done, kWidth - column);
    for (int i = 0; i < count; ++i) out[done + i] = static_cast<float>(tile_row[column + i]) * kUnit;
    done += count;
  }
}

}  // namespace rgbd
