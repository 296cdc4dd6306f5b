// SPDX-License-Identifier: Apache-2.0
// rgbdtestsrc as a source: bytes, times, sizes, ends, seeks, links. What its sensors do is in
// rgbdtestsrc_sensor_test.cpp.
#include <gst/check/gsttestclock.h>

#include "tests/gst/environment.h"
#include "tests/gst/source_rig.h"

namespace {

using rgbd::testing::SourceFrame;
using rgbd::testing::SourceRig;

constexpr char kSmall[] = "video/x-raw,width=64,height=48";
const std::map<std::string, std::string> kAllPads{{"rgb", kSmall}, {"depth", kSmall}, {"truth", kSmall}};

std::string checksum(const std::vector<uint8_t>& bytes) {
  gchar* text = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes.data(), bytes.size());
  std::string result = std::string(text).substr(0, 16);
  g_free(text);
  return result;
}

std::vector<SourceFrame> frames_of(const std::string& properties, const std::string& pad) {
  SourceRig rig(properties, kAllPads);
  rig.play();
  std::vector<SourceFrame> wanted;
  for (const auto& [name, caps] : kAllPads) {
    auto frames = rig.pull_all(name);
    if (name == pad) wanted = frames;
  }
  return wanted;
}

void expect_same_bytes(const std::vector<SourceFrame>& a, const std::vector<SourceFrame>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(checksum(a[i].bytes), checksum(b[i].bytes)) << i;
}

TEST(TestSource, TheSameSeedGivesTheSameBytesAndAnotherOthers) {
  for (const char* pad : {"rgb", "depth", "truth"}) {
    SCOPED_TRACE(pad);
    auto first = frames_of("seed=4 num-buffers=3", pad), again = frames_of("seed=4 num-buffers=3", pad);
    auto other = frames_of("seed=8 num-buffers=3", pad);
    ASSERT_EQ(first.size(), 3u);
    expect_same_bytes(first, again);
    for (int i = 0; i < 3; ++i) EXPECT_NE(first[i].bytes, other[i].bytes);
    EXPECT_NE(first[0].bytes, first[1].bytes) << "nothing moves";
  }
}

/// How much of the truth is otherwise in frame 2 than in frame 0.
double moved(const std::string& motion) {
  auto truth = frames_of("seed=4 num-buffers=3 motion=" + motion, "truth");
  EXPECT_EQ(truth.size(), 3u);
  if (truth.size() != 3) return -1;
  double count = 0;
  for (int y = 0; y < 48; ++y)
    for (int x = 0; x < 64; ++x) count += truth[2].depth_mm(x, y) != truth[0].depth_mm(x, y);
  return count / (64 * 48);
}

TEST(TestSource, MotionSaysWhatMoves) {
  EXPECT_EQ(moved("none"), 0);
  const double objects = moved("objects"), camera = moved("camera");
  EXPECT_GT(objects, 0);
  EXPECT_LT(objects, 0.1);
  EXPECT_GT(camera, 0.5);
  for (const char* pad : {"rgb", "depth", "truth"}) {
    SCOPED_TRACE(pad);
    expect_same_bytes(frames_of("seed=4 num-buffers=3", pad),
                      frames_of("seed=4 num-buffers=3 motion=both", pad));
    expect_same_bytes(frames_of("seed=4 num-buffers=1", pad),
                      frames_of("seed=4 num-buffers=1 motion=none", pad));
  }
  auto noisy = frames_of("seed=4 num-buffers=2 motion=none", "depth");
  ASSERT_EQ(noisy.size(), 2u);
  EXPECT_NE(noisy[0].bytes, noisy[1].bytes) << "noise is new in each frame";
}

