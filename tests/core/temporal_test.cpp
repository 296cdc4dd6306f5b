// SPDX-License-Identifier: Apache-2.0
// The temporal filter against its formula, pixel by pixel in double, and what it must not do: trail, fill,
// invent.
#include "core/temporal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace rgbd {
namespace {

constexpr int kWidth = 43, kHeight = 29;  // no multiple of what a processor does at once
constexpr double kUnit = 0.001;
using Steps = std::vector<uint16_t>;

Steps flat(int steps) {
  return Steps(size_t{kWidth} * kHeight, static_cast<uint16_t>(steps));
}
uint16_t& at(Steps& frame, int x, int y) {
  return frame[static_cast<size_t>(y) * kWidth + static_cast<size_t>(x)];
}
DepthOut view(Steps& frame) {
  DepthOut out;
  out.data = reinterpret_cast<uint8_t*>(frame.data());
  out.width = kWidth;
  out.height = static_cast<int>(frame.size()) / kWidth;
  out.stride_bytes = 2 * kWidth;
  out.metres_per_step = kUnit;
  return out;
}
Steps apply(TemporalFilter& filter, Steps frame, double weight = 0.5) {
  filter.apply(view(frame), weight);
  return frame;
}
double tolerance(double s, double level = 1) {
  const double share = std::min<double>(kTemporalShare + kTemporalPerMetre * kUnit * s, kTemporalMostShare);
  return kTemporalSteps + level * s * share;
}

/// The header's formula as it stands there.
class Formula {
 public:
  Steps apply(const Steps& frame, double weight) {
    if (past_.empty()) past_.assign(frame.begin(), frame.end());
    const double level = level_of(frame);
    Steps out(frame.size());
    for (int top = 0; top < kHeight; top += kTemporalTile)
      for (int left = 0; left < kWidth; left += kTemporalTile)
        apply_to_tile(frame, weight, level, left, top, out);
    return out;
  }

 private:
  void apply_to_tile(const Steps& frame, double weight, double level, int left, int top, Steps& out) {
    double& drift = drifts_[{left, top}];
    double sum = 0, count = 0;
    for (int y = top; y < std::min(top + kTemporalTile, kHeight); ++y) {
      for (int x = left; x < std::min(left + kTemporalTile, kWidth); ++x) {
        const auto i = static_cast<size_t>(y * kWidth + x);
        const bool known = frame[i] > 0 && past_[i] > 0;
        const double motion = known ? (frame[i] - past_[i]) / tolerance(past_[i], level) : 0;
        const double gate = std::max(motion * motion, std::pow(drift / kTemporalDrift, 2));
        const double w = known ? weight * std::max(0.0, 1 - gate) : 0;
        past_[i] = frame[i] - w * (frame[i] - past_[i]);
        out[i] = static_cast<uint16_t>(past_[i] + 0.5);
        sum += std::clamp(motion, -1.0, 1.0);
        ++count;
      }
    }
    drift += kTemporalDriftRate * (sum / count - drift);
  }

  double level_of(const Steps& frame) const {
    std::vector<double> differences;
    for (int y = 0; y < kHeight; y += kTemporalRows) {
      for (int x = kTemporalColumns; x < kWidth; x += kTemporalColumns) {
        const auto a = static_cast<size_t>(y * kWidth + x), b = a - kTemporalColumns;
        if (!frame[a] || !frame[b] || past_[a] == 0 || past_[b] == 0) continue;
        differences.push_back(std::abs((frame[a] - past_[a]) / tolerance(past_[a]) -
                                       (frame[b] - past_[b]) / tolerance(past_[b])));
      }
    }
    std::sort(differences.begin(), differences.end());
    const auto at = static_cast<size_t>(kTemporalQuantile * static_cast<double>(differences.size()));
    return std::clamp<double>(kTemporalNoise * differences[at], kTemporalLeast, 1);
  }

