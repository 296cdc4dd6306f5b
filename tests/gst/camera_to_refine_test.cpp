// SPDX-License-Identifier: Apache-2.0
// rgbdtestsrc into rgbdrefine, as users link them: with and without queues, live, seeking, changing size.
#include <random>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/source_rig.h"

namespace {

struct Out {
  GstClockTime pts;
  int width;
  uint16_t raw, red;  // a pixel of depth that the stand-in left as it was; first byte of the colour frame
};

class Chain : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }
  void TearDown() override {
    if (!pipeline_) return;
    gst_element_set_state(pipeline_, GST_STATE_NULL);
    gst_object_unref(pipeline_);
  }
  void launch(const std::string& camera, const std::string& before_rgb, const std::string& before_depth,
              const std::string& refine = "", const std::string& sink = "sync=false") {
    std::string text = "rgbdtestsrc name=s " + camera + " rgbdrefine name=r " + refine +
                       " ! appsink name=out " + sink + " s.rgb " + before_rgb + " ! r.rgb s.depth " +
                       before_depth + " ! r.depth";
    GError* error = nullptr;
    pipeline_ = gst_parse_launch(text.c_str(), &error);
    ASSERT_EQ(error, nullptr) << error->message;
    ASSERT_NE(gst_element_set_state(pipeline_, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  }
  GstAppSink* sink() {
    GstElement* found = gst_bin_get_by_name(GST_BIN(pipeline_), "out");
    gst_object_unref(found);
    return GST_APP_SINK(found);
  }
  std::optional<Out> pull() {
    GstSample* sample = gst_app_sink_try_pull_sample(sink(), 10 * GST_SECOND);
    if (!sample) return {};
    GstBuffer* buffer = gst_sample_get_buffer(sample);
    GstVideoInfo info;
    gst_video_info_from_caps(&info, gst_sample_get_caps(sample));
    guint8 bytes[4], raw[2];
    gst_buffer_extract(buffer, 0, bytes, 4);
    gst_buffer_extract(buffer, static_cast<gsize>(GST_VIDEO_INFO_PLANE_STRIDE(&info, 0)), raw, 2);
    Out out{GST_BUFFER_PTS(buffer), info.width, GST_READ_UINT16_LE(raw), GST_READ_UINT16_LE(bytes + 2)};
    gst_sample_unref(sample);
    return out;
  }
  std::vector<Out> pull_all() {
    std::vector<Out> all;
    while (auto out = pull()) all.push_back(*out);
    EXPECT_TRUE(gst_app_sink_is_eos(sink()));
    return all;
  }
  GstElement* pipeline_ = nullptr;
};

constexpr char kSmall[] = "! video/x-raw,width=64,height=48";

TEST_F(Chain, NeedsNoQueuesSinceThePadsTakeTurns) {
  launch("num-buffers=30", kSmall, "");
  EXPECT_EQ(pull_all().size(), 30u);
}

TEST_F(Chain, PutsTheFramesTogetherThatTheCameraMadeTogether) {
  rgbd::testing::SourceRig plain(
      "num-buffers=30 sensor=none seed=3",
      {{"rgb", "video/x-raw,format=RGB,width=64,height=48"}, {"depth", "video/x-raw,width=64,height=48"}});
  plain.play();
  auto rgb = plain.pull_all("rgb"), depth = plain.pull_all("depth");
  launch("num-buffers=30 sensor=none seed=3", "! video/x-raw,format=RGB,width=64,height=48 ! queue",
         "! queue");
  auto out = pull_all();
  ASSERT_EQ(out.size(), 30u);
  for (int n = 0; n < 30; ++n) {
    EXPECT_EQ(out[n].pts, rgb[n].pts);
    EXPECT_EQ(out[n].red, rgb[n].bytes[0]);
    EXPECT_EQ(out[n].raw, depth[n].depth_mm(0, 1));
  }
}

TEST_F(Chain, AModelSlowerThanTheCameraGoesOnRefiningBeforeASinkThatKeepsTime) {
  // Small and slow, so that the camera itself is in time on a busy machine and under a sanitizer.
  launch("is-live=true num-buffers=30", "! video/x-raw,width=16,height=16,framerate=10/1 ! queue", "! queue",
         "model=fake:delay=300", "sync=true");
  EXPECT_GE(pull_all().size(), 3u);  // of 10 that there is time for; gaps for the dropped ones left one
}

TEST_F(Chain, SeeksReachTheCameraOnceAndLandOnTheFrame) {
  launch("num-buffers=300", std::string(kSmall) + " ! queue", "! queue", "model=fake:delay=2");
  ASSERT_TRUE(pull());
  std::mt19937 random(5);
  for (int i = 0; i < 30; ++i) {
    unsigned n = random() % 299;
    SCOPED_TRACE(n);
    GstClockTime time = gst_util_uint64_scale(n, GST_SECOND, 30);
    ASSERT_TRUE(gst_element_seek_simple(
        pipeline_, GST_FORMAT_TIME, static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE),
        static_cast<gint64>(time)));
    if (i % 3 == 0) continue;  // the next one comes at once
    for (unsigned k = 0; k < 2 && n + k < 300; ++k) {
      auto out = pull();
      ASSERT_TRUE(out);
      EXPECT_EQ(out->pts, gst_util_uint64_scale(n + k, GST_SECOND, 30));
    }
  }
}

