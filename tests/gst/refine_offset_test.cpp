// SPDX-License-Identifier: Apache-2.0
// Pad offsets, the usual cure for a skew between two cameras: frames pair by the running time that they get.
#include <atomic>
#include <thread>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::kFrame;
using rgbd::testing::Output;
using rgbd::testing::Rig;

void set_offset(Rig& rig, const char* pad_name, int frames) {
  GstPad* pad = gst_element_get_static_pad(rig.refine(), pad_name);
  gst_pad_set_offset(pad, frames * static_cast<gint64>(kFrame));
  gst_object_unref(pad);
}

std::vector<Output> run(Rig& rig) {
  EXPECT_TRUE(fake_rgbd::reset());
  EXPECT_TRUE(rig.play());
  for (int n = 0; n < 10; ++n) rig.push_pair(n);
  rig.end();
  return rig.pull_all();
}

TEST(Offset, FramesBeforeRunningTimeBeginsHaveNoPartner) {
  for (const char* moved : {"depth", "rgb"}) {
    SCOPED_TRACE(moved);
    Rig rig;
    set_offset(rig, moved, -3);
    auto frames = run(rig);
    ASSERT_EQ(frames.size(), 7u);
    bool depth = std::string(moved) == "depth";
    for (int n = 0; n < 7; ++n) {
      EXPECT_EQ(frames[n].rgb_number, depth ? n : n + 3);
      EXPECT_EQ(frames[n].depth_number, depth ? n + 3 : n);
    }
    EXPECT_EQ(rig.stat("dropped-unpaired-rgb"), 3u);
    // The end of the colour stream ends the output; what depth is left then is not looked at.
    EXPECT_EQ(rig.stat("dropped-unpaired-depth"), depth ? 3u : 0u);
    EXPECT_EQ(rig.count_now(GST_MESSAGE_WARNING), 0) << "every frame has a timestamp";
  }
}

// The base class takes the element's lock and then the pads' when its property `latency` changes; who asks
// for the element's lock while a frame is looked at holds the pad's.
TEST(Offset, FramesBeforeRunningTimeAndANewLatencyDoNotWaitForEachOther) {
  Rig rig;
  set_offset(rig, "rgb", -1000000);
  set_offset(rig, "depth", -1000000);
  ASSERT_TRUE(fake_rgbd::reset());
  ASSERT_TRUE(rig.play());
  std::atomic<bool> ended = false;
  std::thread setter([&] {
    for (guint64 ns = 1; !ended; ++ns) g_object_set(rig.refine(), "latency", ns % 2, nullptr);
  });
  for (int n = 0; n < 5000; ++n) rig.push_pair(n);
  rig.end();
  EXPECT_EQ(rig.pull_all().size(), 5000u) << "each has its partner, before the start of time or after";
  ended = true;
  setter.join();
}

TEST(Offset, AFrameJustBeforeRunningTimeStillHasItsPartner) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig;
  GstPad* depth = gst_element_get_static_pad(rig.refine(), "depth");
  gst_pad_set_offset(depth, -5 * gint64{GST_MSECOND});
  gst_object_unref(depth);
  auto frames = run(rig);
  ASSERT_EQ(frames.size(), 10u);
  for (int n = 0; n < 10; ++n) EXPECT_EQ(frames[n].depth_number, n);
  EXPECT_EQ(rig.stat("skew-max"), 5 * GST_MSECOND);
}

TEST(Offset, FramesThatTheSegmentsStartCutsPairByTheirOwnTimes) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.time = 50 * GST_MSECOND;
  for (const char* name : {"rgb", "depth"}) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), name);
    EXPECT_TRUE(gst_pad_send_event(pad, gst_event_new_segment(&segment)));
    gst_object_unref(pad);
  }
  // Both reach into the segment, and lie a frame apart.
  rig.push_rgb(rgbd::testing::rgb_frame(1, kFrame));
  rig.push_depth(rgbd::testing::depth_frame(1, 0, 2 * kFrame));
  rig.push_pair(2);
  rig.end();
  auto frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].rgb_number, 2);
  EXPECT_EQ(frames[0].depth_number, 2);
}

TEST(Offset, OfBothPadsIsNoMatter) {
  Rig rig;
  set_offset(rig, "rgb", 3);
  set_offset(rig, "depth", 3);
  auto frames = run(rig);
  ASSERT_EQ(frames.size(), 10u);
  for (int n = 0; n < 10; ++n) EXPECT_EQ(frames[n].depth_number, n);
}

TEST(Offset, ByOrderTheFirstGoesWithTheFirstWhateverTheOffset) {
  Rig rig("sync-mode=order");
  set_offset(rig, "depth", -3);
  auto frames = run(rig);
  ASSERT_EQ(frames.size(), 10u);
  for (int n = 0; n < 10; ++n) EXPECT_EQ(frames[n].depth_number, frames[n].rgb_number);
}

}  // namespace
