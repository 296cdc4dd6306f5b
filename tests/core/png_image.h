// SPDX-License-Identifier: Apache-2.0
// PNG files as the frames the library takes, read by GStreamer's decoder.
#pragma once

#include <string>

#include "core/rgbd.h"

namespace rgbd::test {

/// 8-bit colour. Throws std::runtime_error with path and reason.
ImageView read_colour_png(const std::string& path);
/// 16-bit grey, `steps_per_metre` steps to the metre. Throws std::runtime_error, also for other depths.
DepthView read_depth_png(const std::string& path, double steps_per_metre);

}  // namespace rgbd::test
