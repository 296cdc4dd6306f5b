// SPDX-License-Identifier: Apache-2.0
// What goes in and what comes out: sizes, formats, units, strides, broken buffers. Which caps are chosen is
// in refine_fixation_test.cpp.
#include <gst/video/gstvideometa.h>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::frame_of;
using rgbd::testing::kDepthBase;
using rgbd::testing::kDepthCaps;
using rgbd::testing::kFrame;
using rgbd::testing::kRgbCaps;
using rgbd::testing::Output;
using rgbd::testing::raw_caps;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

class Caps : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }
  static void push(Rig& rig, const std::string& rgb, const std::string& depth, int n) {
    rig.set_rgb_caps(rgb);
    rig.set_depth_caps(depth);
    rig.push_rgb(frame_of(rgb, n));
    rig.push_depth(frame_of(depth, n));
  }
  static void expect_frame(const std::optional<Output>& out, int n, int width, int height) {
    ASSERT_TRUE(out);
    EXPECT_EQ(out->width, width);
    EXPECT_EQ(out->height, height);
    EXPECT_EQ(out->depth_number, n);
    EXPECT_EQ(out->rgb_number, n);
  }
  static void expect_steps(const std::optional<Output>& out, unsigned steps) {
    ASSERT_TRUE(out);
    EXPECT_EQ(out->steps.at(0), steps);
    EXPECT_EQ(out->steps.back(), steps);
  }
};

TEST_F(Caps, EveryColourFormatAndOddSizesAreReadInPlace) {
  for (const char* format : {"RGB", "BGR", "RGBx", "BGRx", "xRGB", "xBGR", "RGBA", "BGRA", "ARGB", "ABGR",
                             "NV12", "I420", "YUY2"}) {
    for (auto [width, height] : {std::pair{32, 24}, {17, 15}, {14, 14}, {101, 33}}) {
      SCOPED_TRACE(raw_caps(format, width, height));
      Rig rig;
      push(rig, raw_caps(format, width, height), raw_caps("GRAY16_LE", width, height), 7);
      ASSERT_TRUE(rig.play());
      auto out = rig.pull();
      expect_frame(out, 7, width, height);
      EXPECT_EQ(out->steps.at(2), 7u) << "last byte of the last row";
      EXPECT_EQ(out->steps.back(), kDepthBase + 7u);
    }
  }
}

TEST_F(Caps, DepthOfAnotherSizeGivesTheColoursSize) {
  for (auto [width, height] : {std::pair{8, 6}, {640, 480}, {33, 47}}) {
    Rig rig;
    push(rig, raw_caps("RGB", 32, 24), raw_caps("GRAY16_LE", width, height), 3);
    ASSERT_TRUE(rig.play());
    expect_frame(rig.pull(), 3, 32, 24);
  }
}

TEST_F(Caps, SizesAndFormatsMayChangeBetweenAnyTwoFrames) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  const int sizes[][4] = {
      {16, 16, 16, 16}, {32, 24, 16, 16}, {32, 24, 64, 48}, {20, 30, 21, 31}, {16, 16, 64, 48}};
  for (int n = 0; n < 100; ++n) {
    const int(&s)[4] = sizes[n % 5];
    push(rig, raw_caps(n % 3 ? "RGB" : "BGRx", s[0], s[1]),
         raw_caps(n % 2 ? "GRAY16_LE" : "GRAY16_BE", s[2], s[3]), n);
  }
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 100u);
  for (int n = 0; n < 100; ++n) expect_frame(frames[n], n, sizes[n % 5][0], sizes[n % 5][1]);
}

TEST_F(Caps, BigEndianWhereDownstreamInsists) {
  Rig rig("", "video/x-raw,format=GRAY16_BE");
  ASSERT_TRUE(rig.play());
  rig.push_pair(5);
  auto out = rig.pull();
  expect_frame(out, 5, 16, 16);
  EXPECT_NE(out->caps.find("GRAY16_BE"), std::string::npos) << out->caps;
}

TEST_F(Caps, DownstreamsSizeIsMade) {
  Rig rig("", "video/x-raw,width=40");
  push(rig, raw_caps("RGB", 32, 24), raw_caps("GRAY16_LE", 32, 24), 1);
  ASSERT_TRUE(rig.play());
  expect_frame(rig.pull(), 1, 40, 30);
}

