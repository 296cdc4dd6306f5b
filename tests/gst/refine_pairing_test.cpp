// SPDX-License-Identifier: Apache-2.0
// Which frames become a pair: the rule by itself, then in pipelines whose frames carry numbers.
#include <gst/check/gstharness.h>

#include <algorithm>
#include <iterator>
#include <random>

#include "gst/refine/pairing.h"
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using namespace rgbd::refine;
using rgbd::testing::depth_frame;
using rgbd::testing::kFrame;
using rgbd::testing::Output;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

Head frame(int64_t time) {
  return {true, false, false, time, time == kUntimed ? time : time + 33};
}
Head gap(int64_t from, int64_t to) {
  return {true, false, true, from, to};
}
Head empty() {
  return {};
}
Head ended() {
  return {false, true};
}
const PairingRule kByTime{false, 16};
const PairingRule kByOrder{true, 0};

TEST(Decide, PairsWithinTheTolerance) {
  EXPECT_EQ(decide(frame(100), frame(100), kByTime, false), Step::kPair);
  EXPECT_EQ(decide(frame(100), frame(116), kByTime, false), Step::kPair);
  EXPECT_EQ(decide(frame(116), frame(100), kByTime, false), Step::kPair);
  EXPECT_EQ(decide(frame(100), frame(117), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(frame(117), frame(100), kByTime, false), Step::kDepthAlone);
}

TEST(Decide, WaitsOnlyForWhatCanStillCome) {
  EXPECT_EQ(decide(frame(0), empty(), kByTime, false), Step::kWait);
  EXPECT_EQ(decide(empty(), frame(0), kByTime, false), Step::kWait);
  EXPECT_EQ(decide(empty(), empty(), kByTime, true), Step::kWait);
  EXPECT_EQ(decide(frame(0), empty(), kByTime, true), Step::kRgbAlone);
  EXPECT_EQ(decide(empty(), frame(0), kByTime, true), Step::kDepthAlone);
  EXPECT_EQ(decide(frame(0), ended(), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(ended(), frame(0), kByTime, false), Step::kEos);
  EXPECT_EQ(decide(ended(), ended(), kByTime, false), Step::kEos);
}

TEST(Decide, GapsStandForNoData) {
  EXPECT_EQ(decide(frame(40), gap(33, 100), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(frame(0), gap(33, 100), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(frame(99), gap(33, 100), kByTime, false), Step::kDepthAlone)
      << "the next depth may be at 100";
  EXPECT_EQ(decide(gap(0, 33), frame(0), kByTime, false), Step::kRgbGap);
  EXPECT_EQ(decide(gap(0, 33), empty(), kByTime, false), Step::kRgbGap);
}

TEST(Decide, OrderIgnoresTimes) {
  EXPECT_EQ(decide(frame(0), frame(100000), kByOrder, false), Step::kPair);
  EXPECT_EQ(decide(frame(0), gap(100000, 200000), kByOrder, false), Step::kRgbNoDepth);
  EXPECT_EQ(decide(gap(0, 1), frame(100000), kByOrder, false), Step::kRgbGapPair);
  EXPECT_EQ(decide(frame(kUntimed), frame(100), kByTime, false), Step::kPair) << "no timestamp: by order";
  EXPECT_EQ(decide(frame(100), frame(kUntimed), kByTime, false), Step::kPair);
}

class Pairing : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }
  static void expect_matching(const std::vector<Output>& frames) {
    for (const Output& frame : frames) EXPECT_EQ(frame.depth_number, frame.rgb_number);
  }
};

TEST_F(Pairing, EveryPairComesOutOnceAndInOrder) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 20; ++n) rig.push_pair(n);
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 20u);
  for (int n = 0; n < 20; ++n) {
    EXPECT_EQ(frames[n].rgb_number, n);
    EXPECT_EQ(frames[n].depth_number, n);
    EXPECT_EQ(frames[n].pts, n * kFrame);
  }
  EXPECT_EQ(rig.stat("pairs-in"), 20u);
  EXPECT_EQ(rig.stat("pairs-out"), 20u);
}

/// Frames 0, 1, 2, … of both streams, each with a chance to be missing and with jitter well below half a
/// frame.
struct Stream {
  std::vector<int> rgb, depth;
  std::vector<GstClockTime> rgb_time, depth_time;
};

