// SPDX-License-Identifier: Apache-2.0
// Which caps rgbdrefine chooses out of what downstream allows.
#include "gst/refine/src_caps.h"
#include "tests/gst/environment.h"

namespace {

constexpr char kAny[] = "video/x-raw,format={GRAY16_LE,GRAY16_BE},width=[1,max],height=[1,max]";

struct Case {
  const char* what;
  const char* rgb;  // besides the format and 30/1
  const char* allowed;
  const char* chosen;  // width x height format pixel aspect ratio; empty: nothing
};

std::string choose(const Case& c, const char* rate = "30/1", double unit = 0.001) {
  GstCaps* rgb_caps =
      gst_caps_from_string((std::string("video/x-raw,format=RGB,framerate=") + rate + "," + c.rgb).c_str());
  GstVideoInfo rgb;
  EXPECT_TRUE(gst_video_info_from_caps(&rgb, rgb_caps)) << c.rgb;
  GstCaps* downstream = gst_caps_from_string(c.allowed);
  GstCaps* ours = gst_caps_from_string(kAny);
  GstCaps* allowed = gst_caps_intersect_full(downstream, ours, GST_CAPS_INTERSECT_FIRST);
  GstCaps* chosen = rgbd::refine::choose_src_caps(rgb, unit, allowed);
  std::string result;
  if (!gst_caps_is_empty(chosen)) {
    EXPECT_TRUE(gst_caps_is_fixed(chosen));
    EXPECT_TRUE(gst_caps_can_intersect(chosen, downstream)) << c.what;
    GstVideoInfo info;
    EXPECT_TRUE(gst_video_info_from_caps(&info, chosen));
    result = std::to_string(info.width) + "x" + std::to_string(info.height) + " " +
             GST_VIDEO_INFO_NAME(&info) + " " + std::to_string(info.par_n) + "/" + std::to_string(info.par_d);
    EXPECT_EQ(info.fps_n, rgb.fps_n);
    EXPECT_EQ(info.fps_d, rgb.fps_d);
    EXPECT_TRUE(
        gst_structure_has_field_typed(gst_caps_get_structure(chosen, 0), "depth-unit", G_TYPE_DOUBLE));
  }
  for (GstCaps* caps : {rgb_caps, downstream, ours, allowed, chosen}) gst_caps_unref(caps);
  return result;
}

TEST(Fixation, TheColoursSizeElseTheNearestByDisplayAspect) {
  const Case cases[] = {
      {"no wish", "width=640,height=480", "ANY", "640x480 GRAY16_LE 1/1"},
      {"little endian first", "width=640,height=480", "video/x-raw,format={GRAY16_BE,GRAY16_LE}",
       "640x480 GRAY16_LE 1/1"},
      {"big endian alone", "width=640,height=480", "video/x-raw,format=GRAY16_BE", "640x480 GRAY16_BE 1/1"},
      {"width completes height", "width=640,height=480", "video/x-raw,width=320", "320x240 GRAY16_LE 1/1"},
      {"height completes width", "width=640,height=480", "video/x-raw,height=240", "320x240 GRAY16_LE 1/1"},
      {"another aspect", "width=1920,height=1080", "video/x-raw,width=320", "320x180 GRAY16_LE 1/1"},
      {"wherever the size is allowed", "width=640,height=480",
       "video/x-raw,width=320,height=240;video/x-raw,width=640,height=480", "640x480 GRAY16_LE 1/1"},
      {"the nearest structure", "width=640,height=480",
       "video/x-raw,width=160,height=120;video/x-raw,width=600,height=450", "600x450 GRAY16_LE 1/1"},
      {"the size before the byte order", "width=640,height=480",
       "video/x-raw,format=GRAY16_LE,width=320;video/x-raw,format=GRAY16_BE,width=640",
       "640x480 GRAY16_BE 1/1"},
      {"a list of widths", "width=640,height=480", "video/x-raw,width={100,600,2000}",
       "600x450 GRAY16_LE 1/1"},
      {"a range above", "width=640,height=480", "video/x-raw,width=[800,1000]", "800x600 GRAY16_LE 1/1"},
      {"both bounded", "width=640,height=480", "video/x-raw,width=[1,320],height=[1,120]",
       "160x120 GRAY16_LE 1/1"},
      {"both given: pixels are stretched", "width=1920,height=1080", "video/x-raw,width=640,height=480",
       "640x480 GRAY16_LE 4/3"},
      {"given square pixels too", "width=1920,height=1080",
       "video/x-raw,width=640,height=480,pixel-aspect-ratio=1/1", "640x480 GRAY16_LE 1/1"},
      {"pixels that are not square", "width=720,height=576,pixel-aspect-ratio=16/15", "ANY",
       "720x576 GRAY16_LE 16/15"},
      {"they stay as they are", "width=720,height=576,pixel-aspect-ratio=16/15", "video/x-raw,width=360",
       "360x288 GRAY16_LE 16/15"},
      {"square pixels wanted", "width=720,height=576,pixel-aspect-ratio=16/15",
       "video/x-raw,height=288,pixel-aspect-ratio=1/1", "384x288 GRAY16_LE 1/1"},
      {"odd sizes", "width=641,height=479", "ANY", "641x479 GRAY16_LE 1/1"},
      {"8 bit is not for us", "width=640,height=480", "video/x-raw,format=GRAY8", ""},
      {"another rate", "width=640,height=480", "video/x-raw,framerate=15/1", ""},
      {"a range of rates", "width=640,height=480", "video/x-raw,framerate=[1/1,60/1]",
       "640x480 GRAY16_LE 1/1"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(choose(c), c.chosen) << c.what << ": " << c.rgb << " in " << c.allowed;
}

TEST(Fixation, AnyRateIsKept) {
  for (const char* rate : {"0/1", "30000/1001", "1/5"}) {
    EXPECT_EQ(choose({"", "width=64,height=48", "ANY", ""}, rate), "64x48 GRAY16_LE 1/1") << rate;
  }
}

TEST(Fixation, TheUnitIsTheInputsUnlessDownstreamPinsOne) {
  GstCaps* rgb_caps = gst_caps_from_string("video/x-raw,format=RGB,width=64,height=48,framerate=30/1");
  GstVideoInfo rgb;
  gst_video_info_from_caps(&rgb, rgb_caps);
  for (auto [more, expected] : {std::pair{"", 0.0002},
                                {",depth-unit=(double)0.005", 0.005},
                                {",depth-unit=(double)[0.001,0.01]", 0.001}}) {
    GstCaps* allowed = gst_caps_from_string((std::string(kAny) + more).c_str());
    GstCaps* chosen = rgbd::refine::choose_src_caps(rgb, 0.0002, allowed);
    double unit = 0;
    EXPECT_TRUE(gst_structure_get_double(gst_caps_get_structure(chosen, 0), "depth-unit", &unit));
    EXPECT_DOUBLE_EQ(unit, expected) << more;
    gst_caps_unref(chosen);
    gst_caps_unref(allowed);
  }
  gst_caps_unref(rgb_caps);
}

}  // namespace
