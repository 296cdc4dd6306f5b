// SPDX-License-Identifier: Apache-2.0
// The embedded model where a camera is not as in training: on frames of the test camera with one thing
// changed about each, its errors move by less than a tenth. Errors are AbsRel, |depth - truth| / truth, in
// the mean over the pixels that the unchanged frame measures, and over those that it does not. Each line is
// printed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/rgbd.h"
#include "gst/testsrc/noise.h"
#include "gst/testsrc/render.h"
#include "gst/testsrc/scene.h"
#include "gst/testsrc/sensor.h"

namespace rgbd {
namespace {

/// How far the errors may move.
struct Most {
  double measured = 0.1, holes = 0.1;
};
/// What the shipped model misses that by, to be mended by a better one, not by this test. Edges of depth
/// follow those of colour, which takes a tenth off the errors of measured pixels and a seventh off those of
/// holes (core/light/edge_snap.h); colour that is wrong or none gives that away again, but little more:
/// kWithoutEdges.
constexpr Most kColourOff{0.1, 0.23};        // holes, .143 to .208
constexpr Most kNoColour{0.15, 0.33};        // .126, .303
constexpr Most kNoiseForColour{0.15, 0.26};  // .126, .237
constexpr Most kQuarterSize{0.18, 0.1};      // measured pixels, .175
/// Errors of the same model with no edge moved, colours as they are: where colours change, these move by less
/// than kMore.
constexpr double kWithoutEdgesMeasured = 0.0192, kWithoutEdgesHoles = 0.0591, kMore = 0.15;
constexpr uint32_t kSeeds = 10;
using Steps = std::vector<uint16_t>;  // millimetres, 0 = no depth

struct Frame {
  int width = 0, height = 0;              // of colour and truth
  int depth_width = 0, depth_height = 0;  // of raw
  std::vector<uint8_t> rgb;
  Steps raw, truth;
};

/// What `rgbdtestsrc seed=… sensor=stereo num-buffers=1` puts out: a living room, a tenth of it holes and
/// more.
Frame shoot(uint32_t seed, int width, int height) {
  const NoiseTiles noise(hash(seed, 0x7115e));
  DepthSensor sensor(SensorKind::kStereo, noise);
  const auto fov = field_of_view(width, height);
  View view;
  Renderer(noise).render(Scene(seed).at(0), fov, width, height, 0, view);
  const size_t pixels = view.depth.size();
  Frame frame{width, height, width, height, view.color, Steps(pixels), Steps(pixels)};
  sensor.measure(view, fov.tan_x, seed, 0, frame.raw.data());
  write_truth(view, frame.truth.data());
  return frame;
}

Refiner& model() {
  static const auto refiner = [] {
    Options options;
    options.model = RGBD_MODEL;
    options.device = "cpu";
    return open(options);
  }();
  return *refiner;
}

Steps refine(const Frame& frame, double max_hole = 1) {
  Steps out(frame.truth.size());
  ImageView image;
  image.width = frame.width;
  image.height = frame.height;
  image.planes[0] = {frame.rgb.data(), 3 * frame.width};
  DepthView depth;
  depth.data = reinterpret_cast<const uint8_t*>(frame.raw.data());
  depth.width = frame.depth_width;
  depth.height = frame.depth_height;
  depth.stride_bytes = 2 * frame.depth_width;
  depth.max_depth_m = 65.535;
  depth.max_hole = max_hole;
  DepthOut to;
  to.data = reinterpret_cast<uint8_t*>(out.data());
  to.width = frame.width;
  to.height = frame.height;
  to.stride_bytes = 2 * frame.width;
  EXPECT_TRUE(model().submit(image, depth, to)->wait());
  return out;
}

/// Sums over pixels; several frames add up.
struct Errors {
  double measured = 0, holes = 0;
  int64_t measured_pixels = 0, hole_pixels = 0, without_depth = 0;

