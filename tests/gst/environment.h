// SPDX-License-Identifier: Apache-2.0
// Starts GStreamer before the first test and ends it after the last, which makes GST_TRACERS=leaks report.
// Include once per test program.
#pragma once

#include <gst/gst.h>
#include <gtest/gtest.h>

namespace rgbd::testing {

class GstEnvironment : public ::testing::Environment {
 public:
  void SetUp() override { gst_init(nullptr, nullptr); }
  void TearDown() override { gst_deinit(); }
};

inline const auto* const kGstEnvironment = ::testing::AddGlobalTestEnvironment(new GstEnvironment);

}  // namespace rgbd::testing