/// On every machine, with every compiler and optimisation. Whoever changes the pictures on purpose changes
/// these.
TEST(TestSource, TheBytesAreTheseOnEveryMachine) {
  struct {
    const char *sensor, *pad, *checksum;
  } const known[] = {{"none", "rgb", "ac5bde95c5e61807"},
                     {"none", "truth", "a747729b9a89680a"},
                     {"stereo", "depth", "642c1a77c7ada5f1"},
                     {"structured-light", "depth", "ada502eaa6de13eb"},
                     {"tof", "depth", "f6c2097c0fd3c18a"}};
  for (const auto& expected : known) {
    auto frames = frames_of(std::string("seed=7 num-buffers=5 sensor=") + expected.sensor, expected.pad);
    ASSERT_EQ(frames.size(), 5u);
    EXPECT_EQ(checksum(frames[4].bytes), expected.checksum) << expected.sensor << " " << expected.pad;
  }
}

TEST(TestSource, SizesRatesAndTimestampsAreWhatDownstreamAsks) {
  struct {
    int width, height, fps_n, fps_d;
  } const wanted[] = {{320, 240, 25, 1}, {101, 77, 30000, 1001}, {17, 16, 7, 1}, {1280, 720, 5, 1}};
  for (const auto& w : wanted) {
    std::string caps = "video/x-raw,width=" + std::to_string(w.width) +
                       ",height=" + std::to_string(w.height) + ",framerate=" + std::to_string(w.fps_n) + "/" +
                       std::to_string(w.fps_d);
    SCOPED_TRACE(caps);
    SourceRig rig("num-buffers=4", {{"rgb", caps}, {"depth", ""}});
    rig.play();
    auto rgb = rig.pull_all("rgb"), depth = rig.pull_all("depth");
    ASSERT_EQ(rgb.size(), 4u);
    ASSERT_EQ(depth.size(), 4u);
    for (unsigned n = 0; n < 4; ++n) {
      GstClockTime start = gst_util_uint64_scale(n, GST_SECOND * w.fps_d, w.fps_n);
      GstClockTime end = gst_util_uint64_scale(n + 1, GST_SECOND * w.fps_d, w.fps_n);
      for (const SourceFrame& frame : {rgb[n], depth[n]}) {
        EXPECT_EQ(frame.pts, start);
        EXPECT_EQ(frame.duration, end - start);
        EXPECT_EQ(frame.number, n);
        EXPECT_EQ(frame.width, w.width) << "depth follows the size of rgb";
        EXPECT_EQ(frame.height, w.height);
      }
    }
    EXPECT_NE(depth[0].caps.find("depth-unit=(double)0.001"), std::string::npos) << depth[0].caps;
  }
}

TEST(TestSource, WhoDoesNotCareGetsVgaAtThirty) {
  SourceRig rig("num-buffers=2", {{"depth", ""}});
  rig.play();
  auto frames = rig.pull_all("depth");
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].width, 640);
  EXPECT_EQ(frames[0].height, 480);
  EXPECT_EQ(frames[1].pts, GST_SECOND / 30);
}

TEST(TestSource, EachPadMayHaveASizeOfItsOwn) {
  SourceRig rig("num-buffers=1 sensor=none", {{"truth", "video/x-raw,width=80,height=60"},
                                              {"depth", "video/x-raw,width=160,height=120"},
                                              {"rgb", "video/x-raw,width=320,height=240"}});
  rig.play();
  auto truth = rig.pull("truth"), depth = rig.pull("depth"), rgb = rig.pull("rgb");
  ASSERT_TRUE(truth && depth && rgb);
  EXPECT_EQ(truth->width, 80);
  EXPECT_EQ(depth->width, 160);
  EXPECT_EQ(rgb->width, 320);
  // The same scene: a pixel of the small one lies between four of the large one.
  int agree = 0;
  for (int y = 0; y < 60; ++y) {
    for (int x = 0; x < 80; ++x) {
      int near_mm = 65535, far_mm = 0;
      for (int i = 0; i < 4; ++i) {
        int d = depth->depth_mm(2 * x + i % 2, 2 * y + i / 2);
        near_mm = std::min(near_mm, d);
        far_mm = std::max(far_mm, d);
      }
      int t = truth->depth_mm(x, y);
      agree += t >= near_mm - 2 && t <= far_mm + 2;
    }
  }
  EXPECT_GT(agree, 80 * 60 * 95 / 100);
}

