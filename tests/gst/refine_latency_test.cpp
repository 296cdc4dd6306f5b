// SPDX-License-Identifier: Apache-2.0
// What the LATENCY query answers, and the warm-up that makes the answer true before the first frame.
#include <chrono>
#include <thread>

#include "gst/refine/latency.h"
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/live.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::ends_by_itself;
using rgbd::testing::frame_of;
using rgbd::testing::kFrame;
using rgbd::testing::Live;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

constexpr uint64_t kMs = GST_MSECOND;

TEST(LatencyEstimate, RisesAtOnceAndSinksSlowly) {
  rgbd::refine::LatencyEstimate estimate;
  estimate.reset(100 * kMs);
  EXPECT_EQ(estimate.reported_ns(), 115 * kMs) << "with a reserve of 15 %";
  EXPECT_FALSE(estimate.add(110 * kMs)) << "inside the reserve";
  auto raised = estimate.add(200 * kMs);
  ASSERT_TRUE(raised);
  EXPECT_EQ(*raised, 230 * kMs);
  // Of 30 frames the second slowest counts, of 128 the seventh.
  int after = 0;
  std::optional<uint64_t> lowered;
  for (; !lowered && after < 100; ++after) lowered = estimate.add(50 * kMs);
  EXPECT_EQ(after, 28) << "one slow frame does not make the pipeline's latency jump to and fro";
  EXPECT_EQ(lowered, 126500000u);
  for (int i = 0; i < 128; ++i) estimate.add(50 * kMs);
  EXPECT_EQ(estimate.reported_ns(), 57500000u);
}

TEST(LatencyEstimate, ForAnotherModelHoldsUntilItsTimesTell) {
  rgbd::refine::LatencyEstimate estimate;
  estimate.reset(100 * kMs);
  estimate.forget();
  EXPECT_FALSE(estimate.add(5 * kMs)) << "one fast frame does not lower it";
  EXPECT_EQ(estimate.reported_ns(), 115 * kMs);
  EXPECT_TRUE(estimate.add(200 * kMs)) << "a slow one raises it";
}

std::string rgb_caps(int width, int height) {
  return "video/x-raw,format=RGB,framerate=30/1,width=" + std::to_string(width) +
         ",height=" + std::to_string(height);
}

TEST_F(Live, LatencyIsUpstreamsAFrameAndTheInference) {
  Rig rig("", "", true);
  play(rig, 100);
  push(rig, 0, 0);
  ASSERT_TRUE(rig.pull());
  Latency before = latency(rig);
  EXPECT_TRUE(before.live);
  EXPECT_GE(before.min, 100 * kMs + kFrame);
  rig.count_now(GST_MESSAGE_LATENCY);
  fake_rgbd::hold();
  push(rig, 1, kFrame);
  ASSERT_TRUE(fake_rgbd::wait_until_waited_for());
  GstClockTime slower = before.min - 100 * kMs - kFrame + 60 * kMs;
  std::this_thread::sleep_for(std::chrono::nanoseconds(slower));  // stands for work
  fake_rgbd::release();
  ASSERT_TRUE(rig.pull());
  GstMessage* message = rig.message(GST_MESSAGE_LATENCY);
  ASSERT_NE(message, nullptr) << "a slower model than thought";
  gst_message_unref(message);
  Latency after = latency(rig);
  EXPECT_GE(after.min, 100 * kMs + kFrame + slower);
  EXPECT_GE(after.max, after.min + 2 * kFrame) << "each pad holds two frames";
  EXPECT_LT(after.max, 100 * GST_SECOND) << "finite";
  EXPECT_EQ(after.max - after.min, 2 * kFrame);
}

TEST_F(Live, TheFrameInTheLatencyIsThatOfWhicheverCapsTell) {
  for (bool rgb_first : {true, false}) {
    SCOPED_TRACE(rgb_first);
    Rig rig("", "", true);
    rig.set_rgb_caps("video/x-raw,format=RGB,width=16,height=16,framerate=0/1");
    rig.set_depth_caps("video/x-raw,format=GRAY16_LE,width=16,height=16,framerate=5/1");
    play(rig);
    if (rgb_first) rig.push_rgb(rgb_frame(0, 0));
    rig.push_depth(depth_frame(0, 0));
    if (!rgb_first) rig.push_rgb(rgb_frame(0, 0));
    ASSERT_TRUE(rig.pull());
    EXPECT_GE(latency(rig).min, 200 * kMs);
  }
}

TEST_F(Live, TheWarmUpTellsTheLatencyBeforeTheFirstFrame) {
  Rig rig("model=fake:warm=40,delay=40", "", true);  // as long in PAUSED as for the size in the caps
  play(rig, 100);
  EXPECT_GE(latency(rig).min, 100 * kMs + kFrame + 46 * kMs) << "with the reserve";
}

TEST_F(Live, TheModelIsWarmBeforeTheFirstFrameAndAfterANewSize) {
  Rig rig("", "", true);
  rig.set_rgb_caps(rgb_caps(640, 480));  // appsrc does not say so before it runs: the usual size is assumed
  play(rig);
  rig.push_rgb(frame_of(rgb_caps(640, 480), 0));
  rig.push_depth(depth_frame(0, 0));
  ASSERT_TRUE(rig.pull());
  EXPECT_EQ(fake_rgbd::warm_ups(), 2u) << "the second one is measured; no more for the same size";
  rig.set_rgb_caps(rgb_caps(32, 32));
  rig.push_rgb(frame_of(rgb_caps(32, 32), 1));
  rig.push_depth(depth_frame(1, kFrame));
  ASSERT_TRUE(rig.pull());
  EXPECT_EQ(fake_rgbd::pairs_run(), 2u + 2u) << "the new size is warmed up with two made-up pairs";
}

TEST_F(Live, AStateChangeOrASeekCancelsTheWarmUpForANewSize) {
  for (GstState to : {GST_STATE_READY, GST_STATE_NULL, GST_STATE_PLAYING}) {
    SCOPED_TRACE(gst_element_state_get_name(to));
    ASSERT_TRUE(fake_rgbd::reset());
    Rig rig("", "", true);
    rig.make_seekable();
    play(rig);
    push(rig, 0, 0);
    ASSERT_TRUE(rig.pull());
    fake_rgbd::hold();
    rig.set_rgb_caps(rgb_caps(32, 32));
    rig.push_rgb(frame_of(rgb_caps(32, 32), 1));
    ASSERT_TRUE(fake_rgbd::wait_until_waited_for());
    ASSERT_EQ(fake_rgbd::last_depth().width, 32) << "a made-up pair";
    auto interrupt = [&] { to == GST_STATE_PLAYING ? rig.seek(0) : rig.set_state(to); };
    EXPECT_TRUE(ends_by_itself(interrupt, fake_rgbd::release));
    EXPECT_TRUE(fake_rgbd::wait_until_cancelled());
    fake_rgbd::release();
    ASSERT_TRUE(rig.play());
    rig.push_rgb(frame_of(rgb_caps(32, 32), 2));
    rig.push_depth(depth_frame(2, 2 * kFrame));
    auto out = rig.pull();
    ASSERT_TRUE(out) << "and the element lives";
    EXPECT_EQ(out->rgb_number, 2);
  }
}

TEST_F(Live, AFileNeedsNoWarmUp) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  EXPECT_EQ(fake_rgbd::warm_ups(), 0u);
  EXPECT_FALSE(latency(rig).live);
}

}  // namespace
