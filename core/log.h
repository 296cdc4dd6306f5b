// SPDX-License-Identifier: Apache-2.0
// The library's log: one sink for the process, set by the program that embeds it.
#pragma once

#include <string>

#include "core/rgbd.h"

namespace rgbd {

void set_log_sink(LogSink sink);
/// Any thread. Without a sink, warnings and errors go to stderr and the rest nowhere.
void log(LogLevel level, const std::string& text);

}  // namespace rgbd
