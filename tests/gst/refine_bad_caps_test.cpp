// SPDX-License-Identifier: Apache-2.0
// Caps that no camera should have, and some does: sizes and rates missing or absurd.
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::frame_of;
using rgbd::testing::kDepthBase;
using rgbd::testing::kFrame;
using rgbd::testing::raw_caps;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

class BadCaps : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }

 private:
  rgbd::testing::FatalCriticals fatal_;
};

TEST_F(BadCaps, CapsThatSayNoFramerateAtAll) {
  Rig rig;
  rig.set_rgb_caps("video/x-raw,format=RGB,width=16,height=16");
  rig.set_depth_caps("video/x-raw,format=GRAY16_LE,width=16,height=16");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  auto out = rig.pull();
  ASSERT_TRUE(out) << rig.error_text();
  EXPECT_EQ(out->rgb_number, 0);
}

TEST_F(BadCaps, CapsThatSayNoSizeAreNamed) {
  Rig rig;
  rig.set_rgb_caps("video/x-raw,format=RGB,framerate=30/1");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  const std::string text = rig.error_text();
  EXPECT_NE(text.find("rgb"), std::string::npos) << text;
}

TEST_F(BadCaps, FramesAfterRefusedCapsAreNotRead) {
  for (const char* properties : {"", "inference-interval=2 skip-policy=raw"}) {
    SCOPED_TRACE(properties);
    Rig rig(properties);
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    ASSERT_TRUE(rig.pull());
    const uint64_t before = fake_rgbd::pairs_run();
    // The caps wait at the pad with the next frame, so that frame is there when they are refused.
    rig.push_rgb(rgb_frame(1, kFrame));
    rig.set_depth_caps("video/x-raw,format=GRAY16_LE,width=2147483647,height=13,framerate=30/1");
    rig.push_depth(depth_frame(1, kFrame));
    const std::string text = rig.error_text();
    EXPECT_NE(text.find("depth pad"), std::string::npos) << text;
    rig.end();
    EXPECT_TRUE(rig.nothing_for(100));
    EXPECT_EQ(fake_rgbd::pairs_run(), before);
    EXPECT_EQ(rig.stat("dropped-bad"), 1u);
    EXPECT_NE(rig.warning_text().find("refused"), std::string::npos);
  }
}

TEST_F(BadCaps, DepthOfAbsurdSizesIsDepthNonetheless) {
  for (auto [width, height] : {std::pair{1, 1}, {1, 5000}, {16384, 1}, {16384, 3}}) {
    SCOPED_TRACE(std::to_string(width) + "x" + std::to_string(height));
    Rig rig;
    rig.set_depth_caps(raw_caps("GRAY16_LE", width, height));
    ASSERT_TRUE(rig.play());
    rig.push_rgb(rgb_frame(3, 3 * kFrame));
    rig.push_depth(frame_of(raw_caps("GRAY16_LE", width, height), 3));
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->rgb_number, 3);
    EXPECT_EQ(out->steps.back(), kDepthBase + 3u);
  }
}

TEST_F(BadCaps, ColourOfAbsurdSizesIsRefusedWithTheSize) {
  for (auto [width, height] : {std::pair{1, 1}, {1, 5000}, {14, 5000}, {16384, 16}, {16384, 13}}) {
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    SCOPED_TRACE(size);
    Rig rig;
    rig.set_rgb_caps(raw_caps("RGB", width, height));
    ASSERT_TRUE(rig.play());
    rig.push_rgb(frame_of(raw_caps("RGB", width, height), 0));
    rig.push_depth(depth_frame(0, 0));
    const std::string text = rig.error_text();
    EXPECT_NE(text.find(size), std::string::npos) << text;
  }
}

TEST_F(BadCaps, CapsOfACameraThatClaimsHugeFramesCostNoMemory) {
  Rig rig("", "", true);
  rig.set_rgb_caps(raw_caps("RGB", 16384, 8192));
  ASSERT_TRUE(rig.play());
  rig.push_rgb(rgb_frame(0, 0));
  rig.push_depth(depth_frame(0, 0));
  const std::string text = rig.warning_text();
  EXPECT_NE(text.find("16384x8192"), std::string::npos) << text;
  EXPECT_EQ(fake_rgbd::pairs_run(), 0u) << "made-up ones";
}

TEST_F(BadCaps, ColourAsWideAsAPanoramaIsTaken) {
  for (auto [width, height] : {std::pair{16384, 1024}, {14, 400}}) {
    Rig rig;
    rig.set_rgb_caps(raw_caps("RGB", width, height));
    ASSERT_TRUE(rig.play());
    rig.push_rgb(frame_of(raw_caps("RGB", width, height), 0));
    rig.push_depth(depth_frame(0, 0));
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->width, width);
  }
}

}  // namespace
