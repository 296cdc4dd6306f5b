// SPDX-License-Identifier: Apache-2.0
// Input that no camera should give, and some does: each gets a clear message or is simply right, and no frame
// goes uncounted. Caps are in refine_bad_caps_test.cpp, strides and sizes of whole streams in
// refine_caps_test.cpp, timestamps in refine_pairing_test.cpp.
#include <gst/video/gstvideometa.h>

#include <chrono>
#include <future>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::kDepthBase;
using rgbd::testing::kFrame;
using rgbd::testing::raw_caps;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

class BadInput : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }

  /// Frame n of depth, of one value.
  static GstBuffer* flat_depth(int n, guint16 step) {
    GstBuffer* buffer = depth_frame(n, static_cast<GstClockTime>(n) * kFrame);
    std::vector<guint16> steps(16 * 16, GUINT16_TO_LE(step));
    gst_buffer_fill(buffer, 0, steps.data(), steps.size() * 2);
    return buffer;
  }

 private:
  rgbd::testing::FatalCriticals fatal_;
};

/// Two thirds of the buffer's bytes in one memory, one byte in another, the rest in a third.
GstBuffer* in_pieces(GstBuffer* whole) {
  const gsize size = gst_buffer_get_size(whole), cut = size * 2 / 3;
  GstBuffer* pieces = gst_buffer_new();
  gst_buffer_copy_into(pieces, whole, GST_BUFFER_COPY_METADATA, 0, static_cast<gsize>(-1));
  const gsize parts[][2] = {{0, cut}, {cut, 1}, {cut + 1, size - cut - 1}};
  for (const auto& [offset, length] : parts) {
    GstMemory* memory = gst_allocator_alloc(nullptr, length, nullptr);
    GstMapInfo map;
    EXPECT_TRUE(gst_memory_map(memory, &map, GST_MAP_WRITE));
    gst_buffer_extract(whole, offset, map.data, length);
    gst_memory_unmap(memory, &map);
    gst_buffer_append_memory(pieces, memory);
  }
  gst_buffer_unref(whole);
  return pieces;
}

TEST_F(BadInput, BuffersOfSeveralMemoriesAreReadAsOne) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_rgb(in_pieces(rgb_frame(7, 0)));
  rig.push_depth(in_pieces(depth_frame(7, 0)));
  rig.end();
  auto frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].rgb_number, 7);
  EXPECT_EQ(frames[0].steps.at(2), 7u) << "last byte of the last row";
  EXPECT_EQ(frames[0].steps.back(), kDepthBase + 7u);
}

TEST_F(BadInput, SoAreThoseThatHaveAMeta) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  GstBuffer *rgb = in_pieces(rgb_frame(7, 0)), *depth = in_pieces(depth_frame(7, 0));
  gst_buffer_add_video_meta(rgb, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, 16, 16);
  gst_buffer_add_video_meta(depth, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_GRAY16_LE, 16, 16);
  rig.push_rgb(rgb);
  rig.push_depth(depth);
  rig.end();
  auto frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].steps.at(2), 7u) << "last byte of the last row";
  EXPECT_EQ(frames[0].steps.back(), kDepthBase + 7u);
}

/// One byte that nobody can map, as memory of a device is.
GstMemory* unmappable_memory() {
  static const GTypeInfo info = {
      sizeof(GstAllocatorClass),
      nullptr,
      nullptr,
      [](gpointer klass, gpointer) {
        GST_ALLOCATOR_CLASS(klass)->free = [](GstAllocator*, GstMemory* memory) { g_free(memory); };
      },
      nullptr,
      nullptr,
      sizeof(GstAllocator),
      0,
      [](GTypeInstance* instance, gpointer) {
        GST_ALLOCATOR(instance)->mem_map = [](GstMemory*, gsize, GstMapFlags) -> gpointer { return nullptr; };
      },
      nullptr};
  static const GType type =
      g_type_register_static(GST_TYPE_ALLOCATOR, "UnmappableAllocator", &info, GTypeFlags{});
  auto* allocator = GST_ALLOCATOR(g_object_new(type, nullptr));
  gst_object_ref_sink(allocator);
  auto* memory = g_new0(GstMemory, 1);
  gst_memory_init(memory, GST_MEMORY_FLAG_NO_SHARE, allocator, nullptr, 1, 0, 0, 1);
  gst_object_unref(allocator);
  return memory;
}

TEST_F(BadInput, MemoryThatCannotBeMappedIsNamed) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  GstBuffer* pieces = in_pieces(rgb_frame(0, 0));
  gst_buffer_add_video_meta(pieces, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, 16, 16);
  gst_buffer_replace_memory(pieces, 1, unmappable_memory());
  rig.push_rgb(pieces);
  rig.push_depth(depth_frame(0, 0));
  EXPECT_NE(rig.warning_text().find("a rgb buffer of several memories cannot be read"), std::string::npos);
  rig.push_pair(1);
  rig.end();
  auto frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].rgb_number, 1);
  EXPECT_EQ(rig.stat("dropped-bad"), 1u);
}

