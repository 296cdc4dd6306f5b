// SPDX-License-Identifier: Apache-2.0
// Depth that goes out without the network: the camera's own (skip-policy=raw), or none.
#pragma once

#include "core/rgbd.h"

namespace rgbd::refine {

/// Input depth at the output's size (nearest neighbour), unit and byte order. Saturates; 0 stays 0, and depth
/// stays depth: less than half a step becomes 1, as in the core.
void write_raw(const DepthView& depth, const DepthOut& out);
/// No depth anywhere.
void write_zeros(const DepthOut& out);
/// Whether one pixel at least is inside [min_depth_m, max_depth_m]. Leaves at the first.
bool has_depth(const DepthView& depth);

}  // namespace rgbd::refine
