// SPDX-License-Identifier: Apache-2.0
// The light network on seeded weights: what the Python definition answered, what must hold for any weights,
// and the optimised form against the plain one.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/light/denoise.h"
#include "core/light/edge_snap.h"
#include "core/light/hole_vote.h"
#include "core/light/range.h"
#include "core/light/rays.h"
#include "core/light/settings.h"
#include "core/network.h"
#include "tests/core/light_file.h"
#include "tests/core/seeded_network.h"

namespace rgbd {
namespace {

constexpr double kTolerance = 1e-4;  // relative; noise of 1e-6 on every weight moves the samples by 6e-6

NetworkOptions options(bool optimize, bool generic_ops = false, Precision precision = Precision::kFp32) {
  NetworkOptions out;
  out.optimize = optimize;
  out.generic_ops = generic_ops;
  out.precision = precision;
  return out;
}

/// Largest |a / b - 1|; 0 must meet 0.
double worst(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  return (at::abs(x - y) / at::abs(y).clamp_min(1e-9)).max().item<double>();
}

/// How many pixels disagree; a few may: the likeliest of two like candidates, or one at the edge of what is
/// averaged, turns on the last bit.
int64_t differing(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (at::abs(a - b) <= kTolerance * b).logical_not().sum().item<int64_t>();  // NaN differs
}
int64_t few_of(const at::Tensor& y) {
  return 1 + y.numel() / 1000;
}

/// The network "light" of the samples.
class Light : public testing::Test {
 protected:
  static std::unique_ptr<Network> load(const NetworkOptions& options, const test::Metadata& changes = {}) {
    auto metadata = test::light_metadata();
    for (const auto& [key, value] : changes) metadata.at("rgbd." + key) = value;
    return load_network(test::light_checkpoint(metadata), options);
  }
  static at::Tensor frame(int64_t height, int64_t width, float contrast = 2) {
    return test::light_frame(height, width, contrast).unsqueeze(0);
  }
  /// The frame's depth channel, to be written to.
  static at::Tensor depth(const at::Tensor& x) { return x.select(1, 3); }

