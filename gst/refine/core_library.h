// SPDX-License-Identifier: Apache-2.0
// Opens librgbd.so by name, so that the plugin loads and can be inspected where torch is missing.
#pragma once

#include "core/rgbd.h"

namespace rgbd::refine {

/// The core's runtime: env RGBD_LIBRARY if set, else librgbd.so by its place relative to the plugin's own
/// file (build tree, then installation). Stays open for the life of the process. Throws Error{kUnsupported}
/// with each path tried, the loader's reason and the command that helps; a later call tries again.
Runtime* core_library();

}  // namespace rgbd::refine
