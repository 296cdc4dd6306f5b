// SPDX-License-Identifier: Apache-2.0
// Depth without the network, see raw_depth.h.
#include "gst/refine/raw_depth.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rgbd::refine {
namespace {

unsigned read_step(const uint8_t* at, bool big_endian) {
  return big_endian ? at[0] << 8 | at[1] : at[1] << 8 | at[0];
}

void write_step(uint8_t* at, unsigned step, bool big_endian) {
  at[big_endian ? 0 : 1] = static_cast<uint8_t>(step >> 8);
  at[big_endian ? 1 : 0] = static_cast<uint8_t>(step);
}

}  // namespace

void write_raw(const DepthView& depth, const DepthOut& out) {
  double ratio = depth.metres_per_step / out.metres_per_step;
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* from = depth.data + depth.stride_bytes * (int64_t{y} * depth.height / out.height);
    uint8_t* to = out.data + out.stride_bytes * y;
    for (int x = 0; x < out.width; ++x) {
      unsigned step = read_step(from + 2 * (int64_t{x} * depth.width / out.width), depth.big_endian);
      double scaled = step == 0 ? 0.0 : std::clamp(std::round(step * ratio), 1.0, 65535.0);
      write_step(to + 2 * x, static_cast<unsigned>(scaled), out.big_endian);
    }
  }
}

void write_zeros(const DepthOut& out) {
  for (int y = 0; y < out.height; ++y) std::memset(out.data + out.stride_bytes * y, 0, 2 * size_t(out.width));
}

bool has_depth(const DepthView& depth) {
  for (int y = 0; y < depth.height; ++y) {
    const uint8_t* row = depth.data + depth.stride_bytes * y;
    for (int x = 0; x < depth.width; ++x) {
      unsigned step = read_step(row + 2 * x, depth.big_endian);
      // In float32, as the core compares: with a unit of 0.001 and a limit of 6.1 m, 6100 steps are valid.
      // Step 0, and what is too near, has no inverse.
      float metres = static_cast<float>(step * depth.metres_per_step);
      if (std::isfinite(1 / metres) && metres >= static_cast<float>(depth.min_depth_m) &&
          metres <= static_cast<float>(depth.max_depth_m))
        return true;
    }
  }
  return false;
}

}  // namespace rgbd::refine
