// SPDX-License-Identifier: Apache-2.0
// Starts GStreamer before the first test, and looks for leaks after each. Include once per test program.
#pragma once

#include <gst/gst.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/gst/leaks.h"

namespace rgbd::testing {

class GstEnvironment : public ::testing::Environment {
 public:
  // Without gst_deinit() at the end: there is no second beginning, and --gtest_repeat wants one.
  void SetUp() override {
    gst_init(nullptr, nullptr);
    if (std::exchange(listens_, true)) return;
    ::testing::UnitTest::GetInstance()->listeners().Append(new LeakListener);
    if (GObject* tracer = leaks_tracer()) {
      AggregatorWatch::start(tracer);
      g_object_unref(tracer);
    }
  }

 private:
  bool listens_ = false;
};

inline const auto* const kGstEnvironment = ::testing::AddGlobalTestEnvironment(new GstEnvironment);

}  // namespace rgbd::testing
