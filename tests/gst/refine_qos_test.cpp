// SPDX-License-Identifier: Apache-2.0
// What the sinks say of late frames, and what is skipped for it.
#include <string>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/live.h"

namespace {

using rgbd::testing::kFrame;
using rgbd::testing::Live;
using rgbd::testing::Rig;

constexpr uint64_t kMs = GST_MSECOND;

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