  std::vector<double> past_;
  std::map<std::pair<int, int>, double> drifts_;  // by the tile's left and top
};

TEST(Temporal, IsItsFormula) {
  std::mt19937 random(1);
  std::normal_distribution<double> noise(0, 0.3);
  for (const double weight : {0.25, 0.6, 1.0}) {
    Formula formula;
    const auto filter = make_temporal_filter();
    for (int n = 0; n < 8; ++n) {
      Steps frame = flat(0);
      for (int y = 0; y < kHeight; ++y) {
        for (int x = 0; x < kWidth; ++x) {
          const double still = 400 + 60 * x + 3 * n * (y > kHeight / 2);
          if ((x * 7 + y * 3 + n) % 31 != 0)  // holes that come and go
            at(frame, x, y) = static_cast<uint16_t>(still + noise(random) * tolerance(still));
        }
      }
      const Steps expected = formula.apply(frame, weight), got = apply(*filter, frame, weight);
      int differ = 0;
      for (size_t i = 0; i < frame.size(); ++i) {
        ASSERT_NEAR(got[i], expected[i], 1) << "pixel " << i << " of frame " << n;
        differ += got[i] != expected[i];
      }
      EXPECT_LE(differ, 3) << "more than rounding";
      if (n > 0) {
        EXPECT_NE(got, frame);
      }
    }
  }
}

/// A plain surface under noise.
Steps measured(double steps, std::normal_distribution<double>& noise, std::mt19937& random) {
  Steps frame = flat(0);
  for (uint16_t& pixel : frame) pixel = static_cast<uint16_t>(std::lround(steps + noise(random)));
  return frame;
}

/// What the filter leaves of noise that is new in each frame, on depth of 20 m.
double left_of_noise(double deviation, double weight) {
  constexpr int kFar = 20000, kFrames = 60, kWarm = 20;
  std::mt19937 random(2);
  std::normal_distribution<double> noise(0, deviation);
  const auto filter = make_temporal_filter();
  double before = 0, after = 0;
  for (int n = 0; n < kFrames; ++n) {
    const Steps frame = measured(kFar, noise, random);
    const Steps steadied = apply(*filter, frame, weight);
    for (size_t i = 0; n >= kWarm && i < frame.size(); ++i) {
      before += std::pow(frame[i] - kFar, 2);
      after += std::pow(steadied[i] - kFar, 2);
    }
  }
  return std::sqrt(after / before);
}

TEST(Temporal, NoiseFarBelowTheToleranceShrinksAsTheWeightSays) {
  for (const double weight : {0.3, 0.6, 0.8}) {
    const double expected = std::sqrt((1 - weight) / (1 + weight));
    EXPECT_NEAR(left_of_noise(0.04 * tolerance(20000, kTemporalLeast), weight), expected, 0.02) << weight;
  }
}

TEST(Temporal, NoiseOfAnyCameraShrinksAlike) {
  for (const double share : {0.05, 0.1, 0.2})
    EXPECT_NEAR(left_of_noise(share * tolerance(20000), 0.6), 0.62, 0.02) << share;
}

TEST(Temporal, SmallChangesAddUp) {
  // Half a step at a time: what is kept is not rounded.
  const auto filter = make_temporal_filter();
  Steps last;
  for (int n = 0; n < 40; ++n) {
    Steps frame = flat(3000);
    at(frame, 20, 14) = 3002;
    last = apply(*filter, n == 0 ? flat(3000) : frame, 0.9);
    if (n == 1) {
      EXPECT_EQ(at(last, 20, 14), 3000);
    }
  }
  EXPECT_EQ(at(last, 20, 14), 3002);
}

TEST(Temporal, AnEdgeThatMovesIsTakenAtOnce) {
  const auto filter = make_temporal_filter();
  for (int n = 0; n < 6; ++n) {
    Steps frame = flat(2000);
    for (int y = 5; y < 20; ++y)
      for (int x = 4 + 3 * n; x < 12 + 3 * n; ++x) at(frame, x, y) = 1900;  // 5 % nearer
    EXPECT_EQ(apply(*filter, frame, 1), frame) << n;
  }
}

TEST(Temporal, NothingLagsBehindByMoreThanTheTolerance) {
  // A camera that moves towards a wall: every pixel by a little, always. Without noise it may be a small one.
  const auto filter = make_temporal_filter();
  for (int n = 0; n < 40; ++n) {
    const Steps frame = flat(2500 - 7 * n), out = apply(*filter, frame, 1);
    const auto [least, most] = std::minmax_element(out.begin(), out.end());
    EXPECT_GE(*least, frame[0]);
    EXPECT_LE(*most, frame[0] + tolerance(2500, kTemporalLeast) + 1) << n;
  }
}

TEST(Temporal, WhatGlidesByDoesNotLagBehind) {
  // By a seventh of the tolerance a frame, under noise: without the drift, 1.5 times that would be the lag.
  constexpr int kFar = 20000, kFrames = 30;
  const double noise_deviation = 0.2 * tolerance(kFar), pace = 0.15 * tolerance(kFar);
  std::mt19937 random(5);
  std::normal_distribution<double> noise(0, noise_deviation);
  const auto filter = make_temporal_filter();
  double lag = 0, pixels = 0;
  for (int n = 0; n < kFrames; ++n) {
    const Steps frame = measured(kFar + n * pace, noise, random);
    const Steps out = apply(*filter, frame, 0.6);
    for (size_t i = 0; n >= 10 && i < out.size(); ++i, ++pixels) lag += frame[i] - out[i];
  }
  EXPECT_LT(lag / pixels, 0.5 * pace);
}

TEST(Temporal, TheToleranceIsAsWideAsTheNoise) {
  // A pixel off the grid that moves is taken where the rest is quiet, and blended where all of it moves that
  // much.
  for (const double share : {0.02, 0.5}) {
    std::mt19937 random(4);
    std::normal_distribution<double> noise(0, share * tolerance(4000));
    const auto filter = make_temporal_filter();
    apply(*filter, flat(4000));
    Steps frame = flat(0);
    for (uint16_t& steps : frame) steps = static_cast<uint16_t>(std::lround(4000 + noise(random)));
    const auto moved = static_cast<uint16_t>(4000 + std::lround(0.4 * tolerance(4000)));
    at(frame, 13, 9) = moved;
    Steps out = apply(*filter, frame);
    EXPECT_EQ(at(out, 13, 9) == moved, share < 0.1) << at(out, 13, 9);
  }
}

TEST(Temporal, AHoleStaysOneAndLeavesNothingBehind) {
  const auto filter = make_temporal_filter();
  Steps holed = flat(1500);
  at(holed, 7, 7) = 0;
  EXPECT_EQ(apply(*filter, holed), holed);
  Steps filled = flat(1500);
  at(filled, 7, 7) = 1503;
  EXPECT_EQ(apply(*filter, filled), filled) << "the first depth is taken as it is";
  EXPECT_EQ(apply(*filter, holed), holed) << "and is not kept where there is none any more";
  at(filled, 7, 7) = 1506;
  EXPECT_EQ(apply(*filter, filled), filled);
}

TEST(Temporal, AHoleIsNoDepthOfNearlyNothing) {
  const auto filter = make_temporal_filter();  // steps so coarse that one is within the tolerance
  for (const int steps : {0, 1, 0, 1}) EXPECT_EQ(apply(*filter, flat(steps), 1), flat(steps));
}

TEST(Temporal, DepthStaysDepthAtBothEnds) {
  for (const int end : {1, 65535}) {
    const int other = end == 1 ? 2 : 65530;
    const auto filter = make_temporal_filter();
    for (int n = 0; n < 6; ++n) {
      const Steps out = apply(*filter, flat(n % 2 ? other : end), 0.9);
      const auto [least, most] = std::minmax_element(out.begin(), out.end());
      EXPECT_GE(*least, std::min(end, other));
      EXPECT_LE(*most, std::max(end, other));
    }
  }
}

/// As flat(), but `share` of the rows show something else.
Steps partly_other(int steps, double share) {
  Steps frame = flat(steps);
  std::fill(frame.begin(), frame.begin() + std::lround(share * kHeight) * kWidth, uint16_t{9000});
  return frame;
}

TEST(Temporal, AfterACutTheFrameIsTakenWhole) {
  for (const bool cut : {false, true}) {
    const auto filter = make_temporal_filter();
    apply(*filter, flat(2000));
    const Steps next = partly_other(2004, cut ? 0.7 : 0.3), out = apply(*filter, next);
    EXPECT_EQ(out == next, cut);
    EXPECT_EQ(out.front(), 9000);
  }
}

TEST(Temporal, ForgetsWhereThePastIsNoOtherFrames) {
  const Steps first = flat(2000), next = flat(2004);
  auto next_after = [&](auto&& change) {
    const auto filter = make_temporal_filter();
    apply(*filter, first);
    change(*filter);
    return apply(*filter, next);
  };
  EXPECT_NE(next_after([](TemporalFilter&) {}), next);
  EXPECT_EQ(next_after([](TemporalFilter& filter) { filter.reset(); }), next);
  EXPECT_EQ(next_after([&](TemporalFilter& filter) { EXPECT_EQ(apply(filter, flat(2002), 0), flat(2002)); }),
            next);
  EXPECT_EQ(next_after([&](TemporalFilter& filter) {
              Steps other = first;
              DepthOut coarser = view(other);
              coarser.metres_per_step = 2 * kUnit;
              filter.apply(coarser, 0.5);
            }),
            next);
  EXPECT_EQ(next_after([&](TemporalFilter& filter) {
              Steps other = first;
              DepthOut smaller = view(other);
              --smaller.height;
              filter.apply(smaller, 0.5);
            }),
            next);
}

TEST(Temporal, ForgetsTheDriftToo) {
  const auto filter = make_temporal_filter();
  for (int n = 0; n < 5; ++n) apply(*filter, flat(2000 + 5 * n));
  EXPECT_EQ(apply(*filter, flat(2024)), flat(2024)) << "what drifts is taken as it is";
  filter->reset();
  apply(*filter, flat(2000));
  EXPECT_NE(apply(*filter, flat(2004)), flat(2004));
}

TEST(Temporal, ByteOrderStrideAndPaddingAreTheFrames) {
  const auto plain = make_temporal_filter(), strange = make_temporal_filter();
  std::mt19937 random(3);
  constexpr ptrdiff_t kStride = 2 * kWidth + 3;
  for (int n = 0; n < 3; ++n) {
    Steps frame = flat(0);
    for (uint16_t& steps : frame) steps = static_cast<uint16_t>(1000 + random() % 8);
    std::vector<uint8_t> bytes(kStride * kHeight, 0xab);
    uint8_t* last_row = bytes.data() + kStride * (kHeight - 1);
    auto pixel = [&](int x, int y) { return last_row - kStride * y + 2 * x; };  // bottom up
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        pixel(x, y)[0] = static_cast<uint8_t>(at(frame, x, y) >> 8);
        pixel(x, y)[1] = static_cast<uint8_t>(at(frame, x, y));
      }
    }
    DepthOut out = view(frame);
    out.data = last_row;
    out.stride_bytes = -kStride;
    out.big_endian = true;
    strange->apply(out, 0.5);
    Steps expected = apply(*plain, frame);
    if (n > 0) {
      ASSERT_NE(expected, frame);
    }
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x)
        ASSERT_EQ(pixel(x, y)[0] << 8 | pixel(x, y)[1], at(expected, x, y)) << x << ' ' << y;
      for (int i = 2 * kWidth; i < kStride; ++i) ASSERT_EQ(last_row[i - kStride * y], 0xab);
    }
  }
}

