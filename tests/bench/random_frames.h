// SPDX-License-Identifier: Apache-2.0
// Frames to measure with. Never zeros: those flatter a processor's multipliers, and its caches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rgbd::bench {

/// `bytes` bytes of colour, all random.
std::vector<uint8_t> random_colour(size_t bytes, uint32_t seed);

/// Row by row, millimetres: a slope from 0.8 to 4 m with noise, and round holes on a tenth or so of it, as a
/// camera leaves them (single pixels without depth would be work that no camera makes).
std::vector<uint16_t> random_depth(int width, int height, uint32_t seed);

}  // namespace rgbd::bench
