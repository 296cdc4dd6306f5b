// SPDX-License-Identifier: Apache-2.0
// What the metadata of a light model's file say; the network is built from it alone.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/checkpoint.h"
#include "core/network.h"

namespace rgbd::light {

inline constexpr int64_t kMostOffsets = 64;  // of the raw candidates, and of the coarse ones
inline constexpr int64_t kMostLevels = 8;    // of the fill's pyramid
inline constexpr int64_t kMostRays = 4;

struct Offset {
  int64_t dy = 0, dx = 0;  // pixels
};

struct Settings {
  std::vector<int64_t> widths;    // channels at 1/2, 1/4, …
  int64_t bottleneck_blocks = 0;  // residual blocks at the deepest level; 1 at the others
  std::vector<Offset> raw;        // candidates: measured depths around the pixel…
  std::vector<Offset> coarse;     // … quarter-resolution depths around it…
  std::vector<int64_t> smooth;    // … means of the fill over 2^level pixels…
  int64_t rays = 0;               // … the nearest measured depths in 4 directions, or 0; and one free depth
  std::vector<int64_t> differences;  // levels of the fill's means that the stem sees the fill against
  double correction = 0;             // coarse and free depths stay within e^±correction of the fill
  int64_t pyramid_levels = 0;        // push-pull fill reaches the stride 2^levels
  int64_t padding = 0;               // frames are padded to a multiple of it
  double mode_tolerance = 0;         // candidates this near the likeliest one are averaged
  int64_t keep_window = 0;    // the choice keeps a measured pixel in its window's range, pixels, odd…
  double keep_tolerance = 0;  // … widened by this share
  double hole_low = 0;        // … and a filled one in [low * 1 %, high * 99 %] of the frame's
  double hole_high = 0;       // measured inverse depths
  double min_valid = 0;       // below this share of measured pixels the frame passes through
  int64_t far = 0;            // see hole_vote.h; 0: holes as the network answers. Absent in older files
  double denoise = 0;         // see denoise.h; 0: not at all. Absent in older files
  int64_t snap = 0;           // see edge_snap.h; 0: not at all. Absent in older files
  InputSpec input;

  /// Measured pixels of a frame that is not passed through: n < share * pixels, in whole numbers.
  int64_t enough(int64_t height, int64_t width) const {
    return static_cast<int64_t>(
        std::ceil(min_valid * static_cast<double>(height) * static_cast<double>(width)));
  }
  /// Residual blocks of encoder level `i`, which has widths[i + 1] channels.
  int64_t blocks(size_t i) const { return i + 2 == widths.size() ? bottleneck_blocks : 1; }
  int64_t candidates() const {
    return static_cast<int64_t>(raw.size() + coarse.size() + smooth.size()) + rays + 1;
  }
  /// The stem's input: colour 3, log fill, mask, differences, rays.
  int64_t features() const { return 5 + static_cast<int64_t>(differences.size()) + rays; }
};

/// Throws Error{kBadCheckpoint} that names the key and its value: absent, unreadable, out of bounds, unknown
/// to this program, or in contradiction to another.
Settings read_settings(const Checkpoint& checkpoint);

}  // namespace rgbd::light