TEST_F(Caps, AFramerateThatDownstreamRefusesIsAnError) {
  Rig rig("", "capsfilter caps=video/x-raw,framerate=15/1");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  EXPECT_NE(rig.error_text(), "");
}

TEST_F(Caps, WithoutAFramerate) {
  Rig rig;
  std::string still = "video/x-raw,width=16,height=16,framerate=0/1,format=";
  push(rig, still + "RGB", still + "GRAY16_LE", 0);
  ASSERT_TRUE(rig.play());
  auto out = rig.pull();
  expect_frame(out, 0, 16, 16);
  EXPECT_NE(out->caps.find("framerate=(fraction)0/1"), std::string::npos) << out->caps;
}

TEST_F(Caps, ColourFramesThatAreTooSmallAreRefusedWithTheirSize) {
  Rig rig;
  rig.set_rgb_caps(raw_caps("RGB", 13, 16));
  ASSERT_TRUE(rig.play());
  rig.push_rgb(frame_of(raw_caps("RGB", 13, 16), 0));
  rig.push_depth(depth_frame(0, 0));
  std::string text = rig.error_text();
  EXPECT_NE(text.find("13x16"), std::string::npos) << text;
  EXPECT_NE(text.find("14"), std::string::npos) << text;
}

TEST_F(Caps, TheUnitIsThePropertyElseTheCapsElseMillimetres) {
  struct {
    const char *property, *caps, *unit;
  } const cases[] = {{"", "", "0.001"},
                     {"", ",depth-unit=(double)0.0002", "0.0002"},
                     {"depth-unit=0.005", "", "0.005"},
                     {"depth-unit=0.005", ",depth-unit=(double)0.0002", "0.005"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.property) + c.caps);
    Rig rig(c.property);
    push(rig, kRgbCaps, std::string(kDepthCaps) + c.caps, 0);
    ASSERT_TRUE(rig.play());
    auto out = rig.pull();
    expect_steps(out, kDepthBase);
    EXPECT_NE(out->caps.find(std::string("depth-unit=(double)") + c.unit), std::string::npos) << out->caps;
    EXPECT_DOUBLE_EQ(fake_rgbd::last_depth().metres_per_step, std::stod(c.unit));
  }
}

TEST_F(Caps, AUnitThatIsNoneIsAnErrorUnlessThePropertyOverridesIt) {
  for (const char* unit : {"(double)0", "(double)-0.001", "(string)mm"}) {
    SCOPED_TRACE(unit);
    std::string caps = std::string(rgbd::testing::kDepthCaps) + ",depth-unit=" + unit;
    {
      Rig rig;
      rig.set_depth_caps(caps);
      ASSERT_TRUE(rig.play());
      rig.push_pair(0);
      std::string text = rig.error_text();
      EXPECT_NE(text.find("depth-unit"), std::string::npos) << text;
    }
    Rig rig("depth-unit=0.002");
    rig.set_depth_caps(caps);
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    EXPECT_TRUE(rig.pull());
  }
}

TEST_F(Caps, AUnitThatDownstreamPinsIsScaledToAndSaturates) {
  struct {
    const char* pinned;
    unsigned steps;
  } const cases[] = {{"0.0001", 10000}, {"0.002", 500}, {"0.00001", 65535}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.pinned);
    Rig rig("", std::string("video/x-raw,depth-unit=(double)") + c.pinned);
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    expect_steps(rig.pull(), c.steps);
  }
}

TEST_F(Caps, TheUnitMayChangeWhilePlaying) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  push(rig, kRgbCaps, std::string(kDepthCaps) + ",depth-unit=(double)0.0005", 0);
  auto first = rig.pull();
  ASSERT_TRUE(first);
  EXPECT_NE(first->caps.find("depth-unit=(double)0.0005"), std::string::npos) << first->caps;
  push(rig, kRgbCaps, std::string(kDepthCaps) + ",depth-unit=(double)0.00025", 1);
  auto second = rig.pull();
  ASSERT_TRUE(second);
  EXPECT_NE(second->caps.find("depth-unit=(double)0.00025"), std::string::npos) << second->caps;
  rig.set("depth-unit", "0.004");
  rig.push_pair(2);
  auto third = rig.pull();
  ASSERT_TRUE(third);
  EXPECT_NE(third->caps.find("depth-unit=(double)0.004"), std::string::npos) << third->caps;
  EXPECT_DOUBLE_EQ(fake_rgbd::last_depth().metres_per_step, 0.004);
}