  c10::InferenceMode guard_;
};

void expect_samples(const NetworkOptions& options) {
  c10::InferenceMode guard;
  int rows = 0;
  for (const auto& row : test::read_samples(LIGHT_SAMPLES)) {
    const auto network = load_network(test::light_checkpoint(test::light_metadata(row.encoder)), options);
    const auto x =
        test::light_frame(row.height, row.width, row.encoder == "far" ? test::kPale : 2).unsqueeze(0);
    const auto y = network->forward(x);
    ASSERT_EQ(y.sizes(), (std::vector<int64_t>{1, row.height, row.width}));
    ASSERT_EQ(y.scalar_type(), at::kFloat);
    const auto expected = at::tensor(row.values);
    EXPECT_LT(worst(at::tensor(test::samples(y[0])), expected), kTolerance)
        << row.encoder << " " << row.height;
    ++rows;
  }
  EXPECT_EQ(rows, 8);
}

TEST_F(Light, AnswersAsThePythonDefinitionPlain) {
  expect_samples(options(false));
}
TEST_F(Light, AnswersAsThePythonDefinitionOptimised) {
  expect_samples(options(true));
}
TEST_F(Light, AnswersAsThePythonDefinitionOnAGenericDevice) {
  expect_samples(options(true, true));
}

TEST_F(Light, OptimisedEqualsPlain) {
  // Sides that are and are not multiples of the padding, of a vector, of 2; smaller than the padding.
  for (const std::string model : {"light", "settings", "constants", "rays", "far"}) {
    const auto checkpoint = test::light_checkpoint(test::light_metadata(model));
    const auto plain = load_network(checkpoint, options(false)),
               optimised = load_network(checkpoint, options(true));
    for (const auto& [height, width] :
         {std::pair{32, 32}, {64, 160}, {33, 97}, {96, 31}, {20, 7}, {101, 150}}) {
      const auto x = frame(height, width, model == "far" ? test::kPale : 2);
      const auto y = plain->forward(x);
      EXPECT_LE(differing(optimised->forward(x), y), few_of(y)) << model << height << "x" << width;
    }
  }
}

TEST_F(Light, BatchEqualsSingles) {
  const auto a = frame(40, 72), b = a.flip({3}), few = a.clone();
  depth(b).mul_(depth(b).clone());  // another range
  depth(few).zero_();
  depth(few).slice(1, 20).slice(2, 0, 1).fill_(0.5);  // 20 of 2880 pixels: passes through
  for (const auto& [model, optimize] :
       {std::pair{"light", false}, {"light", true}, {"far", false}, {"far", true}}) {
    SCOPED_TRACE(model);
    const auto network = load_network(test::light_checkpoint(test::light_metadata(model)), options(optimize));
    const auto together = network->forward(at::cat({a, few, b}));
    EXPECT_GT(worst(together[0], together[2]), 0.01);
    EXPECT_LE(differing(together[0], network->forward(a)[0]), few_of(together[0]));
    EXPECT_TRUE(together[1].equal(depth(few)[0]));
    EXPECT_LE(differing(together[2], network->forward(b)[0]), few_of(together[2]));
  }
}

TEST_F(Light, RepeatsItselfBitForBitAndLeavesItsInputAlone) {
  for (const bool optimize : {false, true}) {
    const auto network = load(options(optimize));
    const auto x = frame(70, 98), before = x.clone();
    const auto first = network->forward(x);
    network->forward(frame(98, 70));
    EXPECT_TRUE(first.equal(network->forward(x)));
    EXPECT_TRUE(x.equal(before));
  }
}

TEST_F(Light, DepthsOnlyMatterInProportion) {
  for (const bool optimize : {false, true}) {
    const auto network = load(options(optimize));
    const auto x = frame(45, 70), twice = x.clone();
    depth(twice).mul_(2);
    EXPECT_TRUE(network->forward(twice).equal(network->forward(x) * 2));
  }
}

TEST_F(Light, MeasuredPixelsStayNearTheirWindowAndHolesInTheFramesRange) {
  const auto x = frame(45, 70);
  const auto in = depth(x)[0].contiguous();
  const auto range = light::measured_range(x.slice(1, 3));
  const double low = 0.7 * range.low.item<double>(), high = 1.4 * range.high.item<double>();
  for (const bool optimize : {false, true}) {
    const auto out = load(options(optimize))->forward(x)[0].contiguous();
    int at_bound = 0;
    for (int64_t i = 0; i < in.numel(); ++i) {
      const int64_t row = i / 70, column = i % 70;
      double bottom = low, top = high;
      if (in.const_data_ptr<float>()[i] > 0) {
        const auto window = in.slice(0, std::max<int64_t>(row - 3, 0), row + 4)
                                .slice(1, std::max<int64_t>(column - 3, 0), column + 4);
        bottom = window.masked_select(window > 0).min().item<double>() * 0.98;
        top = window.max().item<double>() * 1.02;
      }
      const double y = out.const_data_ptr<float>()[i];
      ASSERT_GE(y, bottom * (1 - 1e-6)) << row << "," << column;
      ASSERT_LE(y, top * (1 + 1e-6)) << row << "," << column;
      at_bound += y < bottom * (1 + 1e-6) || y > top * (1 - 1e-6);
    }
    EXPECT_GT(at_bound, 50);  // seeded weights go beyond the bounds: they are at work
  }
}

TEST_F(Light, HolesAreVotedOnNoiseIsAveragedAndEdgesMove) {
  const auto x = frame(64, 97, test::kPale), full = x.clone();
  depth(full).copy_(depth(full).clamp_min(0.4));
  for (const bool optimize : {false, true}) {
    const auto one = load_network(test::light_checkpoint(test::light_metadata("rays")), options(optimize)),
               all = load_network(test::light_checkpoint(test::light_metadata("far")), options(optimize));
    const auto voted = light::vote(x, one->forward(x), one->forward(light::halved(x)), 1);
    auto finished = [](const at::Tensor& input, const at::Tensor& map) {
      return light::snapped(light::denoised(map, input.select(1, 3), 4), input.slice(1, 0, 3), 2);
    };
    const auto y = finished(x, voted);
    EXPECT_LE(differing(all->forward(x), y), few_of(y));
    const auto whole = finished(full, one->forward(full));  // nothing to vote on
    EXPECT_LE(differing(all->forward(full), whole), few_of(whole));
    EXPECT_GT(differing(one->forward(x), y), y.numel() / 4);
  }
}

TEST_F(Light, TooFewMeasuredPixelsPassThrough) {
  const auto x = at::zeros({1, 4, 50, 60});  // 3000 pixels, 1 % of them are 30
  auto pixels = depth(x)[0].view({-1});
  depth(x).slice(1, 10, 13).slice(2, 20, 23).fill_(0.4);  // side by side, with an edge
  depth(x)[0][11][21] = 0.8;
  for (int64_t i = 0; i < 20; ++i) pixels[97 * i] = 0.5 + 0.01 * static_cast<double>(i);
  for (const auto& [model, optimize] :
       {std::pair{"light", false}, {"light", true}, {"far", false}, {"far", true}}) {
    const auto network = load_network(test::light_checkpoint(test::light_metadata(model)), options(optimize));
    EXPECT_TRUE(network->forward(x).equal(depth(x))) << model;
    auto enough = x.clone();
    depth(enough)[0].view({-1})[2999] = 0.7;
    const auto y = network->forward(enough);
    EXPECT_GT(y.min().item<float>(), 0);  // every hole filled
  }
}

TEST(LightSettings, EnoughIsCountedInWholePixels) {
  light::Settings s;
  s.min_valid = 0.01;
  EXPECT_EQ(s.enough(50, 60), 30);
  EXPECT_EQ(s.enough(540, 720), 3889);  // as Python multiplies: .01 * 540 is above 5.4
  s.min_valid = 0;
  EXPECT_EQ(s.enough(540, 720), 0);
}

TEST_F(Light, NoDepthGivesNoDepth) {
  const auto x = frame(45, 70);
  depth(x).zero_();
  for (const bool optimize : {false, true}) {
    // Also where the share of measured pixels does not matter.
    for (const auto* least : {"0.01", "0"}) {
      const auto y = load(options(optimize), {{"min_valid", least}})->forward(x);
      EXPECT_TRUE(y.equal(at::zeros_like(y))) << least;
    }
  }
}

TEST_F(Light, TinyFramesWork) {
  for (const auto& [model, optimize] : {std::pair{"light", false}, {"light", true}, {"far", true}}) {
    const auto network = load_network(test::light_checkpoint(test::light_metadata(model)), options(optimize));
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 40}, {3, 2}}) {
      auto x = frame(height, width);
      depth(x).fill_(0.5);
      const auto y = network->forward(x);
      EXPECT_EQ(y.sizes(), (std::vector<int64_t>{1, height, width}));
      EXPECT_LT(at::abs(y / 0.5 - 1).max().item<float>(), 0.021);  // a flat wall stays one
    }
    EXPECT_THROW(network->forward(at::zeros({1, 3, 32, 32})), Error);
    EXPECT_THROW(network->forward(at::zeros({4, 32, 32})), Error);
  }
}

