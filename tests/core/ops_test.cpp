// SPDX-License-Identifier: Apache-2.0
// The primitives against double arithmetic, each faster form against its plain one.
#include "core/ops.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <set>
#include <thread>

#include "core/attention_cpu.h"

namespace rgbd {
namespace {

class Ops : public testing::Test {
 protected:
  at::Tensor random(at::IntArrayRef shape) { return at::randn(shape, generator_); }
  static double worst(const at::Tensor& a, const at::Tensor& b) {
    EXPECT_EQ(a.sizes(), b.sizes());
    return at::abs(a.to(at::kDouble) - b.to(at::kDouble)).max().item<double>();
  }
  static Backend backend(bool optimize, bool generic_ops = false, Precision precision = Precision::kFp32) {
    NetworkOptions options;
    options.optimize = optimize;
    options.generic_ops = generic_ops;
    options.precision = precision;
    return Backend(options);
  }

 private:
  c10::InferenceMode guard_;
  at::Generator generator_ = at::detail::createCPUGenerator(7);
};

TEST_F(Ops, WorkIsSharedAmongThreads) {
#ifndef _OPENMP
  GTEST_SKIP() << "built without OpenMP";
#endif
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  at::parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  at::set_num_threads(before);
  EXPECT_EQ(threads.size(), 2u);
}

TEST_F(Ops, LinearFormsAgreeWithDouble) {
  const auto weight = random({96, 64}), bias = random({96}), x = random({2, 37, 64});
  const auto expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
  const auto gelu = expected * 0.5 * (at::erf(expected / std::sqrt(2.0)) + 1.0);
  for (const bool optimize : {false, true}) {
    const Linear linear(weight, bias, backend(optimize));
    EXPECT_LT(worst(linear(x), expected), 2e-5);
    EXPECT_LT(worst(linear.gelu(x), gelu), 2e-5);  // the tanh form is off by 4.7e-4
    const Linear bare(weight, {}, backend(optimize));
    EXPECT_LT(worst(bare(x), expected - bias.to(at::kDouble)), 2e-5);
  }
}

TEST_F(Ops, LinearTakesAnyStrides) {
  const auto weight = random({32, 64}), x = random({5, 2, 64}).transpose(0, 1);
  const Linear packed(weight, {}, backend(true)), plain(weight, {}, backend(false));
  EXPECT_LT(worst(packed(x), plain(x)), 2e-5);
}

TEST_F(Ops, LinearIsPackedOnlyOnTheCpuInFloat) {
  const auto weight = random({32, 64});
  EXPECT_TRUE(Linear(weight, {}, backend(true)).packed());
  EXPECT_FALSE(Linear(weight, {}, backend(false)).packed());
  EXPECT_FALSE(Linear(weight, {}, backend(true, true)).packed());
  EXPECT_FALSE(Linear(weight, {}, backend(true, false, Precision::kBf16)).packed());
}

TEST_F(Ops, HalfProductsTakeFloatActivations) {
  const auto weight = random({32, 64}), x = random({3, 64});
  const auto y = Linear(weight, {}, backend(true, false, Precision::kBf16))(x);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_LT(worst(y, Linear(weight, {}, backend(false))(x)), 0.3);
}

// Sizes around the tiles of 24 queries, groups of 4 keys and blocks of 192 keys.
class Attention : public Ops, public testing::WithParamInterface<int> {};

TEST_P(Attention, FormsAgreeWithDouble) {
  const int64_t tokens = GetParam(), heads = 3;
  const auto qkv = random({2, tokens, 3 * heads * 64}) * 2.0;
  const auto expected = plain_attention(qkv.to(at::kDouble), heads);
  // Scores reach 25 and values 8: rounding scores alone moves the result by 2e-5, in the plain form too.
  EXPECT_LT(worst(plain_attention(qkv, heads), expected), 5e-5);
  EXPECT_LT(worst(attention(qkv, heads, backend(true)), expected), 5e-5);
  EXPECT_LT(worst(attention(qkv, heads, backend(true, true)), expected), 5e-5);
  if (attention_cpu_supports(64)) {
    EXPECT_LT(worst(attention_cpu(qkv, heads), expected), 5e-5);
  }
}
INSTANTIATE_TEST_SUITE_P(Tokens, Attention,
                         testing::Values(1, 3, 4, 23, 24, 25, 108, 191, 192, 193, 385, 500));

TEST_F(Ops, AttentionSurvivesLargeScores) {
  if (!attention_cpu_supports(64)) GTEST_SKIP() << "this CPU runs torch's attention";
  const auto qkv = random({1, 250, 3 * 64}) * 30.0;  // scores of several hundreds: softmax picks one key
  EXPECT_LT(worst(attention_cpu(qkv, 1), plain_attention(qkv.to(at::kDouble), 1)), 5e-3);
}

TEST_F(Ops, AttentionRepeatsItselfBitForBit) {
  const auto qkv = random({1, 300, 3 * 128});
  EXPECT_TRUE(attention(qkv, 2, backend(true)).equal(attention(qkv, 2, backend(true))));
}

}  // namespace
}  // namespace rgbd
