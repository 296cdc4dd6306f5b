// SPDX-License-Identifier: Apache-2.0
// Starts GStreamer before the first test. Include once per test program.
#pragma once

#include <gst/gst.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace rgbd::testing {

class GstEnvironment : public ::testing::Environment {
 public:
  void SetUp() override { gst_init(nullptr, nullptr); }
  /// A tracer reports at the end. There is no second beginning, and --gtest_repeat wants one.
  void TearDown() override {
    if (std::getenv("GST_TRACERS")) gst_deinit();
  }
};

inline const auto* const kGstEnvironment = ::testing::AddGlobalTestEnvironment(new GstEnvironment);

}  // namespace rgbd::testing
