// SPDX-License-Identifier: Apache-2.0
// What noise is and what stays of it, in both forms.
#include "core/light/denoise.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace rgbd {
namespace {

class LightDenoise : public testing::TestWithParam<decltype(&light::denoised)> {
 protected:
  void SetUp() override { at::manual_seed(0); }

  c10::InferenceMode guard_;
};
INSTANTIATE_TEST_SUITE_P(, LightDenoise, testing::Values(&light::denoised, &light::denoised_cpu),
                         [](const auto& form) {
                           return form.param == &light::denoised ? "Plain" : "OnTheCpu";
                         });

double rms(const at::Tensor& x) {
  return x.to(at::kDouble).square().mean().sqrt().item<double>();
}

TEST_P(LightDenoise, NoiseShrinksAndEdgesStay) {
  const auto truth = at::ones({1, 60, 80});
  truth.slice(2, 40).fill_(1.1);  // ten times the tolerance
  const auto y = truth * (1 + 0.002 * at::randn(truth.sizes()));
  const auto measured = y * (1 + 0.002 * at::randn(truth.sizes()));  // moved by .0016 on average
  const auto out = GetParam()(y, measured, 6);
  EXPECT_LT(rms(out / truth - 1), 0.4 * rms(y / truth - 1));
  EXPECT_LT(at::abs(out / truth - 1).max().item<float>(), 0.008);  // nothing between the two
}

TEST_P(LightDenoise, AFrameWithoutNoiseStaysAsItIs) {
  const auto y = at::rand({2, 33, 50}) + 0.5;
  EXPECT_TRUE(GetParam()(y, y, 6).equal(y));
  EXPECT_TRUE(GetParam()(y, at::zeros(y.sizes()), 6).equal(y));  // nothing measured
}

TEST_P(LightDenoise, APlaneStaysOne) {
  const auto y = (1 + 1e-4 * at::arange(64)).to(at::kFloat).expand({1, 64, 64}).contiguous();
  const auto out = GetParam()(y, y * 1.002, 6);
  const auto inside = [](const at::Tensor& map) {
    return map.slice(2, 15, 49);
  };  // all steps together from either side
  EXPECT_LT(at::abs(inside(out) - inside(y)).max().item<float>(), 1e-6);
}

TEST_P(LightDenoise, OnlyWhatIsMeasuredSaysHowMuchNoiseThereIs) {
  const auto y = at::ones({1, 40, 40}) + 0.002 * at::randn({1, 40, 40});
  auto measured = at::zeros(y.sizes());
  measured.slice(1, 0, 20).copy_(y.slice(1, 0, 20));  // exact, the rest holes
  EXPECT_TRUE(GetParam()(y, measured, 6).equal(y));
  measured.slice(1, 0, 1).fill_(3);  // what is wrong altogether counts as 1 % each: .0005 on average
  const auto out = GetParam()(y, measured, 2);
  const auto most = at::abs(out - y).max().item<float>();
  EXPECT_GT(most, 0);
  EXPECT_LT(most, 0.001 * 8);  // tolerance .001 a pass
}

TEST_P(LightDenoise, NoDepthTakesNoPart) {
  auto y = at::ones({1, 20, 20}) + 0.002 * at::randn({1, 20, 20}), measured = y * 1.002;
  for (auto map : {y, measured}) map.slice(2, 7, 9).zero_();
  const auto out = GetParam()(y, measured, 6);
  EXPECT_TRUE(out.slice(2, 7, 9).equal(y.slice(2, 7, 9)));
  EXPECT_LT(at::abs(out.slice(2, 0, 7) - 1).max().item<float>(), 0.01);
}

TEST_P(LightDenoise, WhatIsNoNumberDoesNotSpread) {
  auto y = at::ones({1, 20, 20}) + 0.002 * at::randn({1, 20, 20});
  const auto measured = y * 1.002;
  y[0][7][9] = NAN;
  EXPECT_EQ(GetParam()(y, measured, 6).isnan().sum().item<int64_t>(), 1);
  EXPECT_FALSE(GetParam()(y, measured, 6)[0][15].equal(y[0][15]));  // and there is still noise
}

TEST(LightDenoiseForms, AreEqual) {
  const c10::InferenceMode guard;
  at::manual_seed(0);
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 40}, {40, 1}, {7, 9}, {33, 97}, {96, 128}}) {
    const auto y = at::rand({2, height, width}) * 0.05 + 0.5;
    const auto measured = y * (1 + 0.01 * at::randn(y.sizes())) * (at::rand(y.sizes()) > 0.3);
    measured[1].sub_(measured[1] * 0.001);
    for (const double strength : {0.5, 6.}) {
      const auto expected = light::denoised(y, measured, strength);
      EXPECT_LT(at::abs(light::denoised_cpu(y, measured, strength) / expected - 1).max().item<float>(), 1e-5)
          << height << "x" << width << " " << strength;
    }
  }
}

}  // namespace
}  // namespace rgbd
