// SPDX-License-Identifier: Apache-2.0
// How long a frame waits for its partner, and what becomes of it then.
#include <string>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/live.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::kFrame;
using rgbd::testing::Live;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

constexpr uint64_t kMs = GST_MSECOND;

TEST_F(Live, ASilentDepthPadIsWaitedForAFrameAndNoLonger) {
  Rig rig("skip-policy=repeat", "", true);
  play(rig, 100);
  push(rig, 0, 0);
  ASSERT_TRUE(rig.pull());
  // Later than the inference of the frame before can have taken: no deadline lies before the start.
  constexpr GstClockTime kAlone = 60 * GST_SECOND;
  rig.push_rgb(rgb_frame(1, kAlone));
  GstClockID id = nullptr;
  gst_test_clock_wait_for_next_pending_id(clock(), &id);
  EXPECT_EQ(gst_clock_id_get_time(id), kAlone + 100 * kMs + kFrame)
      << "upstream's latency and one frame; the time for inference is not waited";
  gst_clock_id_unref(id);
  gst_test_clock_crank(clock());
  auto repeated = rig.pull();
  ASSERT_TRUE(repeated);
  EXPECT_EQ(repeated->pts, kAlone);
  EXPECT_EQ(repeated->rgb_number, -1);
  EXPECT_EQ(gst_test_clock_peek_id_count(clock()), 0u) << "nothing waits, so no deadline";
  // Depth that comes too late is no reason to stop.
  rig.push_depth(depth_frame(1, kAlone));
  push(rig, 2, kAlone + kFrame);
  auto next = rig.pull();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->rgb_number, 2);
  EXPECT_EQ(next->depth_number, 2);
  EXPECT_EQ(rig.stat("dropped-unpaired-depth"), 1u);
}

TEST_F(Live, AFrameThatComesLateStillWaitsForItsPartner) {
  struct {
    const char* properties;
    GstClockTime age, waits;  // ns; how long after its arrival
  } const cases[] = {{"", kFrame / 2, kFrame},
                     {"", kFrame + 10 * kMs, kFrame * 3 / 4 - 10 * kMs},  // leaky would drop it soon after
                     {"leaky=none", 100 * kFrame, kFrame}};
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.properties) + " " + std::to_string(c.age));
    Rig rig(c.properties, "", true);
    gst_test_clock_set_time(clock(), gst_clock_get_time(clock_) + 20 * GST_SECOND);
    play(rig);
    push(rig, 0, 0);
    ASSERT_TRUE(rig.pull());
    GstClockTime now = gst_clock_get_time(clock_) + 20 * GST_SECOND;
    gst_test_clock_set_time(clock(), now);
    GstClockTime pts = now - gst_element_get_base_time(rig.pipeline()) - c.age;
    rig.push_rgb(rgb_frame(1, pts));
    GList* waiting = nullptr;
    ASSERT_TRUE(gst_test_clock_timed_wait_for_multiple_pending_ids(clock(), 1, 10000, &waiting))
        << "dropped at once";
    EXPECT_NEAR(static_cast<double>(gst_clock_id_get_time(waiting->data)), static_cast<double>(now + c.waits),
                2);
    g_list_free_full(waiting, gst_clock_id_unref);
    rig.push_depth(depth_frame(1, pts));
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->rgb_number, 1);
    EXPECT_EQ(rig.stat("dropped-unpaired-rgb"), 0u);
  }
}

TEST_F(Live, AFrameThatIsTooOldWhenItComesIsDroppedWithItsDepth) {
  Rig rig("skip-policy=repeat", "", true);
  play(rig);
  push(rig, 0, 0);
  ASSERT_TRUE(rig.pull());
  GstClockTime now = gst_clock_get_time(clock_) + 20 * GST_SECOND;
  gst_test_clock_set_time(clock(), now);
  GstClockTime pts = now - gst_element_get_base_time(rig.pipeline()) - 2 * kFrame - kMs;
  rig.push_rgb(rgb_frame(1, pts));
  while (rig.stat("dropped-late") == 0) reach_deadline();
  EXPECT_EQ(gst_clock_get_time(clock_), now) << "there was nothing to wait for";
  rig.push_depth(depth_frame(1, pts));
  push(rig, 2, pts + 2 * kFrame);
  auto next = rig.pull();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->rgb_number, 2);
  EXPECT_EQ(rig.stat("dropped-late"), 1u);
  EXPECT_EQ(rig.stat("dropped-unpaired-depth"), 0u) << "counted once, for its colour frame";
}

TEST_F(Live, SkipPolicyHoldsForAsLongAsADepthPadIsSilent) {
  for (const char* policy : {"repeat", "drop"}) {
    SCOPED_TRACE(policy);
    ASSERT_TRUE(fake_rgbd::reset());
    Rig rig(std::string("skip-policy=") + policy, "", true);
    play(rig);
    GstClockTime base = gst_element_get_base_time(rig.pipeline());
    gst_test_clock_set_time(clock(), base + 60 * GST_SECOND);
    push(rig, 0, 60 * GST_SECOND);
    ASSERT_TRUE(rig.pull());
    constexpr int kFrames = 100;
    bool repeats = std::string(policy) == "repeat";
    for (int n = 1; n <= kFrames; ++n) {
      GstClockTime pts = 60 * GST_SECOND + n * kFrame;
      // A camera goes on while its frames wait; this one is a frame ahead of each deadline.
      gst_test_clock_set_time(clock(), MAX(gst_clock_get_time(clock_), base + pts));
      rig.push_rgb(rgb_frame(n % 200, pts));
      auto handled = [&] {
        return rig.stat("repeated") + rig.stat("dropped-unpaired-rgb") + rig.stat("dropped-late");
      };
      while (handled() < static_cast<uint64_t>(n)) reach_deadline();
      if (!repeats) continue;
      auto out = rig.pull();
      ASSERT_TRUE(out) << "frame " << n;
      EXPECT_EQ(out->pts, pts);
    }
    EXPECT_EQ(rig.stat("dropped-late"), 0u) << "waiting for depth is no lateness";
    EXPECT_EQ(rig.stat("dropped-unpaired-rgb"), repeats ? 0u : unsigned{kFrames});
    EXPECT_EQ(rig.warning_text(),
              "No frame has come on the depth pad for a second, while the rgb pad gets some; they have no "
              "partner.");
    EXPECT_EQ(rig.count_now(GST_MESSAGE_WARNING), 0) << "said once";
    // Depth comes again.
    GstClockTime pts = 60 * GST_SECOND + (kFrames + 1) * kFrame;
    push(rig, 7, pts);
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->rgb_number, 7);
  }
}

}  // namespace
