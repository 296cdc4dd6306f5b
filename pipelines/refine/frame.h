// SPDX-License-Identifier: Apache-2.0
// Frames in the program's own memory, rows without padding.
#pragma once

#include <cstdint>
#include <vector>

namespace rgbd {

struct ColorFrame {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;  // [height][width][3]
};

struct DepthFrame {
  int width = 0;
  int height = 0;
  std::vector<uint16_t> steps;  // [height][width], 0 = no depth
};

}  // namespace rgbd
