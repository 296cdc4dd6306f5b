// SPDX-License-Identifier: Apache-2.0
// Colour maps of 256 colours and matplotlib's way of looking them up. Plain C++: rgbd-refine uses it too.
#pragma once

#include <array>
#include <cstdint>

namespace rgbd {

enum class Colormap { kSpectral, kTurbo, kGray };

struct Rgb {
  uint8_t red, green, blue;
  bool operator==(const Rgb&) const = default;
};

/// The colours of `map`, from x = 0 to x = 1. Built once; lives as long as the program. Any thread.
/// Spectral has the bytes of matplotlib's; turbo is within 6 steps of its published table.
const std::array<Rgb, 256>& colormap_table(Colormap map);

/// Where matplotlib looks x up: int(x * 256), x clipped to 0..1; NaN takes 0.
int colormap_index(double x);

/// The colour of a depth between `min` (x = 0) and `max` (x = 1), all in one unit. An empty range is a step.
Rgb colorize(Colormap map, double depth, double min, double max);

}  // namespace rgbd
