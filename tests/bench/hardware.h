// SPDX-License-Identifier: Apache-2.0
// What the hardware calls itself, for the lines of a benchmark.
#pragma once

#include <string>

namespace rgbd::bench {

/// Of a device as Info::device names it: "cuda:N" is the GPU's name as its driver tells it, anything else the
/// processor's. "unknown" where nobody tells.
std::string hardware_name(const std::string& device);

}  // namespace rgbd::bench
