// SPDX-License-Identifier: Apache-2.0
// The pyramid's fill, the network's features and a step of its decoder: forms for the CPU against the plain
// ones.
#include "core/light/fill.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/light/enlarge_cpu.h"
#include "core/light/fill_cpu.h"
#include "core/recycled.h"

namespace rgbd {
namespace {

class LightFill : public testing::Test {
 protected:
  /// Inverse depths from .2 to 3, a half of them holes, but for the second frame, which has none.
  at::Tensor measured(int64_t height, int64_t width) {
    auto q = random({3, 1, height, width}) * 2.8 + 0.2;
    q = at::where(random({3, 1, height, width}) > 0.5, q, 0.0);
    q[1].fill_(0.7);
    q[2].slice(1, height / 3).zero_();
    return q;
  }
  at::Tensor random(at::IntArrayRef shape) { return at::rand(shape, generator_); }
  static double worst(const at::Tensor& a, const at::Tensor& b) {
    EXPECT_EQ(a.sizes(), b.sizes());
    const auto away = at::abs(a - b);
    EXPECT_FALSE(away.isnan().any().item<bool>());
    return away.max().item<double>();
  }

 private:
  c10::InferenceMode guard_;
  at::Generator generator_ = at::detail::createCPUGenerator(11);
};

TEST_F(LightFill, PyramidsAreEqual) {
  for (const int64_t levels : {2, 5}) {
    for (const auto& [height, width] : {std::pair{32, 32}, {64, 96}, {160, 32}, {32, 640}}) {
      const auto q = measured(height, width);
      const auto expected = light::push_pull(q, (q > 0).to(at::kFloat), levels),
                 fills = light::push_pull_cpu(q, levels);
      ASSERT_EQ(fills.size(), expected.size());
      for (size_t level = 0; level < fills.size(); ++level)
        EXPECT_LT(worst(fills[level], expected[level]), 2e-6) << height << "x" << width << " level " << level;
    }
  }
}

TEST_F(LightFill, NothingMeasuredFillsNothing) {
  for (const auto& fill : light::push_pull_cpu(at::zeros({1, 1, 64, 64}), 5))
    EXPECT_TRUE((fill == 0).all().item<bool>());
}

TEST_F(LightFill, FeaturesAreEqual) {
  for (const auto& differences : {std::vector<int64_t>{2, 3, 5}, {2, 3, 4, 5}}) {
    for (const auto& [height, width] : {std::pair{32, 32}, {64, 96}, {32, 640}}) {
      const auto q = measured(height, width), colour = random({3, 3, height, width}) * 4 - 2,
                 borders = random({3, 4, height, width}) * 2 - 1, mask = (q > 0).to(at::kFloat);
      const auto fills = light::push_pull(q, mask, 5);
      for (const auto& rays : {at::Tensor(), borders}) {
        const auto expected = at::pixel_unshuffle(light::features(colour, mask, fills, differences, rays), 2);
        const int64_t channels = light::padded_channels(expected.size(1) / 4);
        recycled({3, channels, height / 2, width / 2}).fill_(NAN);  // whose memory is next
        const auto features = light::features_cpu(colour, q, fills, differences, rays);
        EXPECT_TRUE(features.is_contiguous(at::MemoryFormat::ChannelsLast));
        ASSERT_EQ(features.size(1), channels);
        EXPECT_LT(worst(features.narrow(1, 0, expected.size(1)), expected), 5e-6) << height << "x" << width;
        EXPECT_TRUE((features.slice(1, expected.size(1)) == 0).all().item<bool>());
      }
    }
  }
  EXPECT_EQ(light::padded_channels(13), 56);
  EXPECT_EQ(light::padded_channels(8), 32);
}

TEST_F(LightFill, DecoderStepsAreEqual) {
  for (const int64_t channels : {8, 24, 80}) {
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 7}, {15, 20}, {33, 5}}) {
      const auto x = random({2, channels, height, width}) * 2 - 1,
                 skip = random({2, channels, 2 * height, 2 * width}) * 2 - 1;
      const auto expected = at::relu(skip + light::enlarged(x, 2));
      const auto in_place = skip.clone(at::MemoryFormat::ChannelsLast);
      light::enlarge_add_cpu(x, in_place);
      EXPECT_LT(worst(in_place, expected), 1e-6) << channels << " channels, " << height << "x" << width;
    }
  }
}

}  // namespace
}  // namespace rgbd