TEST_F(Chain, ALiveCameraLosesNothingWhenNothingMayBeDropped) {
  // By time, a frame whose partner's queue stands still for a frame's time, as on a busy machine, goes alone.
  launch("num-buffers=20 is-live=true", std::string(kSmall) + " ! queue", "! queue",
         "leaky=none sync-mode=order");
  auto out = pull_all();
  ASSERT_EQ(out.size(), 20u);
  for (size_t i = 1; i < out.size(); ++i) {
    EXPECT_EQ(out[i].pts - out[0].pts, gst_util_uint64_scale(i, GST_SECOND, 30));
  }
}

TEST_F(Chain, ACameraThatChangesItsSizeGoesOn) {
  launch("num-buffers=-1", "! capsfilter name=size caps=video/x-raw,width=64,height=48 ! queue", "! queue");
  auto first = pull();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->width, 64);
  GstElement* size = gst_bin_get_by_name(GST_BIN(pipeline_), "size");
  gst_util_set_object_arg(G_OBJECT(size), "caps", "video/x-raw,width=96,height=80");
  gst_object_unref(size);
  int width = 64;
  for (int i = 0; i < 100 && width == 64; ++i) {
    auto out = pull();
    ASSERT_TRUE(out);
    width = out->width;
  }
  EXPECT_EQ(width, 96);
}

TEST_F(Chain, APadThatIsNotLinkedIsNamed) {
  for (const char* linked : {"rgb", "depth"}) {
    SCOPED_TRACE(linked);
    std::string text = std::string("rgbdtestsrc name=s rgbdrefine name=r ! fakesink s.") + linked +
                       " ! video/x-raw,width=64,height=48 ! r." + linked;
    GstElement* pipeline = gst_parse_launch(text.c_str(), nullptr);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstBus* bus = gst_element_get_bus(pipeline);
    GstMessage* message = gst_bus_timed_pop_filtered(bus, 10 * GST_SECOND, GST_MESSAGE_WARNING);
    ASSERT_NE(message, nullptr);
    GError* error = nullptr;
    gst_message_parse_warning(message, &error, nullptr);
    std::string other = std::string(linked) == "rgb" ? "depth" : "rgb";
    EXPECT_NE(std::string(error->message).find("The " + other + " pad is not linked"), std::string::npos)
        << error->message;
    g_error_free(error);
    gst_message_unref(message);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(bus);
    gst_object_unref(pipeline);
  }
}

}  // namespace