TEST(TestSource, RatesThatDifferAreRefused) {
  SourceRig rig("", {{"rgb", "video/x-raw,framerate=30/1"}, {"depth", "video/x-raw,framerate=15/1"}});
  rig.play();
  EXPECT_NE(rig.error_text(), "");
}

TEST(TestSource, EveryColourFormatHasTheSameColours) {
  SourceRig plain("num-buffers=1", {{"rgb", "video/x-raw,format=RGB,width=64,height=48"}});
  plain.play();
  auto rgb = plain.pull("rgb");
  ASSERT_TRUE(rgb);
  for (const char* name : {"BGR", "RGBx", "BGRx", "xRGB", "xBGR", "RGBA", "BGRA", "ARGB", "ABGR"}) {
    SCOPED_TRACE(name);
    SourceRig rig("num-buffers=1", {{"rgb", std::string("video/x-raw,width=64,height=48,format=") + name}});
    rig.play();
    auto other = rig.pull("rgb");
    ASSERT_TRUE(other);
    const GstVideoFormatInfo* format = gst_video_format_get_info(gst_video_format_from_string(name));
    int pixel = GST_VIDEO_FORMAT_INFO_PSTRIDE(format, 0), different = 0;
    for (int i = 0; i < 64 * 48; ++i) {
      for (int c = 0; c < 3; ++c) {
        different +=
            rgb->bytes[3 * i + c] != other->bytes[pixel * i + GST_VIDEO_FORMAT_INFO_POFFSET(format, c)];
      }
      if (GST_VIDEO_FORMAT_INFO_HAS_ALPHA(format)) {
        different += other->bytes[pixel * i + GST_VIDEO_FORMAT_INFO_POFFSET(format, 3)] != 255;
      }
    }
    EXPECT_EQ(different, 0);
  }
}

TEST(TestSource, TheStreamsOfOneCameraBelongTogether) {
  SourceRig rig("num-buffers=2", {{"rgb", ""}, {"depth", ""}, {"truth", ""}});
  rig.play();
  std::string upstream;
  std::optional<guint> group;
  for (const char* name : {"rgb", "depth", "truth"}) {
    ASSERT_TRUE(rig.pull(name)) << name;
    GstPad* pad = gst_element_get_static_pad(rig.element(name), "sink");
    GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_STREAM_START, 0);
    ASSERT_NE(event, nullptr);
    const gchar* text;
    guint its_group = 0;
    gst_event_parse_stream_start(event, &text);
    ASSERT_TRUE(gst_event_parse_group_id(event, &its_group));
    std::string id = text;
    size_t slash = id.rfind('/');
    ASSERT_NE(slash, std::string::npos) << id;
    EXPECT_EQ(id.substr(slash + 1), name);
    if (upstream.empty()) upstream = id.substr(0, slash);
    EXPECT_EQ(id.substr(0, slash), upstream);
    EXPECT_EQ(its_group, group.value_or(its_group));
    group = its_group;
    gst_event_unref(event);
    gst_object_unref(pad);
  }
}

TEST(TestSource, NumBuffersEndsEveryPad) {
  SourceRig rig("num-buffers=3", kAllPads);
  rig.play();
  for (const char* pad : {"rgb", "depth", "truth"}) EXPECT_EQ(rig.pull_all(pad).size(), 3u) << pad;
  gint64 duration = 0;
  EXPECT_TRUE(gst_element_query_duration(rig.pipeline(), GST_FORMAT_TIME, &duration));
  EXPECT_EQ(duration, GST_SECOND / 10);
}

