// SPDX-License-Identifier: Apache-2.0
// What the sensors of rgbdtestsrc do to the truth, in figures: holes, noise, shadows, edges.
#include <algorithm>
#include <cmath>

#include "tests/gst/environment.h"
#include "tests/gst/source_rig.h"

namespace {

using rgbd::testing::SourceFrame;
using rgbd::testing::SourceRig;

struct Pair {
  SourceFrame depth, truth;
};

/// A few frames of three rooms, 640x480.
std::vector<Pair> pairs_of(const std::string& sensor) {
  std::vector<Pair> pairs;
  for (int seed : {0, 1, 6}) {
    SourceRig rig("num-buffers=2 sensor=" + sensor + " seed=" + std::to_string(seed),
                  {{"depth", ""}, {"truth", ""}});
    rig.play();
    auto depth = rig.pull_all("depth"), truth = rig.pull_all("truth");
    EXPECT_EQ(depth.size(), 2u);
    EXPECT_EQ(truth.size(), 2u);
    for (size_t i = 0; i < std::min(depth.size(), truth.size()); ++i) pairs.push_back({depth[i], truth[i]});
  }
  return pairs;
}

/// Nearest and farthest truth within `reach` px.
struct Span {
  int near_mm, far_mm;
  bool edge() const { return far_mm - near_mm > 150 + near_mm / 20; }
};
Span span(const SourceFrame& truth, int x, int y, int reach) {
  Span s{65535, 0};
  for (int v = std::max(y - reach, 0); v <= std::min(y + reach, truth.height - 1); ++v) {
    for (int u = std::max(x - reach, 0); u <= std::min(x + reach, truth.width - 1); ++u) {
      int mm = truth.depth_mm(u, v);
      s = {std::min(s.near_mm, mm), std::max(s.far_mm, mm)};
    }
  }
  return s;
}

struct Figures {
  double holes = 0;                            // share of all pixels
  double holes_near_edge = 0;                  // share of the pixels within 2 px of a depth edge
  double near_error = 0;                       // median error in mm, on smooth surfaces, truth in 1..2 m
  double far_error = 0;                        // the same, in 4..5 m
  double flying = 0;                           // share of the valid pixels at edges that lie on neither side
  double left_of_near = 0, right_of_near = 0;  // holes in the far pixels just left and right of a near thing
};

double median(std::vector<double> values) {
  EXPECT_GT(values.size(), 500u);
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

Figures figures_of(const std::string& sensor) {
  Figures f;
  double pixels = 0, edge_pixels = 0, edge_valid = 0, left = 0, right = 0;
  std::vector<double> near_errors, far_errors;
  for (const auto& [depth, truth] : pairs_of(sensor)) {
    for (int y = 2; y < truth.height - 2; y += 2) {
      for (int x = 30; x < truth.width - 30; ++x) {
        int mm = depth.depth_mm(x, y), true_mm = truth.depth_mm(x, y);
        ++pixels;
        f.holes += mm == 0;
        Span around = span(truth, x, y, 2);
        if (around.edge()) {
          ++edge_pixels;
          f.holes_near_edge += mm == 0;
          if (mm) {
            ++edge_valid;
            f.flying += mm > around.near_mm * 1.04 + 20 && mm < around.far_mm * 0.96 - 20;
          }
        } else if (mm && true_mm >= 1000 && true_mm < 2000) {
          near_errors.push_back(std::abs(mm - true_mm));
        } else if (mm && true_mm >= 4000 && true_mm < 5000) {
          far_errors.push_back(std::abs(mm - true_mm));
        }
        // The background 3 px beside something at least half a metre nearer.
        auto beside = [&](int step, double& count, double& holes) {
          if (true_mm - truth.depth_mm(x + step, y) < 500 || truth.depth_mm(x + step, y) > 2500) return;
          ++count;
          holes += mm == 0;
        };
        beside(3, left, f.left_of_near);
        beside(-3, right, f.right_of_near);
      }
    }
  }
  f.holes /= pixels;
  f.holes_near_edge /= edge_pixels;
  f.flying /= edge_valid;
  f.left_of_near /= left;
  f.right_of_near /= right;
  f.near_error = median(near_errors);
  f.far_error = median(far_errors);
  return f;
}

TEST(Sensor, NoneIsTheTruth) {
  for (const auto& [depth, truth] : pairs_of("none")) {
    EXPECT_EQ(depth.bytes, truth.bytes);
    for (int y = 0; y < truth.height; ++y) {
      for (int x = 0; x < truth.width; ++x) {
        ASSERT_GT(truth.depth_mm(x, y), 50);
        ASSERT_LT(truth.depth_mm(x, y), 8000);
      }
    }
  }
}

void expect_between(double value, double low, double high, const char* what) {
  EXPECT_GE(value, low) << what;
  EXPECT_LE(value, high) << what;
}

TEST(Sensor, Stereo) {
  Figures f = figures_of("stereo");
  expect_between(f.holes, 0.08, 0.2, "share of holes");
  expect_between(f.holes_near_edge, 0.25, 0.5, "holes at edges");
  expect_between(f.near_error, 3, 10, "mm at 1..2 m");
  expect_between(f.far_error / f.near_error, 4, 9, "grows with the square of depth");
  expect_between(f.flying, 0, 0.04, "flying pixels");
  EXPECT_GT(f.left_of_near, 1.7 * f.right_of_near) << "the second camera's shadow";
}

TEST(Sensor, StructuredLight) {
  Figures f = figures_of("structured-light");
  expect_between(f.holes, 0.04, 0.12, "share of holes");
  expect_between(f.holes_near_edge, 0.3, 0.5, "holes at edges");
  expect_between(f.near_error, 3, 10, "mm at 1..2 m");
  expect_between(f.far_error / f.near_error, 3.5, 9, "grows with the square of depth");
  expect_between(f.flying, 0, 0.04, "flying pixels");
  EXPECT_GT(f.left_of_near, 2 * f.right_of_near) << "the projector's shadow";
}

TEST(Sensor, TimeOfFlight) {
  Figures f = figures_of("tof");
  expect_between(f.holes, 0.03, 0.1, "share of holes");
  expect_between(f.holes_near_edge, 0.15, 0.35, "holes at edges");
  expect_between(f.near_error, 2, 8, "mm at 1..2 m");
  expect_between(f.far_error, 8, 25, "mm at 4..5 m");
  expect_between(f.flying, 0.3, 0.6, "flying pixels between the two sides of an edge");
  expect_between(f.left_of_near / f.right_of_near, 0.8, 1.25, "one eye, no shadow");
}

/// Disparity comes in steps, so depth does too: few values, farther apart with distance.
TEST(Sensor, StructuredLightMeasuresInCoarseSteps) {
  auto distinct = [](const std::string& sensor) {
    std::vector<int> values;
    for (const auto& [depth, truth] : pairs_of(sensor)) {
      for (int y = 0; y < depth.height; ++y) {
        for (int x = 0; x < depth.width; ++x) {
          if (int mm = depth.depth_mm(x, y); mm >= 3000 && mm < 5000) values.push_back(mm);
        }
      }
    }
    std::sort(values.begin(), values.end());
    return std::unique(values.begin(), values.end()) - values.begin();
  };
  EXPECT_LT(distinct("structured-light"), 45);
  EXPECT_GT(distinct("tof"), 1500);
}

TEST(Sensor, NoiseIsNewInEveryFrameAndAnotherWithAnotherSeed) {
  // The camera moves little from one frame to the next; a copied noise pattern would correlate.
  auto correlation = [](const Pair& a, const Pair& b) {
    double sum = 0, sum_a = 0, sum_b = 0;
    for (int y = 0; y < a.depth.height; ++y) {
      for (int x = 0; x < a.depth.width; ++x) {
        if (!a.depth.depth_mm(x, y) || !b.depth.depth_mm(x, y)) continue;
        if (span(a.truth, x, y, 1).edge() || span(b.truth, x, y, 1).edge()) continue;
        double ea = a.depth.depth_mm(x, y) - a.truth.depth_mm(x, y);
        double eb = b.depth.depth_mm(x, y) - b.truth.depth_mm(x, y);
        sum += ea * eb, sum_a += ea * ea, sum_b += eb * eb;
      }
    }
    return sum / std::sqrt(sum_a * sum_b);
  };
  auto pairs = pairs_of("structured-light");
  EXPECT_LT(std::abs(correlation(pairs[0], pairs[1])), 0.2);
  EXPECT_LT(std::abs(correlation(pairs[0], pairs[2])), 0.1);
}

}  // namespace
