// SPDX-License-Identifier: Apache-2.0
// Holes: what is halved, spread and voted on, in both forms.
#include "core/light/hole_vote.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace rgbd {
namespace {

class LightVote : public testing::TestWithParam<decltype(&light::vote)> {
 protected:
  c10::InferenceMode guard_;
};
INSTANTIATE_TEST_SUITE_P(, LightVote, testing::Values(&light::vote, &light::vote_cpu),
                         [](const auto& form) { return form.param == &light::vote ? "Plain" : "OnTheCpu"; });

/// Black, measured 1/m everywhere.
at::Tensor wall(int64_t height, int64_t width) {
  auto x = at::zeros({1, 4, height, width});
  x.select(1, 3).fill_(1);
  return x;
}
at::Tensor depth(const at::Tensor& x) {
  return x.select(1, 3);
}
at::Tensor map(int64_t height, int64_t width, double value) {
  return at::full({1, height, width}, value, at::kFloat);
}
/// The answer for what is measured: as it is.
at::Tensor answer(const at::Tensor& x, double in_holes) {
  return depth(x) + (depth(x) <= 0) * in_holes;
}

TEST_P(LightVote, TheMiddleOfThreeCountsInHoles) {
  const auto x = wall(8, 8);
  depth(x).slice(1, 4, 6).slice(2, 4, 6).zero_();  // spread into: 1
  struct Case {
    double answer, coarse, expected;
  };
  for (const Case& c :
       {Case{2, 3, 2}, {2, 1.5, 1.5}, {2, 0.5, 1}, {0.5, 0.7, 0.7}, {0.5, 0.2, 0.5}, {0.5, 3, 1}}) {
    const auto y = GetParam()(x, answer(x, c.answer), map(4, 4, c.coarse), 1);
    for (int64_t row = 0; row < 8; ++row)
      for (int64_t column = 0; column < 8; ++column)
        EXPECT_FLOAT_EQ(y[0][row][column].item<float>(), row / 2 == 2 && column / 2 == 2 ? c.expected : 1)
            << c.answer << " " << c.coarse << " at " << row << "," << column;
  }
}

TEST_P(LightVote, FarFromAnythingMeasuredHalfTheSizeMayDiffer) {
  const auto x = wall(24, 24);
  depth(x)
      .slice(1, 8, 16)
      .slice(2, 8, 16)
      .zero_();  // of half the size rows and columns 4 to 7; 5 and 6 are far
  struct Case {
    double coarse, near, far;
  };
  for (const Case& c : {Case{3, 2, 2.5}, {2.2, 2, 2.2}, {1.5, 1.5, 1.5}, {0.9, 1, 0.9}, {0.5, 1, 0.8}}) {
    const auto y = GetParam()(x, answer(x, 2), map(12, 12, c.coarse), 1);
    EXPECT_FLOAT_EQ(y[0][9][12].item<float>(), c.near) << c.coarse;
    EXPECT_FLOAT_EQ(y[0][12][15].item<float>(), c.near) << c.coarse;
    EXPECT_FLOAT_EQ(y[0][10][10].item<float>(), c.far) << c.coarse;
    EXPECT_FLOAT_EQ(y[0][13][13].item<float>(), c.far) << c.coarse;
  }
}

TEST_P(LightVote, DepthSpreadsAlongAlikeColours) {
  const auto x = wall(16, 40);
  x.slice(1, 0, 3).slice(3, 20).fill_(2);  // white: twice as near
  depth(x).slice(2, 20).fill_(2);
  depth(x).slice(1, 4, 12).slice(2, 14, 26).zero_();
  const auto y = GetParam()(x, answer(x, 0.1), map(8, 20, 10), 64);  // either side of what was measured
  EXPECT_LT(at::abs(y.slice(2, 0, 20) - 1).max().item<float>(), 1e-3);
  EXPECT_LT(at::abs(y.slice(2, 20) - 2).max().item<float>(), 1e-3);
}

TEST_P(LightVote, WhatNothingReachesIsAsHalfTheSizeHasIt) {
  const auto x = wall(4, 200);
  depth(x).slice(2, 1).zero_();
  const auto y = GetParam()(x, answer(x, 2), map(2, 100, 3), 1);
  EXPECT_FLOAT_EQ(y[0][0][60].item<float>(), 2.5);  // spread to: 1, 2 and 3, far
  EXPECT_FLOAT_EQ(y[0][0][199].item<float>(), 3);
}

TEST_P(LightVote, NearWhatIsMeasuredTheNetworkCountsWhereNothingSpreadsTo) {
  const auto x = wall(8, 8);
  depth(x).slice(1, 4, 6).slice(2, 4, 6).zero_();
  x.slice(1, 0, 3).slice(2, 4, 6).slice(3, 4, 6).fill_(4);  // unlike all around
  const auto y = GetParam()(x, answer(x, 2), map(4, 4, 3), 1);
  EXPECT_TRUE(y.equal(answer(x, 2)));
}

TEST_P(LightVote, NoAnswerIsNone) {
  const auto x = wall(8, 8);
  depth(x).slice(1, 2, 6).zero_();
  EXPECT_TRUE(GetParam()(x, answer(x, 0), map(4, 4, 2), 1).equal(depth(x)));
  EXPECT_TRUE(GetParam()(x, answer(x, 3), map(4, 4, 0), 1).equal(answer(x, 3)));
}

TEST(LightVoteForms, AreEqual) {
  const c10::InferenceMode guard;
  at::manual_seed(0);
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 40}, {40, 1}, {33, 97}, {96, 128}}) {
    for (const double holes : {0., 0.2, 0.9, 0.999, 1.}) {
      const auto x = at::rand({2, 4, height, width}), y = at::rand({2, height, width}) + 0.5,
                 coarse = at::rand({2, (height + 1) / 2, (width + 1) / 2}) + 0.5;
      depth(x).add_(0.5).mul_(at::rand(y.sizes()) >= holes);
      const auto expected = light::vote(x, y, coarse, 3);
      EXPECT_LT(at::abs(light::vote_cpu(x, y, coarse, 3) / expected - 1).max().item<float>(), 1e-5)
          << height << "x" << width << " " << holes;
      EXPECT_TRUE(expected.masked_select(depth(x) > 0).equal(y.masked_select(depth(x) > 0)));
    }
  }
}

TEST(LightHalved, TakesTheMeanOfWhatIsMeasured) {
  const c10::InferenceMode guard;
  const auto x = at::zeros({1, 4, 3, 3});
  const float colours[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, depths[] = {0.5, 0, 1, 1.5, 0, 0, 0, 0, 2};
  for (int i = 0; i < 9; ++i) {
    x[0][0].view({-1})[i] = colours[i];
    x[0][3].view({-1})[i] = depths[i];
  }
  for (const auto& half : {light::halved(x), light::halved_cpu(x)}) {
    EXPECT_TRUE(half[0][0].equal(at::tensor({3.F, 4.5F, 7.5F, 9.F}).view({2, 2})));  // edges are repeated
    EXPECT_TRUE(half[0][3].equal(at::tensor({1.F, 1.F, 0.F, 2.F}).view({2, 2})));
  }
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 6}, {7, 1}, {64, 96}, {33, 70}}) {
    const auto frames = at::rand({2, 4, height, width});
    depth(frames).masked_fill_(depth(frames) < 0.5, 0);
    EXPECT_TRUE(light::halved_cpu(frames).allclose(light::halved(frames), 1e-6)) << height << "x" << width;
  }
}

}  // namespace
}  // namespace rgbd
