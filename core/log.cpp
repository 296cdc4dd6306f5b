// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <cstdio>
#include <memory>
#include <mutex>

#include "core/utf8.h"

namespace rgbd {
namespace {
std::mutex mutex;
// Shared, so that a call under way outlives a change. Never destroyed: threads log while the process ends.
auto& current = *new std::shared_ptr<const LogSink>;
}  // namespace

void set_log_sink(LogSink sink) {
  auto next = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
  std::lock_guard lock(mutex);
  current = std::move(next);
}

void log(LogLevel level, const std::string& any_text) {
  const std::string text = valid_utf8(any_text);
  std::shared_ptr<const LogSink> sink;
  {
    std::lock_guard lock(mutex);
    sink = current;
  }
  if (sink) {
    (*sink)(level, text);
  } else if (level <= LogLevel::kWarning) {
    std::fprintf(stderr, "rgbd: %s\n", text.c_str());
  }
}

}  // namespace rgbd
