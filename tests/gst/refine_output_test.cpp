// SPDX-License-Identifier: Apache-2.0
// What leaves the src pad besides frames: gaps for colour frames that came to nothing, flags, memory.
#include <mutex>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::kFrame;
using rgbd::testing::kSide;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

/// Writes down what passes a pad: "buffer 2", "discont 3", "gap 1", in frames.
class Trace {
 public:
  explicit Trace(GstElement* element) : pad_(gst_element_get_static_pad(element, "src")) {
    auto type = static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM);
    id_ = gst_pad_add_probe(pad_, type, note, this, nullptr);
  }
  ~Trace() {
    gst_pad_remove_probe(pad_, id_);
    gst_object_unref(pad_);
  }
  Trace(const Trace&) = delete;
  std::vector<std::string> read() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  static GstPadProbeReturn note(GstPad*, GstPadProbeInfo* info, gpointer data) {
    auto* self = static_cast<Trace*>(data);
    std::lock_guard lock(self->mutex_);
    GstClockTime time = 0, duration = kFrame;
    if (GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info); GST_IS_BUFFER(buffer)) {
      bool discont = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT);
      self->lines_.push_back((discont ? "discont " : "buffer ") +
                             std::to_string(GST_BUFFER_PTS(buffer) / kFrame));
    } else if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_GAP) {
      gst_event_parse_gap(GST_PAD_PROBE_INFO_EVENT(info), &time, &duration);
      self->lines_.push_back("gap " + std::to_string(time / kFrame));
      EXPECT_EQ(duration, kFrame);
    }
    return GST_PAD_PROBE_OK;
  }
  GstPad* pad_;
  gulong id_;
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

using Lines = std::vector<std::string>;

class Output : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }
  void TearDown() override { fake_rgbd::release(); }
};

TEST_F(Output, WhatIntervalSkipsIsAGapAndThenADiscontinuity) {
  Rig rig("inference-interval=3");
  Trace trace(rig.refine());
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 5; ++n) rig.push_pair(n);
  rig.end();
  rig.pull_all();
  // The first buffer of an appsrc is a discontinuity.
  EXPECT_EQ(trace.read(), (Lines{"discont 0", "gap 1", "gap 2", "discont 3", "gap 4"}));
}

TEST_F(Output, SoIsAColourFrameWithoutDepthABadOneAndOneThatTheSinkWouldDrop) {
  Rig rig;
  Trace trace(rig.refine());
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  rig.push_pair(1);
  rig.push_rgb(rgb_frame(2, 2 * kFrame));
  rig.push_gap(rig.depth(), 2 * kFrame, kFrame);
  rig.push_pair(3);
  rig.push_pair(4);
  GstBuffer* cut = depth_frame(5, 5 * kFrame);
  gst_buffer_set_size(cut, 10);
  rig.push_rgb(rgb_frame(5, 5 * kFrame));
  rig.push_depth(cut);
  rig.push_pair(6);
  rig.push_pair(7);
  for (int n : {0, 1, 3, 4, 6, 7}) {
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->rgb_number, n);
  }
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  gst_pad_send_event(src, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 1.5, GstClockTimeDiff{0}, 8 * kFrame));
  gst_object_unref(src);
  for (int n = 8; n < 11; ++n) rig.push_pair(n);
  rig.end();
  rig.pull_all();
  EXPECT_EQ(trace.read(), (Lines{"discont 0", "buffer 1", "gap 2", "discont 3", "buffer 4", "gap 5",
                                 "discont 6", "buffer 7", "gap 8", "discont 9", "buffer 10"}));
}

TEST_F(Output, AFrameThatAFlushOfOnePadTookLeavesADiscontinuity) {
  Rig rig;
  Trace trace(rig.refine());
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  fake_rgbd::hold();
  rig.push_pair(1);
  ASSERT_TRUE(fake_rgbd::wait_until_busy());
  rig.begin_flush(rig.depth());
  rig.end_flush(rig.depth());
  fake_rgbd::release();
  rig.push_pair(2);
  ASSERT_TRUE(rig.pull());
  EXPECT_EQ(trace.read(), (Lines{"discont 0", "discont 2"}));
}

