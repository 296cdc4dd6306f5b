// SPDX-License-Identifier: Apache-2.0
// See stress_watch.h.
#include "tests/gst/stress_watch.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace rgbd::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

void describe(GstElement* element, const std::string& indent, std::ostream& out) {
  out << indent << GST_OBJECT_NAME(element) << ": " << gst_element_state_get_name(GST_STATE(element))
      << ", pending " << gst_element_state_get_name(GST_STATE_PENDING(element)) << ", target "
      << gst_element_state_get_name(GST_STATE_TARGET(element)) << "\n";
  if (!GST_IS_BIN(element)) return;
  // Without the lock: whoever hangs may hold it, and the program ends after this.
  for (GList* each = GST_BIN_CHILDREN(element); each; each = each->next)
    describe(GST_ELEMENT(each->data), indent + "  ", out);
}

void fail_on_warning(const gchar* domain, GLogLevelFlags level, const gchar* text, gpointer watch) {
  if (level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR)) {
    ADD_FAILURE() << (domain ? domain : "") << ": " << text << "\n" << static_cast<Watch*>(watch)->report();
  } else {
    g_log_default_handler(domain, level, text, nullptr);
  }
}

}  // namespace

Watch::Watch(std::string title) : title_(std::move(title)) {
  g_log_set_default_handler(fail_on_warning, this);
  thread_ = std::thread([this] { run(); });
}

Watch::~Watch() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
  g_log_set_default_handler(g_log_default_handler, nullptr);
}

void Watch::add(GstElement* pipeline) {
  std::lock_guard lock(mutex_);
  pipelines_.insert(pipeline);
}

void Watch::remove(GstElement* pipeline) {
  std::lock_guard lock(mutex_);
  pipelines_.erase(pipeline);
}

std::string Watch::report() {
  std::ostringstream text;
  std::lock_guard lock(mutex_);
  auto now = std::chrono::steady_clock::now();
  text << title_ << "\n";
  for (const auto& [doing, operation] : operations_) {
    text << "  " << operation.name << ", for "
         << std::chrono::duration_cast<std::chrono::milliseconds>(now - operation.since).count() << " ms\n";
  }
  for (GstElement* pipeline : pipelines_) describe(pipeline, "  ", text);
  return text.str();
}

void Watch::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, 500ms, [&] { return stopping_; })) {
    auto now = std::chrono::steady_clock::now();
    bool hangs = false;
    for (const auto& [doing, operation] : operations_) hangs |= now - operation.since > kPatience;
    if (!hangs) continue;
    lock.unlock();
    std::fprintf(stderr, "an operation does not end:\n%s", report().c_str());
    std::fflush(stderr);
    std::abort();
  }
}

Doing::Doing(Watch& watch, std::string name) : watch_(watch) {
  std::lock_guard lock(watch_.mutex_);
  watch_.operations_[this] = {std::move(name), std::chrono::steady_clock::now()};
}

Doing::~Doing() {
  std::lock_guard lock(watch_.mutex_);
  watch_.operations_.erase(this);
}

}  // namespace rgbd::testing
