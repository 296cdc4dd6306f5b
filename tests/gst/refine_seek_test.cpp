// SPDX-License-Identifier: Apache-2.0
// Seeks that a source refuses, and the segments that seeks make.
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::Rig;

GstPadProbeReturn leave_unanswered(GstPad*, GstPadProbeInfo* info, gpointer) {
  return GST_QUERY_TYPE(GST_PAD_PROBE_INFO_QUERY(info)) == GST_QUERY_SEEKING ? GST_PAD_PROBE_DROP
                                                                             : GST_PAD_PROBE_OK;
}

// As a demuxer that does not know yet, or does not know of rates.
TEST(Seek, ThatASourceRefusesAfterAllChangesNothing) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig;
  for (GstElement* source : {rig.rgb(), rig.depth()}) {
    GstPad* pad = gst_element_get_static_pad(source, "src");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_QUERY_UPSTREAM, leave_unanswered, nullptr, nullptr);
    gst_object_unref(pad);
  }
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  for (int n = 1; n < 4; ++n) {
    EXPECT_FALSE(rig.seek(0));
    rig.push_pair(n);
    auto out = rig.pull();
    ASSERT_TRUE(out) << "frozen after seek " << n;
    EXPECT_EQ(out->rgb_number, n);
    EXPECT_EQ(out->pts, n * rgbd::testing::kFrame);
  }
  EXPECT_TRUE(rig.set_state(GST_STATE_NULL));
}

TEST(Seek, OnlyTimesCanBeSought) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig;
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  for (GstFormat format : {GST_FORMAT_BYTES, GST_FORMAT_BUFFERS, GST_FORMAT_PERCENT}) {
    for (GstSeekFlags flags : {GST_SEEK_FLAG_FLUSH, GST_SEEK_FLAG_NONE}) {
      EXPECT_FALSE(gst_element_seek_simple(rig.refine(), format, flags, 0)) << gst_format_get_name(format);
    }
  }
  rig.push_pair(1);
  EXPECT_TRUE(rig.pull()) << "and frames flow on";
}

TEST(Seek, TheSegmentIsDoneOnceWhenThatOfTheColourIs) {
  ASSERT_TRUE(fake_rgbd::reset());
  int done = 0;
  Rig rig;
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  gst_pad_add_probe(
      src, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer count) {
        *static_cast<int*>(count) += GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_SEGMENT_DONE;
        return GST_PAD_PROBE_OK;
      },
      &done, nullptr);
  gst_object_unref(src);
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  for (const char* name : {"depth", "rgb"}) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), name);
    EXPECT_TRUE(gst_pad_send_event(pad, gst_event_new_segment_done(GST_FORMAT_TIME, 0)));
    gst_object_unref(pad);
  }
  rig.push_pair(1);
  ASSERT_TRUE(rig.pull());
  EXPECT_EQ(done, 1);
}

}  // namespace
