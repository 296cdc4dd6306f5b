// SPDX-License-Identifier: Apache-2.0
// Edges of depth and of colour, in both forms.
#include "core/light/edge_snap.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace rgbd {
namespace {

class LightSnap : public testing::TestWithParam<decltype(&light::snapped)> {
 protected:
  c10::InferenceMode guard_;
};
INSTANTIATE_TEST_SUITE_P(, LightSnap, testing::Values(&light::snapped, &light::snapped_cpu),
                         [](const auto& form) {
                           return form.param == &light::snapped ? "Plain" : "OnTheCpu";
                         });

/// Depth 1/m left of a column and another right of it.
at::Tensor step(int64_t column, double right) {
  auto y = at::ones({1, 30, 40});
  y.slice(2, column).fill_(right);
  return y;
}
/// Black left of a column, white right of it.
at::Tensor colours(int64_t column) {
  auto c = at::zeros({1, 3, 30, 40});
  c.slice(3, column).fill_(2);
  return c;
}

TEST_P(LightSnap, EdgesMoveToThoseOfColour) {
  for (const int64_t edge : {19, 20, 21}) {
    EXPECT_TRUE(GetParam()(step(edge, 1.5), colours(20), 3).equal(step(20, 1.5))) << edge;
    const auto across =
        GetParam()(step(edge, 1.5).transpose(1, 2).contiguous(), colours(20).transpose(2, 3).contiguous(), 3);
    EXPECT_TRUE(across.equal(step(20, 1.5).transpose(1, 2))) << edge;
  }
}

TEST_P(LightSnap, ButNotFar) {
  EXPECT_TRUE(GetParam()(step(22, 1.5), colours(20), 3)
                  .equal(step(21, 1.5)));  // of the last column's colour as many on both sides
  EXPECT_TRUE(GetParam()(step(24, 1.5), colours(20), 3).equal(step(24, 1.5)));
  EXPECT_TRUE(GetParam()(step(22, 1.5), colours(20), 1).equal(step(22, 1.5)));
}

TEST_P(LightSnap, WithoutColourAnEdgeStays) {
  EXPECT_TRUE(GetParam()(step(20, 1.5), at::zeros({1, 3, 30, 40}), 3).equal(step(20, 1.5)));
}

TEST_P(LightSnap, AStepTooSmallToBeAnEdgeStays) {
  EXPECT_TRUE(GetParam()(step(21, 1.03), colours(20), 3).equal(step(21, 1.03)));
  EXPECT_FALSE(GetParam()(step(21, 1.05), colours(20), 3).equal(step(21, 1.05)));
}

TEST_P(LightSnap, AThinThingOfItsOwnColourStays) {
  auto y = at::ones({1, 30, 40}), c = at::zeros({1, 3, 30, 40});
  y.slice(2, 20, 21).fill_(2);
  c.slice(3, 20, 21).fill_(2);
  EXPECT_TRUE(GetParam()(y, c, 3).equal(y));
}

TEST_P(LightSnap, NoDepthTakesNoPart) {
  auto y = step(21, 1.5);
  y.slice(1, 0, 15).zero_();
  const auto out = GetParam()(y, colours(20), 3);
  EXPECT_TRUE(out.slice(1, 0, 15).equal(y.slice(1, 0, 15)));
  EXPECT_TRUE(out.slice(1, 15).equal(step(20, 1.5).slice(1, 15)));
}

TEST(LightSnapForms, AreEqual) {
  const c10::InferenceMode guard;
  at::manual_seed(0);
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 40}, {40, 1}, {7, 9}, {33, 97}, {96, 128}}) {
    for (const int64_t reach : {1, 3, 8}) {
      auto y = at::where(at::rand({2, height, width}) > 0.3, 1.0, 1.5).to(at::kFloat) +
               0.01 * at::rand({2, height, width});
      y.mul_(at::rand(y.sizes()) > 0.05);
      const auto c = 0.1 * at::rand({2, 3, height, width});
      const auto expected = light::snapped(y, c, reach);
      const auto off = (at::abs(light::snapped_cpu(y, c, reach) - expected) <= 1e-5).logical_not();
      EXPECT_LE(off.sum().item<int64_t>(), y.numel() / 2000)
          << height << "x" << width;  // majorities by a hair
      EXPECT_TRUE(height * width < 40 || !expected.equal(y));
    }
  }
}

}  // namespace
}  // namespace rgbd
