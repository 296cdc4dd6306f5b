// SPDX-License-Identifier: Apache-2.0
// Own convolutions against double arithmetic, the memory they come in, and what a network makes of both.
#include "core/winograd_cpu.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "core/lanes.h"
#include "core/ops.h"
#include "core/recycled.h"

namespace rgbd {
namespace {

class Winograd : public testing::Test {
 protected:
  at::Tensor random(at::IntArrayRef shape) { return at::randn(shape, generator_); }
  /// Such that outputs are near 1.
  at::Tensor weights(int64_t out, int64_t in) {
    return random({out, in, 3, 3}) / std::sqrt(9.0 * static_cast<double>(in));
  }
  static at::Tensor exact(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return at::conv2d(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), 1, 1);
  }
  static double worst(const at::Tensor& a, const at::Tensor& b) {
    EXPECT_EQ(a.sizes(), b.sizes());
    const auto away = at::abs(a.to(at::kDouble) - b.to(at::kDouble));
    EXPECT_FALSE(away.isnan().any().item<bool>());
    return away.max().item<double>();
  }

 private:
  c10::InferenceMode guard_;
  at::Generator generator_ = at::detail::createCPUGenerator(7);
};

TEST_F(Winograd, EqualsTheDirectForm) {
  // Channels in pieces of 24, 16 and 8; sizes around tiles of 4 and rows of a product; blocks of many tiles.
  for (const auto& [in, out] :
       {std::pair{8, 8}, {24, 24}, {56, 24}, {16, 40}, {48, 80}, {8, 224}, {256, 256}}) {
    const auto weight = weights(out, in), bias = random({out});
    const WinogradCpu convolve(weight, bias);
    for (const auto& [height, width] :
         {std::pair{1, 1}, {1, 9}, {3, 4}, {4, 4}, {5, 8}, {13, 17}, {64, 81}}) {
      const auto x = random({2, in, height, width}), y = exact(x, weight, bias);
      EXPECT_LT(worst(convolve(x, {}, false), y) / at::abs(y).max().item<double>(), in > 100 ? 2e-5 : 1.2e-5)
          << in << " to " << out << " at " << height << "x" << width;
    }
  }
  EXPECT_EQ(WinogradCpu(weights(8, 8), {})(random({0, 8, 4, 4}), {}, false).numel(), 0);
}

TEST_F(Winograd, RefusesMapsOfOtherShapes) {
  const WinogradCpu convolve(weights(8, 16), {});
  const auto x = random({1, 16, 4, 4});
  EXPECT_THROW(convolve(random({1, 8, 4, 4}), {}, false), c10::Error);
  EXPECT_THROW(convolve(x, random({1, 8, 1, 1}), false), c10::Error);
  EXPECT_THROW(WinogradCpu(weights(8, 16), random({4})), c10::Error);
}

TEST_F(Winograd, AddsAndCutsOff) {
  const auto weight = weights(24, 16), bias = random({24}), x = random({1, 16, 11, 14}),
             add = random({1, 24, 11, 14});
  const auto expected = exact(x, weight, bias);
  const WinogradCpu convolve(weight, bias), without_bias(weight, {});
  EXPECT_LT(worst(convolve(x, add, false), expected + add), 8e-5);
  EXPECT_LT(worst(convolve(x, {}, true), at::relu(expected)), 8e-5);
  EXPECT_LT(
      worst(convolve(x, add.contiguous(at::MemoryFormat::ChannelsLast), true), at::relu(expected + add)),
      8e-5);
  EXPECT_LT(worst(without_bias(x, {}, false), exact(x, weight, at::zeros({24}))), 8e-5);
}

TEST_F(Winograd, IsTheSameForAnyThreadsAndLeavesItsInputAlone) {
  const WinogradCpu convolve(weights(24, 24), random({24}));
  const auto x = random({1, 24, 90, 70}), before = x.clone();
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = convolve(x, x, true);
  at::set_num_threads(3);
  EXPECT_TRUE(convolve(x, x, true).equal(one));
  at::set_num_threads(threads);
  EXPECT_TRUE(x.equal(before));
}

TEST_F(Winograd, WhatIsNoNumberStaysSo) {
  const WinogradCpu convolve(weights(8, 8), {});
  auto x = random({1, 8, 16, 16});
  x[0][3][5][6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(convolve(x, {}, true)[0].select(1, 5).select(1, 6).isnan().all().item<bool>());
}

TEST_F(Winograd, IsTakenWhereItFits) {
  EXPECT_EQ(WinogradCpu::suits(weights(24, 56)), has_avx2());
  EXPECT_EQ(WinogradCpu::suits(weights(256, 256)), has_avx2());
  EXPECT_FALSE(WinogradCpu::suits(weights(24, 52)));
  EXPECT_FALSE(WinogradCpu::suits(weights(12, 8)));
  EXPECT_FALSE(WinogradCpu::suits(weights(264, 256)));
  EXPECT_FALSE(WinogradCpu::suits(random({8, 8, 1, 1})));
}

TEST_F(Winograd, ConvolutionsAgreeInEveryForm) {
  NetworkOptions plain, generic;
  plain.optimize = false;
  generic.generic_ops = true;
  for (const auto& [in, out] : {std::pair{24, 24}, {12, 8}}) {
    const auto weight = weights(out, in), bias = random({out}), x = random({1, in, 21, 10}),
               add = random({1, out, 21, 10});
    const auto y = exact(x, weight, bias);
    for (const auto& options : {NetworkOptions(), plain, generic}) {
      const Conv convolve(weight, bias, 1, 1, Backend(options));
      EXPECT_LT(worst(convolve(x), y), 8e-5);
      EXPECT_LT(worst(convolve.plus(x, add), y + add), 8e-5);
      EXPECT_LT(worst(convolve.relu(x), at::relu(y)), 8e-5);
      EXPECT_LT(worst(convolve.relu(x, add), at::relu(y + add)), 8e-5);
    }
  }
}

class Recycled : public Winograd {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "under AddressSanitizer every map has memory of its own";
#endif
  }
};

TEST_F(Recycled, MemoryServesTheNextMapOfItsSize) {
  auto map = recycled({1, 8, 30, 40}, at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(map.is_contiguous(at::MemoryFormat::ChannelsLast));
  map.fill_(1);
  const float* const first = map.const_data_ptr<float>();
  map.reset();
  auto again = recycled({2, 4, 40, 30});
  EXPECT_TRUE(again.is_contiguous());
  EXPECT_EQ(again.const_data_ptr<float>(), first);
  again.reset();
  EXPECT_NE(recycled({1, 8, 31, 40}).const_data_ptr<float>(), first);
}

TEST_F(Recycled, MapsOutliveTheThreadThatMadeThem) {
  at::Tensor map;
  std::thread([&] {
    map = recycled({1, 8, 30, 40});
    map.fill_(3);
  }).join();
  EXPECT_EQ(map.sum().item<float>(), 3 * 8 * 30 * 40);
}

TEST_F(Recycled, OldMemoryIsGivenBackForNew) {
  constexpr int64_t kRows = 8 * 1024, kBytes = kRows * 1024 * 4, kMost = 256 << 20;
  std::vector<at::Tensor> maps;
  for (int64_t i = 0; i < 10; ++i) maps.push_back(recycled({1, 1, kRows, 1024 + 16 * i}));
  const float* const last = maps.back().const_data_ptr<float>();
  for (auto& map : maps) map.reset();
  EXPECT_LE(recycled_bytes(), size_t{kMost});
  EXPECT_GE(recycled_bytes(), size_t{kMost - 2 * kBytes});
  EXPECT_EQ(recycled({1, 1, kRows, 1024 + 16 * 9}).const_data_ptr<float>(), last);
  const auto kept = recycled_bytes();
  recycled({1, 1, 9 * kRows, 1024});  // more than is ever kept
  EXPECT_EQ(recycled_bytes(), kept);
}

}  // namespace
}  // namespace rgbd