TEST_F(BadInput, PlanesInMemoriesOfTheirOwnAreFound) {
  const std::string i420 = raw_caps("I420", 16, 16);
  GstBuffer* buffer = gst_buffer_new();
  gsize offsets[GST_VIDEO_MAX_PLANES] = {0, 20 * 16, 20 * 16 + 12 * 8};
  gint strides[GST_VIDEO_MAX_PLANES] = {20, 12, 12};
  for (gsize size : {20 * 16, 12 * 8, 12 * 8}) {
    GstBuffer* plane = gst_buffer_new_allocate(nullptr, size, nullptr);
    gst_buffer_memset(plane, 0, 9, size);
    buffer = gst_buffer_append(buffer, plane);
  }
  ASSERT_EQ(gst_buffer_n_memory(buffer), 3u);
  gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420, 16, 16, 3, offsets,
                                 strides);
  GST_BUFFER_PTS(buffer) = 0;
  Rig rig;
  rig.set_rgb_caps(i420);
  ASSERT_TRUE(rig.play());
  rig.push_rgb(buffer);
  rig.push_depth(depth_frame(0, 0));
  auto out = rig.pull();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->rgb_number, 9);
}

TEST_F(BadInput, AMetaOfAnotherLayoutThanTheCapsIsNamed) {
  struct {
    GstVideoFormat format;
    guint width, height, planes;
  } const cases[] = {{GST_VIDEO_FORMAT_RGB, 8, 16, 1},
                     {GST_VIDEO_FORMAT_RGB, 16, 32, 1},
                     {GST_VIDEO_FORMAT_BGR, 16, 16, 1},
                     {GST_VIDEO_FORMAT_RGB, 16, 16, 2},
                     {GST_VIDEO_FORMAT_RGB, 16, 16, 0}};
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::Message() << c.format << ' ' << c.width << 'x' << c.height << ' ' << c.planes);
    Rig rig;
    ASSERT_TRUE(rig.play());
    GstBuffer* lying = rgb_frame(0, 0);
    gst_buffer_add_video_meta(lying, GST_VIDEO_FRAME_FLAG_NONE, c.format, c.width, c.height)->n_planes =
        c.planes;
    rig.push_rgb(lying);
    rig.push_depth(depth_frame(0, 0));
    rig.push_pair(1);
    rig.end();
    auto frames = rig.pull_all();
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].rgb_number, 1);
    EXPECT_EQ(rig.stat("dropped-bad"), 1u);
    const std::string text = rig.warning_text();
    EXPECT_NE(text.find("GstVideoMeta"), std::string::npos) << text;
  }
}

TEST_F(BadInput, AStrideOfLessThanARowIsNamed) {
  for (int stride : {47, 0, -48}) {
    SCOPED_TRACE(stride);
    Rig rig;
    ASSERT_TRUE(rig.play());
    GstBuffer* lying = rgb_frame(0, 0);
    gsize offsets[GST_VIDEO_MAX_PLANES] = {0};
    gint strides[GST_VIDEO_MAX_PLANES] = {48};
    GstVideoMeta* meta = gst_buffer_add_video_meta_full(lying, GST_VIDEO_FRAME_FLAG_NONE,
                                                        GST_VIDEO_FORMAT_RGB, 16, 16, 1, offsets, strides);
    meta->stride[0] = stride;
    rig.push_rgb(lying);
    rig.push_depth(depth_frame(0, 0));
    rig.end();
    EXPECT_TRUE(rig.pull_all().empty());
    EXPECT_EQ(rig.stat("dropped-bad"), 1u);
    const std::string text = rig.warning_text();
    EXPECT_NE(text.find("stride of " + std::to_string(stride)), std::string::npos) << text;
  }
}

TEST_F(BadInput, AnEmptyBufferIsABadFrameNotAGap) {
  for (bool rgb : {true, false}) {
    SCOPED_TRACE(rgb ? "rgb" : "depth");
    Rig rig;
    ASSERT_TRUE(rig.play());
    GstBuffer *colour = rgb_frame(0, 0), *depth = depth_frame(0, 0);
    gst_buffer_resize(rgb ? colour : depth, 0, 0);
    rig.push_rgb(colour);
    rig.push_depth(depth);
    rig.push_pair(1);
    rig.end();
    auto frames = rig.pull_all();
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].rgb_number, 1);
    EXPECT_EQ(rig.stat("rgb-in"), 2u);
    EXPECT_EQ(rig.stat("depth-in"), 2u);
    EXPECT_EQ(rig.stat("dropped-bad"), 1u);
    const std::string text = rig.warning_text();
    EXPECT_NE(text.find(rgb ? "rgb buffer" : "depth buffer"), std::string::npos) << text;
    EXPECT_NE(text.find(" 0 bytes"), std::string::npos) << text;
  }
}

