// SPDX-License-Identifier: Apache-2.0
// The 2x2 picture: colour, raw depth / refined depth, relative difference. Mirrors infer.py's
// create_visualization, with colours as they are in the colour image and black where there is no depth.
#pragma once

#include "pipelines/refine/frame.h"

namespace rgbd {

struct PictureRange {
  double metres_per_step = 0.001;
  double max_depth_m = 25;  // raw depth beyond is no depth
  double min_m = 0.1;       // first colour of Spectral
  double max_m = 5;         // last
};

/// Twice the colour image's width and height; depth of another size is resized to it, nearest neighbour.
/// The difference is |raw - refined| / raw, coloured from 0 to 1, black where raw has no depth.
ColorFrame make_picture(const ColorFrame& color, const DepthFrame& raw, const DepthFrame& refined,
                        const PictureRange& range);

}  // namespace rgbd