Stream jittery_stream(unsigned seed, int count) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int64_t> jitter(-int64_t{kFrame} / 5, int64_t{kFrame} / 5);
  std::bernoulli_distribution missing(0.15);
  Stream stream;
  for (int n = 1; n <= count; ++n) {
    GstClockTime time = static_cast<GstClockTime>(n) * kFrame;
    GstClockTime rgb_time = time + jitter(random), depth_time = time + jitter(random);
    if (!missing(random)) {
      stream.rgb.push_back(n);
      stream.rgb_time.push_back(rgb_time);
    }
    if (!missing(random)) {
      stream.depth.push_back(n);
      stream.depth_time.push_back(depth_time);
    }
  }
  return stream;
}

TEST_F(Pairing, JitterAndMissingFramesNeverMispair) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Stream stream = jittery_stream(seed, 100);
    Rig rig;
    ASSERT_TRUE(rig.play());
    for (size_t i = 0; i < stream.rgb.size(); ++i) rig.push_rgb(rgb_frame(stream.rgb[i], stream.rgb_time[i]));
    for (size_t i = 0; i < stream.depth.size(); ++i) {
      rig.push_depth(depth_frame(stream.depth[i], stream.depth_time[i]));
    }
    rig.end();
    std::vector<int> both;
    std::set_intersection(stream.rgb.begin(), stream.rgb.end(), stream.depth.begin(), stream.depth.end(),
                          std::back_inserter(both));
    std::vector<int> came;
    std::vector<Output> frames = rig.pull_all();
    expect_matching(frames);
    for (const Output& frame : frames) came.push_back(frame.rgb_number);
    EXPECT_EQ(came, both);
    EXPECT_EQ(rig.stat("dropped-unpaired-rgb"), stream.rgb.size() - both.size());
    EXPECT_LE(rig.stat("skew-max"), kFrame / 2);
    EXPECT_GT(rig.stat("skew-max"), 0u);
  }
}

TEST_F(Pairing, FastColourAndSlowDepth) {
  Rig rig("skip-policy=repeat");
  rig.set_depth_caps("video/x-raw,format=GRAY16_LE,width=16,height=16,framerate=15/1");
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 20; ++n) rig.push_rgb(rgb_frame(n, n * kFrame));
  for (int n = 0; n < 20; n += 2) rig.push_depth(depth_frame(n, n * kFrame, 2 * kFrame));
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 20u);
  for (int n = 0; n < 20; ++n) {
    EXPECT_EQ(frames[n].rgb_number, n % 2 ? -1 : n) << "every second one repeats";
    EXPECT_EQ(frames[n].depth_number, n / 2 * 2);
    EXPECT_EQ(frames[n].pts, n * kFrame);
  }
}

TEST_F(Pairing, SlowColourAndFastDepthTakesTheNearestDepth) {
  Rig rig;
  rig.set_rgb_caps("video/x-raw,format=RGB,width=16,height=16,framerate=15/1");
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 20; n += 2) rig.push_rgb(rgb_frame(n, n * kFrame, 2 * kFrame));
  for (int n = 0; n < 20; ++n) rig.push_depth(depth_frame(n, n * kFrame));
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  EXPECT_EQ(frames.size(), 10u);
  expect_matching(frames);
}

TEST_F(Pairing, OfTwoDepthFramesWithinTheToleranceTheNearerOneIsTaken) {
  for (const char* rate : {"30/1", "0/1"}) {  // else by the buffers' durations
    SCOPED_TRACE(rate);
    Rig rig("pts-tolerance=50000000");
    rig.set_rgb_caps(std::string("video/x-raw,format=RGB,width=16,height=16,framerate=") + rate);
    rig.set_depth_caps(std::string("video/x-raw,format=GRAY16_LE,width=16,height=16,framerate=") + rate);
    ASSERT_TRUE(rig.play());
    for (int n = 0; n < 10; ++n) {
      if (n != 0 && n != 5) rig.push_rgb(rgb_frame(n, n * kFrame));
      rig.push_depth(depth_frame(n, n * kFrame));
    }
    rig.end();
    std::vector<Output> frames = rig.pull_all();
    EXPECT_EQ(frames.size(), 8u);
    expect_matching(frames);
  }
}

TEST_F(Pairing, SyncModeActsFromTheNextStart) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  rig.set("sync-mode", "order");
  rig.push_rgb(rgb_frame(1, kFrame));
  rig.push_depth(depth_frame(2, 2 * kFrame));
  rig.push_pair(3);
  rig.end();
  auto frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].rgb_number, 3);
}

TEST_F(Pairing, ToleranceIsTheUsersWord) {
  for (bool wide : {false, true}) {
    Rig rig(wide ? "pts-tolerance=100000000" : "pts-tolerance=1000000");
    ASSERT_TRUE(rig.play());
    rig.push_rgb(rgb_frame(1, 0));
    rig.push_depth(depth_frame(1, 50 * GST_MSECOND));
    rig.end();
    EXPECT_EQ(rig.pull_all().size(), wide ? 1u : 0u);
  }
}