TEST_F(Caps, AUnitThatChangesMidstreamChangesTheRepeatedFramesToo) {
  Rig rig("inference-interval=2 skip-policy=repeat");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  rig.push_pair(1);
  ASSERT_TRUE(rig.pull());
  ASSERT_TRUE(rig.pull());
  rig.push_pair(2);  // refined, kept to be repeated
  ASSERT_TRUE(rig.pull());
  rig.set_depth_caps(std::string(kDepthCaps) + ",depth-unit=(double)0.0005");
  rig.set_rgb_caps(kRgbCaps);
  rig.push_pair(3);  // due for a repetition, but what could be repeated is in the old unit
  rig.push_pair(4);
  rig.end();
  auto frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].rgb_number, 4);
  EXPECT_NE(frames[0].caps.find("0.0005"), std::string::npos) << frames[0].caps;
  EXPECT_EQ(rig.stat("dropped-interval"), 1u);
}

TEST_F(Caps, RawDepthIsResizedAndInTheOutputsUnit) {
  Rig rig("inference-interval=2 skip-policy=raw", "video/x-raw,depth-unit=(double)0.0001");
  std::string small = raw_caps("GRAY16_BE", 8, 6);
  push(rig, raw_caps("RGB", 32, 24), small, 0);
  push(rig, raw_caps("RGB", 32, 24), small, 1);
  ASSERT_TRUE(rig.play());
  ASSERT_TRUE(rig.pull());
  auto out = rig.pull();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->rgb_number, -1) << "not refined";
  EXPECT_EQ(out->width, 32);
  expect_steps(out, (kDepthBase + 1) * 10);
}

TEST_F(Caps, DepthLimitsReachTheEngine) {
  Rig rig("min-depth=0.5 max-depth=4 max-hole=0.125");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  EXPECT_DOUBLE_EQ(fake_rgbd::last_depth().min_depth_m, 0.5);
  EXPECT_DOUBLE_EQ(fake_rgbd::last_depth().max_depth_m, 4);
  EXPECT_DOUBLE_EQ(fake_rgbd::last_depth().max_hole, 0.125);
}

TEST_F(Caps, DepthWithoutAValidPixelGivesNoDepthAndOneWarning) {
  Rig rig("max-depth=0.5");  // the frames are a metre away
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 3; ++n) rig.push_pair(n);
  for (int n = 0; n < 3; ++n) expect_steps(rig.pull(), 0);
  EXPECT_NE(rig.warning_text(), "");
  EXPECT_EQ(rig.count_now(GST_MESSAGE_WARNING), 0);
  EXPECT_EQ(fake_rgbd::pairs_run(), 0u);
}

/// The same pixels in rows of `stride` bytes, `offset` bytes into the buffer, as the GstVideoMeta says.
GstBuffer* with_stride(GstBuffer* tight, GstVideoFormat format, int row, int stride, int offset) {
  GstBuffer* padded = gst_buffer_new_allocate(nullptr, static_cast<gsize>(offset + stride * 16), nullptr);
  gst_buffer_memset(padded, 0, 0xee, gst_buffer_get_size(padded));
  std::vector<guint8> bytes(static_cast<size_t>(row));
  for (int y = 0; y < 16; ++y) {
    gst_buffer_extract(tight, static_cast<gsize>(y * row), bytes.data(), bytes.size());
    gst_buffer_fill(padded, static_cast<gsize>(offset + y * stride), bytes.data(), bytes.size());
  }
  gsize offsets[GST_VIDEO_MAX_PLANES] = {static_cast<gsize>(offset)};
  gint strides[GST_VIDEO_MAX_PLANES] = {stride};
  gst_buffer_add_video_meta_full(padded, GST_VIDEO_FRAME_FLAG_NONE, format, 16, 16, 1, offsets, strides);
  GST_BUFFER_PTS(padded) = GST_BUFFER_PTS(tight);
  GST_BUFFER_DURATION(padded) = GST_BUFFER_DURATION(tight);
  gst_buffer_unref(tight);
  return padded;
}