TEST_F(Light, HalfPrecisionStaysNear) {
  const auto x = frame(64, 96);
  const auto y = load(options(false))->forward(x);
  for (const bool optimize : {false, true}) {
    const auto half = load(options(optimize, true, Precision::kFp16))->forward(x);
    EXPECT_EQ(half.scalar_type(), at::kFloat);
    const auto error = at::abs(half / y - 1);
    EXPECT_GT(error.max().item<float>(), 0);
    EXPECT_LT(error.median().item<float>(), 2e-3);  // single pixels choose differently
  }
}

TEST_F(Light, HalfWeightsAreWidened) {
  const auto metadata = test::light_metadata();
  const auto file = test::light_checkpoint(metadata, "F16");
  EXPECT_EQ(file.tensor("stem.0.weight").scalar_type(), at::kHalf);
  const auto half = load_network(file, options(true)), full = load(options(true));
  const auto x = frame(64, 96);
  EXPECT_LT(at::abs(half->forward(x) / full->forward(x) - 1).median().item<float>(), 1e-3);
  uint64_t numbers = 0;
  for (const auto& tensor : test::light_tensors(metadata))
    numbers += static_cast<uint64_t>(test::element_count(tensor.shape));
  EXPECT_EQ(half->parameters(), numbers);
  EXPECT_EQ(half->architecture(), "light");
  EXPECT_EQ(half->encoder(), "");
}

TEST_F(Light, RangeOfMeasuredDepths) {
  auto depth = at::zeros({4, 1, 10, 41});
  auto values = depth.view({4, -1});
  for (int64_t i = 0; i < 401; ++i) values[0][(i * 7) % 401] = 0.25 * static_cast<double>(i + 1);
  values[1][17] = 3;
  values[2][400] = 2, values[2][5] = 1;
  for (const bool select : {false, true}) {
    const auto range = select ? light::measured_range_cpu(depth) : light::measured_range(depth);
    EXPECT_TRUE(range.n.equal(at::tensor(std::vector<int64_t>{401, 1, 2, 0})));
    EXPECT_TRUE(range.low.equal(at::tensor({0.25f * 5, 3.f, 1.f, 0.f})));
    EXPECT_TRUE(range.median.equal(at::tensor({0.25f * 201, 3.f, 1.f, 0.f})));
    EXPECT_TRUE(range.high.equal(at::tensor({0.25f * 397, 3.f, 1.f, 0.f})));
  }
}

TEST_F(Light, RangeBySelectionEqualsRangeBySorting) {
  for (const int64_t side : {1, 2, 3, 10, 11, 15, 60}) {
    auto depth = frame(side, side).slice(1, 3).contiguous();
    const auto sorted = light::measured_range(depth), selected = light::measured_range_cpu(depth);
    EXPECT_TRUE(selected.n.equal(sorted.n)) << side;
    EXPECT_TRUE(selected.low.equal(sorted.low)) << side;
    EXPECT_TRUE(selected.median.equal(sorted.median)) << side;
    EXPECT_TRUE(selected.high.equal(sorted.high)) << side;
  }
}