TEST(Temporal, RefusesWhatItCannotDoAndKeepsThePast) {
  const auto filter = make_temporal_filter();
  apply(*filter, flat(2000));
  auto refused = [&](auto&& change, double weight = 0.5) {
    Steps frame = flat(2004);
    DepthOut out = view(frame);
    change(out);
    try {
      filter->apply(out, weight);
      return false;
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInvalidArgument && frame == flat(2004);
    }
  };
  EXPECT_TRUE(refused([](DepthOut& out) { out.memory = Memory::kCuda; }));
  EXPECT_TRUE(refused([](DepthOut& out) { out.data = nullptr; }));
  EXPECT_TRUE(refused([](DepthOut& out) { out.width = 0; }));
  EXPECT_TRUE(refused([](DepthOut& out) { out.stride_bytes = kWidth; }));
  EXPECT_TRUE(refused([](DepthOut& out) { out.height = 1, out.width = 2147483647; }));
  EXPECT_TRUE(refused([](DepthOut& out) { out.metres_per_step = 0; }));
  EXPECT_TRUE(refused([](DepthOut&) {}, 1.01));
  EXPECT_TRUE(refused([](DepthOut&) {}, -0.5));
  EXPECT_TRUE(refused([](DepthOut&) {}, std::nan("")));
  EXPECT_NE(apply(*filter, flat(2004)), flat(2004));
}

}  // namespace
}  // namespace rgbd