TEST_F(Caps, OddStridesAndOffsetsAreReadAsTheMetaSays) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_rgb(with_stride(rgb_frame(9, 0), GST_VIDEO_FORMAT_RGB, 48, 61, 5));
  rig.push_depth(with_stride(depth_frame(9, 0), GST_VIDEO_FORMAT_GRAY16_LE, 32, 38, 6));
  auto out = rig.pull();
  expect_frame(out, 9, 16, 16);
  EXPECT_EQ(out->steps.at(2), 9u) << "last byte of the last row";
  for (size_t i = 3; i < out->steps.size(); ++i) ASSERT_EQ(out->steps[i], kDepthBase + 9u) << i;
}

TEST_F(Caps, BuffersThatContradictTheirCapsArePassedOverWithOneWarning) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  GstBuffer* short_rgb = rgb_frame(0, 0);
  gst_buffer_resize(short_rgb, 0, 100);
  rig.push_rgb(short_rgb);
  rig.push_depth(depth_frame(0, 0));
  GstBuffer* short_depth = depth_frame(1, kFrame);
  gst_buffer_resize(short_depth, 0, 511);
  rig.push_rgb(rgb_frame(1, kFrame));
  rig.push_depth(short_depth);
  GstBuffer* lying = depth_frame(2, 2 * kFrame);  // rows that reach beyond the memory
  gsize offsets[GST_VIDEO_MAX_PLANES] = {0};
  gint strides[GST_VIDEO_MAX_PLANES] = {64};
  gst_buffer_add_video_meta_full(lying, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_GRAY16_LE, 16, 16, 1,
                                 offsets, strides);
  rig.push_rgb(rgb_frame(2, 2 * kFrame));
  rig.push_depth(lying);
  rig.push_pair(3);
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].rgb_number, 3);
  EXPECT_EQ(rig.stat("dropped-bad"), 3u);
  std::string text = rig.warning_text();
  EXPECT_NE(text.find("rgb"), std::string::npos) << text;
  EXPECT_NE(text.find("100 bytes"), std::string::npos) << text;
  EXPECT_NE(text.find("768"), std::string::npos) << text;
  EXPECT_EQ(rig.count_now(GST_MESSAGE_WARNING), 0) << "said once";
}

TEST_F(Caps, TimesFlagsAndMetasAreTheColourFrames) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  GstBuffer* rgb = rgb_frame(0, 5 * GST_MSECOND, 7 * GST_MSECOND);
  GST_BUFFER_FLAG_SET(rgb, GST_BUFFER_FLAG_MARKER);
  GstCaps* clock = gst_caps_new_empty_simple("timestamp/x-camera");
  gst_buffer_add_reference_timestamp_meta(rgb, clock, 1234, GST_CLOCK_TIME_NONE);
  gst_buffer_add_video_meta(rgb, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, 16, 16);
  rig.push_rgb(rgb);
  rig.push_depth(depth_frame(0, 6 * GST_MSECOND));
  GstSample* sample = gst_app_sink_try_pull_sample(GST_APP_SINK(rig.sink()), 10 * GST_SECOND);
  ASSERT_NE(sample, nullptr);
  GstBuffer* out = gst_sample_get_buffer(sample);
  EXPECT_EQ(GST_BUFFER_PTS(out), 5 * GST_MSECOND);
  EXPECT_EQ(GST_BUFFER_DURATION(out), 7 * GST_MSECOND);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_MARKER));
  GstReferenceTimestampMeta* meta = gst_buffer_get_reference_timestamp_meta(out, clock);
  ASSERT_NE(meta, nullptr);
  EXPECT_EQ(meta->timestamp, 1234u);
  EXPECT_EQ(gst_buffer_get_custom_meta(out, "rgbd-refine"), nullptr) << "refined frames carry none";
  GstVideoMeta* layout = gst_buffer_get_video_meta(out);
  EXPECT_TRUE(!layout || layout->format == GST_VIDEO_FORMAT_GRAY16_LE);
  gst_sample_unref(sample);
  gst_caps_unref(clock);
}

}  // namespace
