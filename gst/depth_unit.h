// SPDX-License-Identifier: Apache-2.0
// Reads the caps field `depth-unit`: how many metres one step of a GRAY16 depth frame is.
#pragma once

#include <gst/gst.h>

#include <optional>

namespace rgbd {

/// Metres per step of fixed depth caps; nothing where the field is missing or no positive number.
/// Takes double, float, int and fraction, rounded to seven digits: a float's 0.001 is 0.00100000004749745.
std::optional<double> depth_unit_of(const GstCaps* caps);

}  // namespace rgbd
