// SPDX-License-Identifier: Apache-2.0
// rgbdrefine behind a camera: latency, deadlines, age, quality of service. A test clock says what time it is.
#include <gst/check/gsttestclock.h>

#include <chrono>
#include <thread>

#include "gst/refine/latency.h"
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::ends_by_itself;
using rgbd::testing::frame_of;
using rgbd::testing::kFrame;
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
      g_object_set(source, "min-latency", gint64(upstream_ms * kMs), "max-latency", gint64(upstream_ms * kMs),
                   nullptr);
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

TEST_F(Live, OldPairsAreDroppedBeforeInference) {
  struct {
    const char* properties;
    int64_t age;  // ns beyond upstream's latency
    bool comes;
  } const cases[] = {
      {"", 2 * int64_t{kFrame}, true},
      {"", 2 * int64_t{kFrame} + 1, false},
      {"max-pairs=5", 5 * int64_t{kFrame}, true},
      {"max-pairs=5", 5 * int64_t{kFrame} + 1, false},
      {"leaky=none", 9 * int64_t{GST_SECOND}, true},
      {"leaky=downstream", 9 * int64_t{GST_SECOND}, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.properties) + " " + std::to_string(c.age));
    ASSERT_TRUE(fake_rgbd::reset());
    Rig rig(c.properties, "", true);
    play(rig, 100);
    GstClockTime now = gst_clock_get_time(clock_) + 20 * GST_SECOND;
    GstClockTime base = gst_element_get_base_time(rig.pipeline());
    push(rig, 0, gst_clock_get_time(clock_) - base);
    ASSERT_TRUE(rig.pull());
    uint64_t before = fake_rgbd::pairs_run();
    gst_test_clock_set_time(clock(), now);
    push(rig, 1, now - base - 100 * kMs - static_cast<GstClockTime>(c.age));
    push(rig, 2, now - base);
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->rgb_number, c.comes ? 1 : 2);
    if (c.comes) {
      EXPECT_TRUE(rig.pull());
    }
    EXPECT_EQ(rig.stat("dropped-late"), c.comes ? 0u : 1u);
    EXPECT_EQ(fake_rgbd::pairs_run() - before, c.comes ? 2u : 1u);
  }
}

TEST_F(Live, APipelineOfMoreLatencyKeepsThePairsThatItsSinkWillShow) {
  struct {
    int64_t age;  // ns beyond the pipeline's latency, less the time for inference
    bool comes;
  } const cases[] = {{-int64_t{kFrame}, true}, {int64_t{kFrame}, true}, {int64_t{kFrame} + 1, false}};
  constexpr GstClockTime kPipeline = 15 * GST_SECOND;  // more than inference takes on a busy machine
  for (const auto& c : cases) {
    SCOPED_TRACE(c.age);
    Rig rig("model=fake:delay=20", "", true);
    gst_pipeline_set_latency(GST_PIPELINE(rig.pipeline()), kPipeline);
    play(rig, 100);
    GstClockTime base = gst_element_get_base_time(rig.pipeline());
    push(rig, 0, gst_clock_get_time(clock_) - base);
    ASSERT_TRUE(rig.pull());
    GstClockTime inference = latency(rig).min - 100 * kMs - kFrame;
    EXPECT_GE(inference, 20 * kMs);
    GstClockTime now = gst_clock_get_time(clock_) + 20 * GST_SECOND;
    gst_test_clock_set_time(clock(), now);
    push(rig, 1, now - base - (kPipeline - inference) - static_cast<GstClockTime>(c.age));
    push(rig, 2, now - base);
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->rgb_number, c.comes ? 1 : 2);
    EXPECT_EQ(rig.stat("dropped-late"), c.comes ? 0u : 1u);
  }
}

TEST_F(Live, AFilesPairsAreNeverTooOld) {
  Rig rig;
  gst_pipeline_use_clock(GST_PIPELINE(rig.pipeline()), clock_);
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  gst_test_clock_set_time(clock(), 20 * GST_SECOND);
  rig.push_pair(1);
  EXPECT_TRUE(rig.pull());
}

