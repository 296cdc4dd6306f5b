// SPDX-License-Identifier: Apache-2.0
// max-hole, with the real core and a small seeded network that puts depth everywhere.
#include <unistd.h>

#include <filesystem>

#include "tests/gst/environment.h"
#include "tests/gst/refine_rig.h"
#include "tests/support/seeded.h"

namespace {

using rgbd::testing::Output;
using rgbd::testing::Rig;

constexpr int kColorSide = 28, kDepthSide = 8;
constexpr int kHoleColumns = 3;  // of the depth frame, from the left: .375 of it

class MaxHole : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = std::filesystem::temp_directory_path() / ("rgbd-refine-hole-test-" + std::to_string(getpid()));
    rgbd::test::write_seeded(model_.string(), "tiny");
  }
  static void TearDownTestSuite() { std::filesystem::remove(model_); }

  static std::string properties(const std::string& more = "") {
    return "device=cpu input-size=28 model=" + model_.string() + " " + more;
  }

  /// Frame n of both pads, all of it a metre away but for the hole.
  static void push(Rig& rig, int n) {
    auto caps = [](const char* format, int side) {
      return std::string("video/x-raw,format=") + format + ",width=" + std::to_string(side) +
             ",height=" + std::to_string(side) + ",framerate=30/1";
    };
    const std::string rgb = caps("RGB", kColorSide), depth = caps("GRAY16_LE", kDepthSide);
    if (n == 0) {
      rig.set_rgb_caps(rgb);
      rig.set_depth_caps(depth);
    }
    rig.push_rgb(rgbd::testing::frame_of(rgb, n));
    GstBuffer* holed = rgbd::testing::frame_of(depth, n);
    for (int y = 0; y < kDepthSide; ++y)
      gst_buffer_memset(holed, static_cast<gsize>(2 * kDepthSide * y), 0, 2 * kHoleColumns);
    rig.push_depth(holed);
  }

  /// Where the frame has depth: everywhere, or not where the hole is.
  static void expect(const std::optional<Output>& out, bool filled) {
    ASSERT_TRUE(out);
    ASSERT_EQ(out->steps.size(), size_t{kColorSide * kColorSide});
    for (int y = 0; y < kColorSide; ++y) {
      for (int x = 0; x < kColorSide; ++x) {
        const bool hole = x * kDepthSide / kColorSide < kHoleColumns;
        ASSERT_EQ(out->steps[static_cast<size_t>(y * kColorSide + x)] != 0, filled || !hole) << x << ' ' << y;
      }
    }
  }

  static inline std::filesystem::path model_;
};

TEST_F(MaxHole, ALargerHoleStaysOneByDefault) {
  Rig rig(properties());
  ASSERT_TRUE(rig.play());
  push(rig, 0);
  expect(rig.pull(), false);
}

TEST_F(MaxHole, ChangesBetweenTwoFrames) {
  Rig rig(properties("max-hole=0.375"));
  ASSERT_TRUE(rig.play());
  push(rig, 0);
  expect(rig.pull(), true);
  rig.set("max-hole", "0.374");
  push(rig, 1);
  expect(rig.pull(), false);
  rig.set("max-hole", "1");
  push(rig, 2);
  expect(rig.pull(), true);
  rig.set("max-hole", "0");
  push(rig, 3);
  expect(rig.pull(), false);
}

}  // namespace