  /// `zones`: raw depth, which says what is measured and what a hole. Not finite depth has become none.
  void add(const Steps& depth, const Steps& truth, const Steps& zones) {
    for (size_t i = 0; i < depth.size(); ++i) {
      const double error = std::abs(1.0 * depth[i] - truth[i]) / truth[i];
      without_depth += depth[i] == 0;
      (zones[i] ? measured : holes) += error;
      ++(zones[i] ? measured_pixels : hole_pixels);
    }
  }
  double of_measured() const { return measured / static_cast<double>(measured_pixels); }
  double of_holes() const { return holes / static_cast<double>(hole_pixels); }
};

std::string line(const std::string& what, const Errors& now, const Errors& before) {
  char text[200];
  std::snprintf(text, sizeof text,
                "%-28s measured %.5f, was %.5f (%+5.1f %%)   holes %.5f, was %.5f (%+5.1f %%)", what.c_str(),
                now.of_measured(), before.of_measured(), 100 * (now.of_measured() / before.of_measured() - 1),
                now.of_holes(), before.of_holes(), 100 * (now.of_holes() / before.of_holes() - 1));
  std::puts(text);
  return text;
}

void expect_no_move(const std::string& what, const Errors& now, const Errors& before, Most most = {}) {
  const std::string figures = line(what, now, before);
  EXPECT_EQ(now.without_depth, 0) << what << ": pixels without depth";
  EXPECT_LT(std::abs(now.of_measured() / before.of_measured() - 1), most.measured) << figures;
  EXPECT_LT(std::abs(now.of_holes() / before.of_holes() - 1), most.holes) << figures;
}

class Robust : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (uint32_t seed = 0; seed < kSeeds; ++seed) {
      frames_.push_back(shoot(seed, 320, 240));
      const Frame& frame = frames_.back();
      before_.add(refine(frame), frame.truth, frame.raw);
    }
    ASSERT_EQ(before_.without_depth, 0);
    ASSERT_GT(before_.hole_pixels, before_.measured_pixels / 10);
  }

  /// `change` has a frame and its number; it leaves the size alone.
  static void expect_steady(const std::string& what, const std::function<void(Frame&, uint32_t)>& change,
                            Most most = {}) {
    Errors now;
    for (uint32_t i = 0; i < kSeeds; ++i) {
      Frame changed = frames_[i];
      change(changed, i);
      now.add(refine(changed), changed.truth, frames_[i].raw);
    }
    expect_no_move(what, now, before_, most);
    if (most.holes > Most{}.holes) {
      EXPECT_LT(now.of_measured(), (1 + kMore) * kWithoutEdgesMeasured) << what;
      EXPECT_LT(now.of_holes(), (1 + kMore) * kWithoutEdgesHoles) << what;
    }
  }

  static inline std::vector<Frame> frames_;
  static inline Errors before_;
};

TEST_F(Robust, DepthAtAnotherScale) {
  for (const double scale : {0.5, 2.0, 4.0}) {
    expect_steady("depth x" + std::to_string(scale), [&](Frame& frame, uint32_t) {
      for (Steps* map : {&frame.raw, &frame.truth})
        for (uint16_t& steps : *map) steps = static_cast<uint16_t>(std::lround(scale * steps));
    });
  }
}

TEST_F(Robust, RedAndBlueSwapped) {
  expect_steady("red and blue swapped", [](Frame& frame, uint32_t) {
    for (size_t i = 0; i < frame.rgb.size(); i += 3) std::swap(frame.rgb[i], frame.rgb[i + 2]);
  });
}

TEST_F(Robust, ColourOnePixelOff) {
  for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
    expect_steady(
        "colour off by " + std::to_string(dx) + " " + std::to_string(dy),
        [&, dx = dx, dy = dy](Frame& frame, uint32_t) {
          const auto rgb = frame.rgb;
          for (int y = 0; y < frame.height; ++y) {
            for (int x = 0; x < frame.width; ++x) {
              const int from_x = std::clamp(x - dx, 0, frame.width - 1),
                        from_y = std::clamp(y - dy, 0, frame.height - 1);
              std::copy_n(&rgb[3 * (from_y * frame.width + from_x)], 3,
                          &frame.rgb[3 * (y * frame.width + x)]);
            }
          }
        },
        kColourOff);
  }
}

TEST_F(Robust, GreyImages) {
  expect_steady("colours as grey", [](Frame& frame, uint32_t) {
    for (size_t i = 0; i < frame.rgb.size(); i += 3) {
      const auto grey =
          static_cast<uint8_t>((299 * frame.rgb[i] + 587 * frame.rgb[i + 1] + 114 * frame.rgb[i + 2]) / 1000);
      std::fill_n(&frame.rgb[i], 3, grey);
    }
  });
  expect_steady(
      "one grey", [](Frame& frame, uint32_t) { std::ranges::fill(frame.rgb, uint8_t{128}); }, kNoColour);
}

