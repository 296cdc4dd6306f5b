// SPDX-License-Identifier: Apache-2.0
// A camera that is three times as fast as the model: how old is what comes out, after ten minutes too? On a
// clock that only the test moves.
#include <gst/check/gsttestclock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace rgbd::testing {
namespace {

constexpr GstClockTime kSixtieth = GST_SECOND / 60;  // the camera's frame
constexpr GstClockTime kUpstream = 100 * GST_MSECOND;
constexpr int kFramesPerInference = 3;  // the model makes 20 a second

class Age : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fake_rgbd::reset());
    clock_ = gst_test_clock_new();
  }
  void TearDown() override {
    fake_rgbd::release();
    gst_object_unref(clock_);
  }
  GstClock* clock_ = nullptr;
};

double median(std::vector<GstClockTime> ages) {
  std::nth_element(ages.begin(), ages.begin() + static_cast<ptrdiff_t>(ages.size() / 2), ages.end());
  return static_cast<double>(ages[ages.size() / 2]);
}

TEST_F(Age, SixtyFramesASecondIntoAModelOfTwentyForTenMinutes) {
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

}  // namespace
}  // namespace rgbd::testing