TEST_F(Pairing, RunningTimesCountNotTimestamps) {
  Rig rig;
  g_object_set(rig.depth(), "handle-segment-change", TRUE, nullptr);
  ASSERT_TRUE(rig.play());
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.time = 100 * GST_SECOND;
  GstCaps* caps = gst_caps_from_string(rgbd::testing::kDepthCaps);
  for (int n = 0; n < 5; ++n) {
    GstBuffer* depth = depth_frame(n, 100 * GST_SECOND + n * kFrame);
    GstSample* sample = gst_sample_new(depth, caps, &segment, nullptr);
    gst_app_src_push_sample(GST_APP_SRC(rig.depth()), sample);
    gst_sample_unref(sample);
    gst_buffer_unref(depth);
    rig.push_rgb(rgb_frame(n, n * kFrame));
  }
  gst_caps_unref(caps);
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  EXPECT_EQ(frames.size(), 5u);
  expect_matching(frames);
}

TEST_F(Pairing, ADepthStreamThatStartsLateLosesNoPair) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 10; ++n) rig.push_rgb(rgb_frame(n, n * kFrame));
  for (int n = 5; n < 10; ++n) rig.push_depth(depth_frame(n, n * kFrame));
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 5u);
  EXPECT_EQ(frames[0].rgb_number, 5);
  expect_matching(frames);
}

TEST_F(Pairing, DepthThatEndsEarlyLeavesColourToTheSkipPolicy) {
  for (const char* policy : {"drop", "repeat", "raw"}) {
    Rig rig(std::string("skip-policy=") + policy);
    ASSERT_TRUE(rig.play());
    for (int n = 0; n < 6; ++n) rig.push_rgb(rgb_frame(n, n * kFrame));
    for (int n = 0; n < 2; ++n) rig.push_depth(depth_frame(n, n * kFrame));
    rig.end();
    EXPECT_EQ(rig.pull_all().size(), std::string(policy) == "repeat" ? 6u : 2u) << policy;
  }
}

TEST_F(Pairing, ColourThatEndsEndsTheOutput) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  gst_app_src_end_of_stream(GST_APP_SRC(rig.rgb()));
  // Depth goes on. (The base class asks only once depth moves; a source that stands still has to end itself.)
  rig.push_depth(depth_frame(1, kFrame));
  EXPECT_EQ(rig.pull_all().size(), 1u);
}

TEST_F(Pairing, OrderPairsUnrelatedClocks) {
  Rig rig("sync-mode=order");
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 5; ++n) {
    rig.push_rgb(rgb_frame(n, n * kFrame));
    rig.push_depth(depth_frame(n, 3600 * GST_SECOND + n * kFrame));
  }
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  EXPECT_EQ(frames.size(), 5u);
  expect_matching(frames);
}

TEST_F(Pairing, FramesWithoutTimestampsArePairedByOrderAndItIsSaidOnce) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 5; ++n) {
    rig.push_rgb(rgb_frame(n, n * kFrame));
    rig.push_depth(depth_frame(n, GST_CLOCK_TIME_NONE));
  }
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  EXPECT_EQ(frames.size(), 5u);
  expect_matching(frames);
  EXPECT_NE(rig.warning_text().find("depth"), std::string::npos);
  EXPECT_EQ(rig.count_now(GST_MESSAGE_WARNING), 0);
}

TEST_F(Pairing, TimestampsThatJumpBackNeverMispair) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  const int numbers[] = {0, 1, 2, 1, 2, 3, 4};
  for (int n : numbers) rig.push_rgb(rgb_frame(n, n * kFrame));
  for (int n = 0; n < 5; ++n) rig.push_depth(depth_frame(n, n * kFrame));
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  EXPECT_EQ(frames.size(), 5u);
  expect_matching(frames);
}

TEST_F(Pairing, ADepthGapFreesTheColourFrameAtOnce) {
  for (const char* policy : {"drop", "raw", "repeat"}) {
    SCOPED_TRACE(policy);
    Rig rig(std::string("skip-policy=") + policy);
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    rig.push_rgb(rgb_frame(1, kFrame));
    rig.push_gap(rig.depth(), kFrame, kFrame);
    ASSERT_TRUE(rig.pull());
    if (std::string(policy) == "repeat") {
      auto repeated = rig.pull();
      ASSERT_TRUE(repeated);
      EXPECT_EQ(repeated->rgb_number, -1);
      EXPECT_EQ(repeated->depth_number, 0);
      EXPECT_EQ(repeated->pts, kFrame);
    }
    rig.push_pair(2);
    auto next = rig.pull();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->rgb_number, 2);
    EXPECT_EQ(next->depth_number, 2);
  }
}