TEST_F(Robust, ImagesOfNoise) {
  expect_steady(
      "noise for colour",
      [](Frame& frame, uint32_t seed) {
        std::mt19937 random(seed);
        for (uint8_t& value : frame.rgb) value = static_cast<uint8_t>(random());
      },
      kNoiseForColour);
}

TEST_F(Robust, HalfOfTheDepthRemoved) {
  const auto halve = [](Frame& frame, uint32_t seed) {
    std::mt19937 random(seed);
    for (uint16_t& steps : frame.raw)
      if (random() % 2) steps = 0;
  };
  expect_steady("half of the depth", halve);
}

TEST_F(Robust, AllDepthRemoved) {
  Frame frame = frames_[0];
  std::ranges::fill(frame.raw, uint16_t{0});
  EXPECT_EQ(refine(frame), frame.raw);
}

TEST_F(Robust, LessThanAHundredthOfDepthPassesThrough) {
  Frame frame = frames_[0];
  const auto keep = [&](int pixels) {
    std::vector<size_t> measured;
    for (size_t i = 0; i < frame.raw.size(); ++i)
      if (frames_[0].raw[i]) measured.push_back(i);
    std::ranges::shuffle(measured, std::mt19937(1));
    std::ranges::fill(frame.raw, uint16_t{0});
    for (int i = 0; i < pixels; ++i) frame.raw[measured[i]] = frames_[0].raw[measured[i]];
  };
  keep(320 * 240 / 100 - 1);
  EXPECT_EQ(refine(frame), frame.raw);
  keep(320 * 240 / 100);
  const Steps filled = refine(frame);
  EXPECT_EQ(std::ranges::count(filled, 0), 0);
}

TEST_F(Robust, NothingIsInventedInALargeHole) {
  Frame frame = frames_[0];
  std::fill_n(frame.raw.begin(), 320 * 240 / 2, uint16_t{0});
  const Steps refined = refine(frame, DepthView{}.max_hole);
  EXPECT_EQ(std::count(refined.begin(), refined.begin() + 320 * 240 / 2, 0), 320 * 240 / 2);
}

// The same depth beside colour of four times its width and height: its own pixels, whose truth stays, are
// read in the middle of where they are shown.
TEST_F(Robust, DepthOfAQuarterOfTheColoursSize) {
  Errors now, before;
  for (uint32_t seed = 0; seed < kSeeds; ++seed) {
    const Frame small = shoot(seed, 160, 120);
    before.add(refine(small), small.truth, small.raw);
    Frame large = shoot(seed, 640, 480);
    large.raw = small.raw;
    large.depth_width = 160;
    large.depth_height = 120;
    const Steps refined = refine(large);
    EXPECT_EQ(std::ranges::count(refined, 0), 0);
    Steps middles;
    for (int y = 0; y < 120; ++y)
      for (int x = 0; x < 160; ++x) middles.push_back(refined[(4 * y + 2) * 640 + 4 * x + 2]);
    now.add(middles, small.truth, small.raw);
  }
  expect_no_move("depth of a quarter", now, before, kQuarterSize);
}

/// The camera errs less where its picture is larger, so errors there are held against its own, and against
/// those of the small picture.
class RobustSizes : public Robust {
 protected:
  static void expect_as_good(int width, int height, Most most = {}) {
    Errors now, raw, raw_before;
    for (const Frame& frame : frames_) raw_before.add(frame.raw, frame.truth, frame.raw);
    const Frame frame = shoot(0, width, height);
    now.add(refine(frame), frame.truth, frame.raw);
    raw.add(frame.raw, frame.truth, frame.raw);
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    const std::string figures = line(size, now, before_);
    const double share = now.of_measured() / raw.of_measured(),
                 share_before = before_.of_measured() / raw_before.of_measured();
    std::printf("%-28s measured / raw %.3f, was %.3f (%+.1f %%)\n", "", share, share_before,
                100 * (share / share_before - 1));
    EXPECT_EQ(now.without_depth, 0) << size << ": pixels without depth";
    EXPECT_LT(share, (1 + most.measured) * share_before) << figures << ", of raw's " << raw.of_measured();
    EXPECT_LT(now.of_holes(), (1 + most.holes) * before_.of_holes()) << figures;
  }
};

TEST_F(RobustSizes, Common) {
  for (const auto& [width, height] : {std::pair{424, 240}, {640, 480}, {848, 480}, {1280, 720}})
    expect_as_good(width, height);
}

TEST_F(RobustSizes, FullHd) {
  expect_as_good(1920, 1080);
}

}  // namespace
}  // namespace rgbd