/// Downstream that wants its memory aligned to 128 bytes, and, given a pool, from that.
GstPadProbeReturn answer_allocation(GstPad*, GstPadProbeInfo* info, gpointer with_pool) {
  GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
  if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION) return GST_PAD_PROBE_OK;
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  params.align = 127;
  params.padding = 32;
  gst_query_add_allocation_param(query, nullptr, &params);
  if (*static_cast<bool*>(with_pool)) {
    GstBufferPool* pool = gst_video_buffer_pool_new();
    gst_query_add_allocation_pool(query, pool, kSide * kSide * 2, 1, 1);
    gst_object_unref(pool);
  }
  return GST_PAD_PROBE_HANDLED;
}

GstPadProbeReturn note_alignment(GstPad*, GstPadProbeInfo* info, gpointer aligns) {
  GstMemory* memory = gst_buffer_peek_memory(GST_PAD_PROBE_INFO_BUFFER(info), 0);
  static_cast<std::vector<gsize>*>(aligns)->push_back(memory->align);
  EXPECT_GE(memory->maxsize, memory->size + 32);
  return GST_PAD_PROBE_OK;
}

TEST_F(Output, MemoryIsAsDownstreamWantsItAlsoBeyondItsPool) {
  for (bool with_pool : {false, true}) {
    SCOPED_TRACE(with_pool);
    Rig rig;
    std::vector<gsize> aligns;
    GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
    GstPad* sink = gst_element_get_static_pad(rig.sink(), "sink");
    auto type = static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM | GST_PAD_PROBE_TYPE_PUSH);
    gst_pad_add_probe(sink, type, answer_allocation, &with_pool, nullptr);
    gst_pad_add_probe(src, GST_PAD_PROBE_TYPE_BUFFER, note_alignment, &aligns, nullptr);
    ASSERT_TRUE(rig.play());
    std::vector<GstSample*> held;  // all three; the pool has one buffer
    for (int n = 0; n < 3; ++n) {
      rig.push_pair(n);
      held.push_back(gst_app_sink_try_pull_sample(GST_APP_SINK(rig.sink()), 10 * GST_SECOND));
      ASSERT_NE(held.back(), nullptr);
    }
    EXPECT_EQ(aligns.size(), 3u);
    for (gsize align : aligns) EXPECT_GE(align, 127u);
    for (GstSample* sample : held) gst_sample_unref(sample);
    gst_object_unref(src);
    gst_object_unref(sink);
  }
}

TEST_F(Output, AMixerThatAlsoHasTheColourStreamDoesNotWaitForSkippedDepth) {
  if (!gst_registry_check_feature_version(gst_registry_get(), "compositor", 1, 0, 0)) {
    GTEST_SKIP() << "there is no compositor (gst-plugins-base) here";
  }
  GstElement* pipeline = gst_parse_launch(
      "rgbdtestsrc name=s num-buffers=60  s.rgb ! video/x-raw,width=64,height=48 ! tee name=t  t. ! queue ! "
      "r.rgb "
      "s.depth ! queue ! r.depth  rgbdrefine name=r inference-interval=100 ! queue ! i.sink_0  "
      "t. ! queue ! i.sink_1  compositor name=i ! fakesink",
      nullptr);
  ASSERT_NE(pipeline, nullptr);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus* bus = gst_element_get_bus(pipeline);
  GstMessage* message = gst_bus_timed_pop_filtered(
      bus, 20 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  ASSERT_NE(message, nullptr) << "it waits for ever";
  EXPECT_EQ(GST_MESSAGE_TYPE(message), GST_MESSAGE_EOS);
  gst_message_unref(message);
  gst_object_unref(bus);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
}

}  // namespace