/// Counts GAP events on their way to the sink.
GstPadProbeReturn count_gaps(GstPad*, GstPadProbeInfo* info, gpointer data) {
  GstEvent* event = GST_PAD_PROBE_INFO_EVENT(info);
  if (GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
    GstClockTime time;
    gst_event_parse_gap(event, &time, nullptr);
    static_cast<std::vector<GstClockTime>*>(data)->push_back(time);
  }
  return GST_PAD_PROBE_OK;
}

TEST_F(Pairing, AColourGapGoesOutAsAGap) {
  Rig rig;
  std::vector<GstClockTime> gaps;
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  gst_pad_add_probe(src, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, count_gaps, &gaps, nullptr);
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  rig.push_gap(rig.rgb(), kFrame, kFrame);
  rig.push_depth(depth_frame(1, kFrame));
  rig.push_pair(2);
  auto next = rig.pull();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->rgb_number, 2);
  EXPECT_EQ(next->depth_number, 2);
  EXPECT_EQ(gaps, std::vector<GstClockTime>{kFrame});
  EXPECT_EQ(rig.stat("dropped-unpaired-depth"), 1u);
  gst_object_unref(src);
}

TEST_F(Pairing, InferenceIntervalAndSkipPolicy) {
  for (const char* policy : {"drop", "raw", "repeat"}) {
    SCOPED_TRACE(policy);
    ASSERT_TRUE(fake_rgbd::reset());
    Rig rig(std::string("inference-interval=3 skip-policy=") + policy);
    ASSERT_TRUE(rig.play());
    for (int n = 0; n < 9; ++n) rig.push_pair(n);
    rig.end();
    std::vector<Output> frames = rig.pull_all();
    bool drop = std::string(policy) == "drop", raw = std::string(policy) == "raw";
    ASSERT_EQ(frames.size(), drop ? 3u : 9u);
    for (size_t i = 0; i < frames.size(); ++i) {
      int n = static_cast<int>(drop ? 3 * i : i);
      bool refined = n % 3 == 0;
      EXPECT_EQ(frames[i].pts, n * kFrame);
      EXPECT_EQ(frames[i].rgb_number, refined ? n : -1);
      EXPECT_EQ(frames[i].depth_number, refined || raw ? n : n / 3 * 3);
    }
    EXPECT_EQ(fake_rgbd::pairs_run(), 3u);
    EXPECT_EQ(rig.stat("dropped-interval"), drop ? 6u : 0u);
  }
}

TEST_F(Pairing, SkewIsInTheMetaOfARawFrame) {
  Rig rig("inference-interval=2 skip-policy=raw");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  rig.push_rgb(rgb_frame(1, kFrame));
  rig.push_depth(depth_frame(1, kFrame + GST_MSECOND));
  ASSERT_TRUE(rig.pull());
  auto raw = rig.pull();
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->skew, int64_t{GST_MSECOND});
}

TEST_F(Pairing, OneThreadThatAlternatesThePadsNeedsNoQueues) {
  GstElement* refine = gst_element_factory_make("rgbdrefine", nullptr);
  gst_object_ref_sink(refine);
  GstHarness* rgb = gst_harness_new_with_element(refine, "rgb", "src");
  GstHarness* depth = gst_harness_new_with_element(refine, "depth", nullptr);
  gst_harness_set_live(rgb, FALSE);
  gst_harness_set_live(depth, FALSE);
  gst_harness_set_src_caps_str(rgb, rgbd::testing::kRgbCaps);
  gst_harness_set_src_caps_str(depth, rgbd::testing::kDepthCaps);
  gst_harness_play(rgb);
  for (int n = 0; n < 30; ++n) {
    ASSERT_EQ(gst_harness_push(rgb, rgb_frame(n, n * kFrame)), GST_FLOW_OK);
    ASSERT_EQ(gst_harness_push(depth, depth_frame(n, n * kFrame)), GST_FLOW_OK);
  }
  for (int n = 0; n < 30; ++n) {
    GstBuffer* out = gst_harness_pull(rgb);
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(GST_BUFFER_PTS(out), n * kFrame);
    gst_buffer_unref(out);
  }
  gst_harness_teardown(depth);
  gst_harness_teardown(rgb);
  gst_object_unref(refine);
}

}  // namespace
