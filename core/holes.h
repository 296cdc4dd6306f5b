// SPDX-License-Identifier: Apache-2.0
// Holes too large to fill: a surface made up there would be a guess that nothing measured supports.
#pragma once

#include <cstdint>
#include <vector>

#include "core/frames.h"

namespace rgbd {

/// Where a map of the network's `size` is to stay without depth: [height, width], 1 for pixels that were fed
/// from a hole of more than depth.max_hole of the frame. Empty = nowhere. A hole is a 4-connected region of
/// the depth frame without a measured pixel. `measured` is count_measured(depth): where that leaves too few
/// pixels for a large hole, they are not looked at (else 0.3 to 0.6 ms at 640x480).
std::vector<uint8_t> large_holes(const DepthView& depth, int64_t measured, Size size);

}  // namespace rgbd