TEST(TestSource, ASeekLandsOnTheFrameThatPlainRunningGives) {
  auto plain_rgb = frames_of("seed=2 num-buffers=40", "rgb"),
       plain_depth = frames_of("seed=2 num-buffers=40", "depth");
  SourceRig rig("seed=2 num-buffers=40", kAllPads);
  rig.play();
  ASSERT_TRUE(rig.pull("rgb"));
  for (unsigned n : {20u, 39u, 0u, 7u}) {
    SCOPED_TRACE(n);
    for (GstClockTime past :
         {GstClockTime{0}, GstClockTime{17 * GST_MSECOND}}) {  // also in the middle of the frame
      ASSERT_TRUE(
          gst_element_seek_simple(rig.pipeline(), GST_FORMAT_TIME,
                                  static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE),
                                  static_cast<gint64>(plain_rgb[n].pts + past)));
      auto rgb = rig.pull("rgb"), depth = rig.pull("depth");
      ASSERT_TRUE(rgb && depth);
      EXPECT_EQ(rgb->number, n);
      EXPECT_EQ(rgb->pts, plain_rgb[n].pts);
      EXPECT_EQ(depth->pts, plain_rgb[n].pts);
      EXPECT_EQ(rgb->bytes, plain_rgb[n].bytes);
      EXPECT_EQ(depth->bytes, plain_depth[n].bytes);
    }
  }
  EXPECT_EQ(rig.pull_all("rgb").size(), 40u - 7 - 1);
}

TEST(TestSource, ASeekMayStopEarlyAndRunBackwards) {
  SourceRig rig("num-buffers=40", kAllPads);
  rig.play();
  ASSERT_TRUE(rig.pull("rgb"));
  auto seek = [&](double rate, int from, int to) {
    return gst_element_seek(rig.pipeline(), rate, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                            from * gint64{GST_SECOND} / 30, GST_SEEK_TYPE_SET, to * gint64{GST_SECOND} / 30);
  };
  ASSERT_TRUE(seek(1, 10, 14));
  std::vector<uint64_t> numbers;
  for (const auto& frame : rig.pull_all("rgb")) numbers.push_back(frame.number);
  EXPECT_EQ(numbers, (std::vector<uint64_t>{10, 11, 12, 13}));
  ASSERT_TRUE(seek(-1, 10, 14));
  numbers.clear();
  for (const auto& frame : rig.pull_all("rgb")) numbers.push_back(frame.number);
  EXPECT_EQ(numbers, (std::vector<uint64_t>{13, 12, 11, 10}));
}

TEST(TestSource, LiveFramesComeWhenTheClockSaysSo) {
  SourceRig rig("is-live=true", {{"rgb", kSmall}, {"depth", kSmall}});
  GstClock* clock = gst_test_clock_new_with_start_time(GST_SECOND);
  gst_pipeline_use_clock(GST_PIPELINE(rig.pipeline()), clock);
  EXPECT_EQ(gst_element_set_state(rig.pipeline(), GST_STATE_PAUSED), GST_STATE_CHANGE_NO_PREROLL);
  rig.play();
  for (unsigned n = 0; n < 4; ++n) {
    GstClockID id = nullptr;
    gst_test_clock_wait_for_next_pending_id(GST_TEST_CLOCK(clock), &id);
    EXPECT_EQ(gst_clock_id_get_time(id) - GST_SECOND, gst_util_uint64_scale(n, GST_SECOND, 30));
    gst_clock_id_unref(id);
    EXPECT_EQ(gst_app_sink_try_pull_sample(GST_APP_SINK(rig.element("rgb")), 0), nullptr) << "too early";
    gst_test_clock_crank(GST_TEST_CLOCK(clock));
    auto rgb = rig.pull("rgb"), depth = rig.pull("depth");
    ASSERT_TRUE(rgb && depth);
    EXPECT_EQ(rgb->pts, gst_util_uint64_scale(n, GST_SECOND, 30));
    EXPECT_EQ(depth->pts, rgb->pts);
  }
  GstQuery* latency = gst_query_new_latency();
  GstPad* pad = gst_element_get_static_pad(rig.element("s"), "rgb");
  ASSERT_TRUE(gst_pad_query(pad, latency));
  gst_object_unref(pad);
  gboolean live = FALSE;
  GstClockTime min = GST_CLOCK_TIME_NONE;
  gst_query_parse_latency(latency, &live, &min, nullptr);
  EXPECT_TRUE(live);
  EXPECT_LT(min, GST_SECOND);
  gst_query_unref(latency);
  gst_element_set_state(rig.pipeline(), GST_STATE_NULL);
  gst_object_unref(clock);
}

