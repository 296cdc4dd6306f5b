// SPDX-License-Identifier: Apache-2.0
// The core's log, seen from the module.
#pragma once

#include <string>

#include "core/rgbd.h"

namespace rgbd::cuda {

/// Any thread.
void log(LogLevel level, const std::string& text);

}  // namespace rgbd::cuda
