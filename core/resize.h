// SPDX-License-Identifier: Apache-2.0
// Which source pixels, with which weights, make a resized pixel: three published rules, one axis at a time.
// They differ from each other and from the textbook in the last bit, and that bit picks another pixel.
#pragma once

#include <array>
#include <vector>

namespace rgbd {

/// The four taps of one resized pixel; indices are already clamped to the border.
struct CubicTap {
  std::array<int, 4> index;
  std::array<float, 4> weight;  // sum 1, may be negative
};

/// OpenCV's INTER_CUBIC for floating point images (A = -0.75, no anti-aliasing): coordinates and weights in
/// float32, whoever applies them sums in double. dst == src gives weight 1 on the pixel itself.
std::vector<CubicTap> opencv_cubic(int src, int dst);

/// OpenCV's INTER_NEAREST: the source index of each resized pixel. Arithmetic in double.
std::vector<int> opencv_nearest(int src, int dst);

/// torch's "nearest": the same question, arithmetic in float32.
std::vector<int> torch_nearest(int src, int dst);

}  // namespace rgbd