/// Streams in the frames that the private source hands to the demuxer.
GstPadProbeReturn count_memories(GstPad*, GstPadProbeInfo* info, gpointer most) {
  guint count = gst_buffer_n_memory(GST_PAD_PROBE_INFO_BUFFER(info));
  *static_cast<guint*>(most) = MAX(*static_cast<guint*>(most), count);
  return GST_PAD_PROBE_OK;
}

TEST(TestSource, OnlyWhatIsLinkedIsRendered) {
  std::map<std::string, std::string> pads;
  for (const char* pad : {"rgb", "truth", "depth"}) {
    pads[pad] = kSmall;
    SourceRig rig("num-buffers=2", pads);
    guint most = 0;
    GstPad* source = gst_element_get_static_pad(rig.element("source"), "src");
    gst_pad_add_probe(source, GST_PAD_PROBE_TYPE_BUFFER, count_memories, &most, nullptr);
    gst_object_unref(source);
    rig.play();
    for (const auto& [name, caps] : pads) EXPECT_EQ(rig.pull_all(name).size(), 2u) << name;
    EXPECT_EQ(most, pads.size());
  }
}

TEST(TestSource, APadThatIsUnlinkedWhilePlayingStallsNobody) {
  SourceRig rig("num-buffers=30", {{"rgb", kSmall}, {"depth", kSmall}});
  rig.play();
  ASSERT_TRUE(rig.pull("rgb"));
  gst_element_unlink_pads(rig.element("s"), "depth", rig.element("depth-caps"), "sink");
  EXPECT_EQ(rig.pull_all("rgb").size(), 29u);
}

TEST(TestSource, NothingLinkedIsAnError) {
  SourceRig rig("", {});
  rig.play();
  EXPECT_NE(rig.error_text(), "");
}

TEST(TestSource, CapsMayChangeWhilePlaying) {
  SourceRig rig("", {{"rgb", "video/x-raw,width=64,height=48,framerate=10/1"}, {"depth", ""}});
  rig.play();
  ASSERT_TRUE(rig.pull("rgb"));
  rig.set_caps("rgb", "video/x-raw,width=100,height=50,framerate=20/1");
  uint64_t number = 0;
  GstClockTime next = GST_SECOND / 10;
  bool changed = false;
  for (int i = 0; i < 40 && !changed; ++i) {
    auto rgb = rig.pull("rgb");
    ASSERT_TRUE(rgb);
    EXPECT_EQ(rgb->number, ++number) << "no frame is lost";
    EXPECT_EQ(rgb->pts, next);
    next += rgb->duration;
    changed = rgb->width == 100;
    EXPECT_EQ(rgb->duration, changed ? GST_SECOND / 20 : GST_SECOND / 10);
    EXPECT_EQ(rgb->height, changed ? 50 : 48);
    auto depth = rig.pull("depth");
    if (i == 0) depth = rig.pull("depth");  // its frame 0 was still there
    ASSERT_TRUE(depth);
    EXPECT_EQ(depth->width, rgb->width);
    EXPECT_EQ(depth->pts, rgb->pts);
  }
  EXPECT_TRUE(changed);
}

/// Pulls until the framerate is `fps`. The last frame; nothing if it never is.
std::optional<SourceFrame> pull_until_rate(SourceRig& rig, unsigned fps) {
  for (int i = 0; i < 40; ++i) {
    auto frame = rig.pull("rgb");
    if (!frame || frame->caps.find("framerate=(fraction)" + std::to_string(fps) + "/1") != std::string::npos)
      return frame;
  }
  return {};
}

