// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/picture.h"

#include <algorithm>
#include <cmath>

#include "gst/colorize/colormap.h"

namespace rgbd {
namespace {

constexpr Rgb kBlack{0, 0, 0};

/// Nearest neighbour as OpenCV and torch do it: the source pixel whose area holds the corner of the target's.
double metres_at(const DepthFrame& depth, const ColorFrame& like, int x, int y, const PictureRange& range) {
  const int source_x = static_cast<int>(int64_t{x} * depth.width / like.width);
  const int source_y = static_cast<int>(int64_t{y} * depth.height / like.height);
  return depth.steps[int64_t{source_y} * depth.width + source_x] * range.metres_per_step;
}

Rgb color_of(double metres, const PictureRange& range) {
  return metres > 0 ? colorize(Colormap::kSpectral, metres, range.min_m, range.max_m) : kBlack;
}

}  // namespace

ColorFrame make_picture(const ColorFrame& color, const DepthFrame& raw, const DepthFrame& refined,
                        const PictureRange& range) {
  const int width = color.width, height = color.height;
  ColorFrame picture{2 * width, 2 * height, std::vector<uint8_t>(size_t{12} * width * height)};
  const auto put = [&](int x, int y, Rgb rgb) {
    uint8_t* pixel = picture.rgb.data() + 3 * (int64_t{y} * picture.width + x);
    pixel[0] = rgb.red, pixel[1] = rgb.green, pixel[2] = rgb.blue;
  };
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const uint8_t* pixel = color.rgb.data() + 3 * (int64_t{y} * width + x);
      double raw_m = metres_at(raw, color, x, y, range);
      if (raw_m > range.max_depth_m) raw_m = 0;
      const double refined_m = metres_at(refined, color, x, y, range);
      put(x, y, {pixel[0], pixel[1], pixel[2]});
      put(width + x, y, color_of(raw_m, range));
      put(x, height + y, color_of(refined_m, range));
      put(width + x, height + y,
          raw_m > 0 ? colorize(Colormap::kSpectral, std::abs(raw_m - refined_m) / raw_m, 0, 1) : kBlack);
    }
  }
  return picture;
}

}  // namespace rgbd