TEST_F(BadInput, AnEmptyDepthBufferIsNamedAlsoWhereDepthIsPassedOnRaw) {
  Rig rig("skip-policy=raw inference-interval=2");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  rig.push_rgb(rgb_frame(1, kFrame));
  GstBuffer* empty = depth_frame(1, kFrame);
  gst_buffer_resize(empty, 0, 0);
  rig.push_depth(empty);
  rig.end();
  EXPECT_EQ(rig.pull_all().size(), 1u);
  EXPECT_EQ(rig.stat("dropped-bad"), 1u);
  EXPECT_NE(rig.warning_text().find("depth buffer"), std::string::npos);
}

// videorate marks the frames that it repeats so.
TEST_F(BadInput, ABufferWithBytesIsAFrameThoughItIsMarkedAsAGap) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  int gaps = 0;
  gst_pad_add_probe(
      src, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo* info, gpointer count) {
        *static_cast<int*>(count) +=
            GST_BUFFER_FLAG_IS_SET(GST_PAD_PROBE_INFO_BUFFER(info), GST_BUFFER_FLAG_GAP);
        return GST_PAD_PROBE_OK;
      },
      &gaps, nullptr);
  gst_object_unref(src);
  for (int n = 0; n < 3; ++n) {
    GstBuffer *rgb = rgb_frame(n, n * kFrame), *depth = depth_frame(n, n * kFrame);
    if (n == 1) GST_BUFFER_FLAG_SET(depth, GST_BUFFER_FLAG_GAP);
    if (n == 2) GST_BUFFER_FLAG_SET(rgb, GST_BUFFER_FLAG_GAP);
    rig.push_rgb(rgb);
    rig.push_depth(depth);
  }
  rig.end();
  EXPECT_EQ(rig.pull_all().size(), 3u);
  EXPECT_EQ(gaps, 0) << "there is depth in what comes out";
}

TEST_F(BadInput, AGapBeforeAnySegmentHarmsNothing) {
  GstElement* refine = gst_element_factory_make("rgbdrefine", nullptr);
  ASSERT_EQ(gst_element_set_state(refine, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
  GstPad *rgb = gst_element_get_static_pad(refine, "rgb"),
         *depth = gst_element_get_static_pad(refine, "depth");
  // The source task has taken the events when it sends its own end.
  std::promise<void> ended;
  GstPad* src = gst_element_get_static_pad(refine, "src");
  gst_pad_add_probe(
      src, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer data) {
        if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_EOS)
          static_cast<std::promise<void>*>(data)->set_value();
        return GST_PAD_PROBE_OK;
      },
      &ended, nullptr);
  for (GstPad* pad : {rgb, depth}) {
    EXPECT_TRUE(gst_pad_send_event(pad, gst_event_new_stream_start("test")));
    EXPECT_TRUE(gst_pad_send_event(pad, gst_event_new_gap(0, kFrame)));
    EXPECT_TRUE(gst_pad_send_event(pad, gst_event_new_eos()));
  }
  EXPECT_EQ(ended.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  gst_element_set_state(refine, GST_STATE_NULL);
  for (GstObject* object : {GST_OBJECT(src), GST_OBJECT(rgb), GST_OBJECT(depth), GST_OBJECT(refine)})
    gst_object_unref(object);
}

TEST_F(BadInput, DepthOfOnlyTheLeastAndTheMostIsNoDepth) {
  for (guint16 step : {0, 65535}) {  // 65535 steps are 65 m, farther than max-depth
    SCOPED_TRACE(step);
    Rig rig;
    ASSERT_TRUE(rig.play());
    for (int n = 0; n < 2; ++n) {
      rig.push_rgb(rgb_frame(n, static_cast<GstClockTime>(n) * kFrame));
      rig.push_depth(flat_depth(n, step));
    }
    rig.push_pair(2);
    rig.end();
    auto frames = rig.pull_all();
    ASSERT_EQ(frames.size(), 3u) << "nothing is lost";
    for (int n = 0; n < 2; ++n) {
      for (unsigned out : frames[static_cast<size_t>(n)].steps) ASSERT_EQ(out, 0u);
    }
    EXPECT_EQ(frames[2].rgb_number, 2);
    EXPECT_NE(rig.warning_text().find("no valid pixel"), std::string::npos);
    EXPECT_EQ(rig.count_now(GST_MESSAGE_WARNING), 0) << "said once";
  }
}

TEST_F(BadInput, TheMostIsDepthWhereItIsInReach) {
  Rig rig("max-depth=100");
  ASSERT_TRUE(rig.play());
  rig.push_rgb(rgb_frame(0, 0));
  rig.push_depth(flat_depth(0, 65535));
  auto out = rig.pull();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->steps.back(), 65535u) << "saturated, not wrapped";
}

}  // namespace
