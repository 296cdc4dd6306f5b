// SPDX-License-Identifier: Apache-2.0
// Which caps the refined depth gets, out of those that downstream allows.
#pragma once

#include <gst/video/video.h>

namespace rgbd::refine {

/// Fixed caps for the src pad, or empty ones when nothing fits. Transfer full.
///
/// The size is that of `rgb` wherever one of the structures of `allowed` takes it; else the nearest, a given
/// side completing the other by display aspect, with the pixel aspect ratio scaled to keep it. GRAY16_LE
/// before GRAY16_BE. The framerate is that of `rgb`, or nothing. The field depth-unit is `metres_per_step`
/// unless downstream pins another.
GstCaps* choose_src_caps(const GstVideoInfo& rgb, double metres_per_step, GstCaps* allowed);

}  // namespace rgbd::refine
