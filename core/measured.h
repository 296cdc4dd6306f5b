// SPDX-License-Identifier: Apache-2.0
// Which pixels of a depth frame are measured: not 0, and inside its limits. All others are holes.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/pixels.h"
#include "core/rgbd.h"

namespace rgbd {

/// Raw values first..last are measured; first > last = none. Metres grow with raw, so a range says it all.
struct RawRange {
  unsigned first, last;
  bool contains(unsigned raw) const { return raw >= first && raw <= last; }
};
RawRange valid_range(const DepthView& depth);

/// Whether any pixel of the frame is measured: looks no further than the first.
bool any_measured(const DepthView& depth);
/// How many are.
int64_t count_measured(const DepthView& depth);

/// Whether the bytes of a frame are not in this machine's order.
bool needs_swap(bool big_endian);

inline uint16_t load16(const uint8_t* p, bool swap) {
  uint16_t value;
  std::memcpy(&value, p, 2);  // odd strides: no alignment to rely on
  return swap ? swapped(value) : value;
}

}  // namespace rgbd