TEST(TestSource, ASeekReachesFramesFromBeforeTheFramerateChanged) {
  SourceRig rig("num-buffers=100", {{"rgb", std::string(kSmall) + ",framerate=30/1"}});
  rig.play();
  for (int i = 0; i < 45; ++i) ASSERT_TRUE(rig.pull("rgb"));
  rig.set_caps("rgb", std::string(kSmall) + ",framerate=15/1");
  ASSERT_TRUE(pull_until_rate(rig, 15));
  auto seek = [&](double rate, GstClockTime from, GstClockTime to) {
    return gst_element_seek(rig.pipeline(), rate, GST_FORMAT_TIME,
                            static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE),
                            GST_SEEK_TYPE_SET, static_cast<gint64>(from), GST_SEEK_TYPE_SET,
                            static_cast<gint64>(to));
  };
  ASSERT_TRUE(seek(1, GST_SECOND / 2, GST_SECOND));
  auto frames = rig.pull_all("rgb");
  ASSERT_EQ(frames.size(), 8u);  // the first is on from 7/15 s
  for (unsigned n = 0; n < 8; ++n) {
    EXPECT_EQ(frames[n].number, n + 7);
    EXPECT_EQ(frames[n].pts, gst_util_uint64_scale(n + 7, GST_SECOND, 15));
  }
  ASSERT_TRUE(seek(-1, 0, GST_SECOND * 2 / 5));
  frames = rig.pull_all("rgb");
  ASSERT_EQ(frames.size(), 6u);
  for (unsigned n = 0; n < 6; ++n) {
    EXPECT_EQ(frames[n].number, 5 - n);
    EXPECT_EQ(frames[n].pts, gst_util_uint64_scale(5 - n, GST_SECOND, 15));
  }
}

TEST(TestSource, TheFramerateMayChangeWhileRunningBackwards) {
  SourceRig rig("num-buffers=100", {{"rgb", std::string(kSmall) + ",framerate=30/1"}});
  rig.play();
  ASSERT_TRUE(rig.pull("rgb"));
  ASSERT_TRUE(gst_element_seek(rig.pipeline(), -1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                               GST_SEEK_TYPE_SET, gint64{3 * GST_SECOND}));
  GstClockTime after = 3 * GST_SECOND;
  uint64_t number = 90;
  auto expect_next = [&](const std::optional<SourceFrame>& frame) {
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->number, --number);
    EXPECT_EQ(frame->pts + frame->duration, after) << "no gap, no overlap";
    after = frame->pts;
  };
  expect_next(rig.pull("rgb"));
  rig.set_caps("rgb", std::string(kSmall) + ",framerate=60/1");
  bool changed = false;
  for (int i = 0, left = 10; i < 40 && left > 0; ++i, left -= changed) {
    auto frame = rig.pull("rgb");
    expect_next(frame);
    changed = frame && frame->duration < GST_SECOND / 30;
  }
  EXPECT_TRUE(changed);
}

TEST(TestSource, StatesUpAndDownAgain) {
  SourceRig rig("num-buffers=2 seed=1", {{"rgb", kSmall}});
  std::vector<SourceFrame> first;
  for (int i = 0; i < 5; ++i) {
    rig.play();
    auto frames = rig.pull_all("rgb");
    ASSERT_EQ(frames.size(), 2u) << i;
    if (i == 0) first = frames;
    expect_same_bytes(first, frames);
    EXPECT_EQ(frames[0].number, 0u);
    gst_element_set_state(rig.pipeline(), i % 2 ? GST_STATE_READY : GST_STATE_NULL);
    gst_element_set_state(rig.element("rgb"), GST_STATE_NULL);  // in READY it keeps its end of stream
  }
}

}  // namespace
