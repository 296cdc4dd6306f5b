// SPDX-License-Identifier: Apache-2.0
// How old a frame may be; and of a camera that is three times as fast as the model: how old is what comes
// out, after ten minutes too?
#include <algorithm>
#include <vector>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/live.h"

namespace rgbd::testing {
namespace {

constexpr uint64_t kMs = GST_MSECOND;
constexpr GstClockTime kSixtieth = GST_SECOND / 60;  // the camera's frame
constexpr GstClockTime kUpstream = 100 * GST_MSECOND;
constexpr int kFramesPerInference = 3;  // the model makes 20 a second

double median(std::vector<GstClockTime> ages) {
  std::nth_element(ages.begin(), ages.begin() + static_cast<ptrdiff_t>(ages.size() / 2), ages.end());
  return static_cast<double>(ages[ages.size() / 2]);
}

TEST_F(Live, SixtyFramesASecondIntoAModelOfTwentyForTenMinutes) {
  const std::string fast = ",width=16,height=16,framerate=60/1";
  Rig rig("", "", true);
  rig.set_rgb_caps("video/x-raw,format=RGB" + fast);
  rig.set_depth_caps("video/x-raw,format=GRAY16_LE" + fast);
  for (GstElement* source : {rig.rgb(), rig.depth()}) {
    g_object_set(source, "min-latency", gint64{kUpstream}, "max-latency", gint64{kUpstream}, nullptr);
  }
  gst_pipeline_use_clock(GST_PIPELINE(rig.pipeline()), clock_);
  ASSERT_TRUE(rig.play());
  const GstClockTime start = gst_clock_get_time(clock_);
  int shot = 0;
  auto camera = [&] {  // a frame comes upstream's latency after its time
    const GstClockTime pts = static_cast<GstClockTime>(shot) * kSixtieth;
    gst_test_clock_set_time(GST_TEST_CLOCK(clock_), start + kUpstream + pts);
    rig.push_rgb(rgb_frame(shot % 200, pts, kSixtieth));
    rig.push_depth(depth_frame(shot % 200, pts, kSixtieth));
    ++shot;
  };
  camera();
  ASSERT_TRUE(rig.pull());  // started, at its own size
  fake_rgbd::hold();
  camera();

  std::vector<GstClockTime> ages;
  constexpr int kInferences = 10 * 60 * 20;
  for (int i = 0; i < kInferences; ++i) {
    ASSERT_TRUE(fake_rgbd::wait_until_busy()) << "inference " << i;
    for (int n = 0; n < kFramesPerInference; ++n) camera();
    fake_rgbd::release_one();
    auto out = rig.pull();
    ASSERT_TRUE(out) << "inference " << i;
    ASSERT_EQ(out->rgb_number, out->depth_number);
    ages.push_back(gst_clock_get_time(clock_) - start - out->pts);
  }
  constexpr GstClockTime kInference = kFramesPerInference * kSixtieth;
  EXPECT_LE(*std::max_element(ages.begin(), ages.end()), kUpstream + 2 * kSixtieth + 2 * kInference);
  const ptrdiff_t minute = kInferences / 10;
  EXPECT_NEAR(median({ages.end() - minute, ages.end()}) / median({ages.begin(), ages.begin() + minute}), 1,
              0.1);

  fake_rgbd::release();
  rig.end();
  const size_t rest = rig.pull_all().size();
  EXPECT_EQ(rig.stat("refined"), ages.size() + 1 + rest);
  const uint64_t lost = rig.stat("dropped-late") + rig.stat("dropped-unpaired-rgb");
  EXPECT_EQ(rig.stat("refined") + lost, static_cast<uint64_t>(shot));
  EXPECT_GT(rig.stat("dropped-late"), static_cast<uint64_t>(kInferences));
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

TEST_F(Live, ACameraThatIsSlowerThanItSaysIsToldOf) {
  Rig rig("", "", true);
  play(rig, 100);
  GstClockTime base = gst_element_get_base_time(rig.pipeline());
  constexpr GstClockTime kSlow = 500 * kMs;
  for (int n = 0; n <= 31; ++n) {
    gst_test_clock_set_time(clock(), base + 20 * GST_SECOND + n * kFrame + kSlow);
    push(rig, n, 20 * GST_SECOND + n * kFrame);
    while (rig.stat("dropped-late") <= static_cast<uint64_t>(n)) reach_deadline();
  }
  EXPECT_NE(rig.warning_text().find("each frame is older than 166 ms"), std::string::npos);
  // With the latency that it has, all is well.
  rig.set("latency", std::to_string(kSlow));
  push(rig, 100, 20 * GST_SECOND + 40 * kFrame);
  EXPECT_TRUE(rig.pull());
  EXPECT_EQ(rig.count_now(GST_MESSAGE_WARNING), 0) << "said once";
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

}  // namespace
}  // namespace rgbd::testing