GstPadProbeReturn count_qos(GstPad*, GstPadProbeInfo* info, gpointer count) {
  *static_cast<int*>(count) += GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_QOS;
  return GST_PAD_PROBE_OK;
}

TEST_F(Live, PairsThatTheSinkWouldDropAreSkippedBeforeInference) {
  for (bool qos : {true, false}) {
    SCOPED_TRACE(qos);
    ASSERT_TRUE(fake_rgbd::reset());
    Rig rig(qos ? "" : "qos=false");
    int forwarded = 0;
    for (GstElement* source : {rig.rgb(), rig.depth()}) {
      GstPad* pad = gst_element_get_static_pad(source, "src");
      gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, count_qos, &forwarded, nullptr);
      gst_object_unref(pad);
    }
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    ASSERT_TRUE(rig.pull());
    GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
    // The frame at 1 came a frame late: what comes before 1 + 2 * lateness + one frame cannot be in time.
    EXPECT_TRUE(gst_pad_send_event(
        src, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 1.5, GstClockTimeDiff{kFrame}, kFrame)));
    gst_object_unref(src);
    for (int n = 1; n <= 8; ++n) rig.push_pair(n);
    rig.end();
    auto frames = rig.pull_all();
    ASSERT_EQ(frames.size(), qos ? 4u : 8u);
    EXPECT_EQ(frames[0].rgb_number, qos ? 5 : 1);
    EXPECT_EQ(rig.stat("dropped-qos"), qos ? 4u : 0u);
    EXPECT_EQ(fake_rgbd::pairs_run(), qos ? 5u : 9u);
    EXPECT_EQ(forwarded, 0) << "the two sources would drop different frames";
    if (!qos) {
      EXPECT_EQ(rig.count_now(GST_MESSAGE_QOS), 0);
      continue;
    }
    for (int n = 1; n <= 4; ++n) {
      GstMessage* message = rig.message(GST_MESSAGE_QOS);
      ASSERT_NE(message, nullptr) << n;
      guint64 running_time, stream_time, timestamp, processed, dropped;
      gint64 jitter;
      gdouble proportion;
      GstFormat format;
      gst_message_parse_qos(message, nullptr, &running_time, &stream_time, &timestamp, nullptr);
      gst_message_parse_qos_values(message, &jitter, &proportion, nullptr);
      gst_message_parse_qos_stats(message, &format, &processed, &dropped);
      EXPECT_EQ(running_time, n * kFrame);
      EXPECT_EQ(stream_time, n * kFrame);
      EXPECT_EQ(timestamp, n * kFrame);
      EXPECT_EQ(jitter, int64_t{(4 - n) * int64_t{kFrame}});
      EXPECT_DOUBLE_EQ(proportion, 1.5);
      EXPECT_EQ(format, GST_FORMAT_BUFFERS);
      EXPECT_EQ(processed, 1u);
      EXPECT_EQ(dropped, static_cast<guint64>(n));
      gst_message_unref(message);
    }
  }
}

TEST_F(Live, ANewSegmentForgetsWhatTheSinkSaid) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  gst_pad_send_event(src, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 1.5, 9 * GST_SECOND, kFrame));
  gst_object_unref(src);
  GstPad* rgb = gst_element_get_static_pad(rig.refine(), "rgb");
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  ASSERT_TRUE(gst_pad_send_event(rgb, gst_event_new_segment(&segment)));
  gst_object_unref(rgb);
  rig.push_pair(1);
  EXPECT_TRUE(rig.pull());
}

TEST_F(Live, AFlushForgetsWhatTheSinkSaid) {
  Rig rig;
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  gst_pad_send_event(src, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 1.5, 9 * GST_SECOND, kFrame));
  gst_object_unref(src);
  ASSERT_TRUE(rig.seek(0));
  rig.push_pair(1);
  EXPECT_TRUE(rig.pull());
}

}  // namespace
