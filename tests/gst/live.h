// SPDX-License-Identifier: Apache-2.0
// rgbdrefine behind a camera, where a test says what time it is.
#pragma once

#include <gst/check/gsttestclock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace rgbd::testing {

/// A camera on a clock that only the test moves.
class Live : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fake_rgbd::reset());
    clock_ = gst_test_clock_new();
  }
  void TearDown() override {
    fake_rgbd::release();
    gst_object_unref(clock_);
  }
  void play(Rig& rig, uint64_t upstream_ms = 0) {
    for (GstElement* source : {rig.rgb(), rig.depth()}) {
      g_object_set(source, "min-latency", gint64(upstream_ms * GST_MSECOND), "max-latency",
                   gint64(upstream_ms * GST_MSECOND), nullptr);
    }
    gst_pipeline_use_clock(GST_PIPELINE(rig.pipeline()), clock_);
    ASSERT_TRUE(rig.play());
  }
  GstTestClock* clock() { return GST_TEST_CLOCK(clock_); }
  static void push(Rig& rig, int n, GstClockTime pts) {
    rig.push_rgb(rgb_frame(n, pts));
    rig.push_depth(depth_frame(n, pts));
  }
  /// If the element waits for a time, it is that time now.
  void reach_deadline() {
    GstClockID id = nullptr;
    if (gst_test_clock_peek_next_pending_id(clock(), &id)) {
      gst_test_clock_set_time(clock(), MAX(gst_clock_get_time(clock_), gst_clock_id_get_time(id)));
      gst_clock_id_unref(id);
      if (GstClockID done = gst_test_clock_process_next_clock_id(clock())) gst_clock_id_unref(done);
    }
    std::this_thread::yield();
  }
  struct Latency {
    bool live;
    GstClockTime min, max;
  };
  static Latency latency(Rig& rig) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), "src");
    GstQuery* query = gst_query_new_latency();
    EXPECT_TRUE(gst_pad_query(pad, query));
    gboolean live;
    Latency result;
    gst_query_parse_latency(query, &live, &result.min, &result.max);
    result.live = live;
    gst_query_unref(query);
    gst_object_unref(pad);
    return result;
  }
  GstClock* clock_ = nullptr;
};

}  // namespace rgbd::testing