TEST_F(Light, RaysAreTheNearestMeasuredDepths) {
  const auto q = at::tensor({0.f, 0.f, 3.f, 0.f, 5.f,   //
                             0.f, 0.f, 0.f, 0.f, 0.f,   //
                             1.f, 0.f, 0.f, 2.f, 0.f})  //
                     .view({1, 1, 3, 5});
  const auto expected =
      at::tensor({0.f, 0.f, 3.f, 3.f, 5.f, 0.f, 0.f, 0.f, 0.f, 0.f, 1.f, 1.f, 1.f, 2.f, 2.f,
                  3.f, 3.f, 3.f, 5.f, 5.f, 0.f, 0.f, 0.f, 0.f, 0.f, 1.f, 2.f, 2.f, 2.f, 0.f,
                  0.f, 0.f, 3.f, 0.f, 5.f, 0.f, 0.f, 3.f, 0.f, 5.f, 1.f, 0.f, 3.f, 2.f, 5.f,
                  1.f, 0.f, 3.f, 2.f, 5.f, 1.f, 0.f, 0.f, 2.f, 0.f, 1.f, 0.f, 0.f, 2.f, 0.f})
          .view({1, 4, 3, 5});
  EXPECT_TRUE(light::rays(q).equal(expected));
  EXPECT_TRUE(light::rays_cpu(q).equal(expected));
}

TEST_F(Light, BordersAreSeenInHolesOnly) {
  const auto q = at::tensor({0.f, 2.f, 0.f, 4.f}).view({1, 1, 1, 4});
  const auto fill = at::tensor({2.f, 2.5f, 3.f, 5.f}).view({1, 1, 1, 4});
  const float down = 2 * std::log(2.f / 3), up = 2 * std::log(4.f / 3), up_from_2 = 0;
  const auto expected = at::tensor({0.f, 0.f, down, 0.f, up_from_2, 0.f, up, 0.f,  //
                                    0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f})
                            .view({1, 4, 1, 4});
  const auto far = at::tensor({4.f, 4.f, 9.f, 4.f}).view({1, 1, 1, 4});  // e^.5 and more away
  for (auto* const see : {light::borders, light::borders_cpu}) {
    EXPECT_LT(at::abs(see(light::rays(q), q, fill) - expected).max().item<float>(), 1e-6);
    const auto y = see(light::rays(q), q, far);
    EXPECT_EQ(y[0][0][0][2].item<float>(), -1);
    EXPECT_EQ(y[0][1][0][2].item<float>(), -1);
    EXPECT_EQ(y[0][1][0][0].item<float>(), -1);
    EXPECT_EQ(see(light::rays(q), q, far / 9)[0][0][0][2].item<float>(), 1);
  }
}

TEST_F(Light, RaysOnTheCpuEqualThoseOfAnyDevice) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 40}, {40, 1}, {33, 97}, {96, 128}, {200, 260}}) {
    for (const double holes : {0., 0.2, 0.9, 0.999, 1.}) {
      const auto q = at::rand({2, 1, height, width}) + 0.5;
      q.mul_(at::rand(q.sizes()) >= holes);
      const auto rays = light::rays(q), fill = q.mean({2, 3}, true).expand_as(q) + 0.1;
      EXPECT_TRUE(light::rays_cpu(q).equal(rays)) << height << "x" << width << " " << holes;
      const auto off = at::abs(light::borders_cpu(rays, q, fill) - light::borders(rays, q, fill));
      EXPECT_LT(off.max().item<float>(), 2e-6) << height << "x" << width << " " << holes;
    }
  }
}

TEST_F(Light, MetadataSayWhatToFeed) {
  const auto network = load(options(true), {{"input_size", "360"},
                                            {"multiple", "8"},
                                            {"upscale", "true"},
                                            {"mean", "0.1,0.2,3e-1"},
                                            {"std", "0.5,0.25,1"},
                                            {"channel_order", "bgr"}});
  const auto& input = network->input();
  EXPECT_EQ(input.short_side, 360);
  EXPECT_EQ(input.multiple, 8);
  EXPECT_TRUE(input.upscale);
  EXPECT_EQ(input.mean, (std::array{0.1, 0.2, 0.3}));
  EXPECT_EQ(input.std, (std::array{0.5, 0.25, 1.0}));
  EXPECT_TRUE(input.bgr);
  const auto other = load(options(true));
  EXPECT_FALSE(other->input().upscale);
  EXPECT_FALSE(other->input().bgr);
}

}  // namespace
}  // namespace rgbd
