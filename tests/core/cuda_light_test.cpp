// SPDX-License-Identifier: Apache-2.0
// The embedded model's CUDA form on a GPU. What its kernels compute is checked without one too:
// light_kernels_test.cpp.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "core/device.h"
#include "core/network.h"
#include "tests/core/light_file.h"

namespace rgbd {
namespace {

class CudaLight : public testing::Test {
 protected:
  static void SetUpTestSuite() { load_cuda_module(); }
  void SetUp() override {
    const auto machine = this_machine();
    if (machine.cuda_devices == 0) GTEST_SKIP() << machine.why_no_cuda;
  }

  static std::unique_ptr<Network> load(const Checkpoint& checkpoint, at::Device device,
                                       Precision precision = Precision::kFp32, bool optimize = true) {
    NetworkOptions options;
    options.device = device;
    options.precision = precision;
    options.optimize = optimize;
    return load_network(checkpoint, options);
  }
  /// The result on the CPU for x on the CPU.
  static at::Tensor run(Network& network, const at::Tensor& x, at::Device device) {
    return network.forward(x.to(device)).cpu();
  }

  c10::InferenceMode guard_;
  const at::Device gpu_{at::kCUDA, 0};
};

at::Tensor frame(int64_t height, int64_t width, float contrast = 2) {
  return test::light_frame(height, width, contrast).unsqueeze(0);
}
at::Tensor depth(const at::Tensor& x) {
  return x.slice(1, 3);
}

Checkpoint embedded() {
  return Checkpoint::open(RGBD_MODEL);
}
Checkpoint seeded(const std::string& model) {
  return test::light_checkpoint(test::light_metadata(model));
}

/// Frames with holes, without, all holes, measured in a corner only.
at::Tensor frames(int64_t height, int64_t width, float contrast = 2) {
  const auto a = frame(height, width, contrast), no_holes = a.clone(), all_holes = a.clone(), few = a.clone();
  depth(no_holes).add_(0.1);
  depth(all_holes).zero_();
  depth(few).slice(2, (height + 2) / 3).zero_();
  depth(few).slice(3, (width + 1) / 2).zero_();
  return at::cat({a, no_holes, all_holes, few});
}

/// The 16-bit output in millimetres; 0 = no depth.
at::Tensor steps(const at::Tensor& y) {
  return at::where(y > 0, at::round(1000 / y), 0.0).clamp_max(65535);
}

/// Pixels that disagree; a few may: the likeliest of two like candidates turns on the last bit.
int64_t differing(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (at::abs(a - b) <= 1e-4 * b).logical_not().sum().item<int64_t>();  // NaN differs
}

TEST_F(CudaLight, EqualsThePlainFormOnTheCpu) {
  for (const std::string model : {"light", "settings", "constants", "rays", "far"}) {
    const auto checkpoint = seeded(model);
    const auto plain = load(checkpoint, at::kCPU, Precision::kFp32, false), fused = load(checkpoint, gpu_);
    for (const auto& [height, width] : {std::pair{64, 96}, {33, 97}, {96, 31}, {20, 7}, {1, 1}, {101, 150}}) {
      const auto x = frames(height, width, model == "far" ? test::kPale : 2);
      const auto y = plain->forward(x);
      EXPECT_LE(differing(run(*fused, x, gpu_), y), 1 + y.numel() / 1000)
          << model << " " << height << "x" << width;
    }
  }
}

TEST_F(CudaLight, EmbeddedModelMovesNoPixelByMoreThanAStep) {
  const auto plain = load(embedded(), at::kCPU, Precision::kFp32, false), fused = load(embedded(), gpu_),
             plain_gpu = load(embedded(), gpu_, Precision::kFp32, false);
  for (const auto& [height, width] : {std::pair{480, 640}, {203, 331}}) {
    const auto x = frames(height, width, test::kPale);
    const auto expected = steps(plain->forward(x));
    auto count = [&](Network& network, int more_than) {
      return (at::abs(steps(run(network, x, gpu_)) - expected) > more_than).sum().item<int64_t>();
    };
    const auto any = count(*fused, 0), more = count(*fused, 1), by_torch = count(*plain_gpu, 1);
    std::printf("%dx%d: %ld of %ld pixels differ, %ld by more than a step; torch's operations: %ld\n", width,
                height, static_cast<long>(any), static_cast<long>(expected.numel()), static_cast<long>(more),
                static_cast<long>(by_torch));
    // Noise for colours makes candidates alike: more of them than any camera's frame has.
    EXPECT_LE(more, 1 + expected.numel() / 100000);
    EXPECT_LE(any, expected.numel() / 100);
  }
}

TEST_F(CudaLight, HalfTypesStayNear) {
  const auto x = frames(480, 640, test::kPale);
  const auto y = run(*load(embedded(), gpu_), x, gpu_);
  for (const auto precision : {Precision::kFp16, Precision::kBf16}) {
    const bool half = precision == Precision::kFp16;
    const auto error = at::abs(run(*load(embedded(), gpu_, precision), x, gpu_) - y) / y.clamp_min(1e-6);
    EXPECT_GT(error.max().item<float>(), 0);
    EXPECT_LT(error.median().item<float>(), half ? 1e-3 : 8e-3);
    EXPECT_LT((error > 0.05).to(at::kFloat).mean().item<float>(), half ? 1e-2 : 5e-2);
    std::printf("%s: mean %g, median %g, share beyond 5 %% %g\n", half ? "fp16" : "bf16",
                error.mean().item<double>(), error.median().item<double>(),
                (error > 0.05).to(at::kFloat).mean().item<double>());
  }
}

TEST_F(CudaLight, RepeatsItselfBitForBitAndLeavesItsInputAlone) {
  for (const auto precision : {Precision::kFp32, Precision::kFp16, Precision::kBf16}) {
    const auto network = load(embedded(), gpu_, precision);
    const auto x = frames(120, 168, test::kPale).to(gpu_), before = x.clone(),
               other = x.flip({3}).contiguous();
    const auto first = network->forward(x).clone();  // eager; what follows may be a replayed graph
    for (int i = 0; i < 4; ++i) {
      EXPECT_FALSE(network->forward(other).equal(first));
      network->forward(frames(70, 90, test::kPale).to(gpu_));
      EXPECT_TRUE(network->forward(x).equal(first)) << i;
    }
    EXPECT_TRUE(x.equal(before));
  }
}

TEST_F(CudaLight, BatchEqualsSingles) {
  const auto x = frames(96, 132, test::kPale);
  const auto network = load(embedded(), gpu_);
  const auto together = run(*network, x, gpu_);
  for (int64_t b = 0; b < x.size(0); ++b) {
    const auto alone = run(*network, x.slice(0, b, b + 1), gpu_);
    EXPECT_LE(differing(together.slice(0, b, b + 1), alone), 1 + alone.numel() / 1000) << b;
  }
}

TEST_F(CudaLight, TooFewMeasuredPixelsPassThrough) {
  auto x = frame(480, 640);
  auto pixels = depth(x).view({-1});
  pixels.zero_();
  for (int64_t i = 0; i < 3071; ++i) pixels[97 * i] = 0.5 + 1e-4 * static_cast<double>(i);
  const auto network = load(embedded(), gpu_, Precision::kFp16);
  EXPECT_TRUE(run(*network, x, gpu_).equal(depth(x)[0]));
  pixels[640 * 480 - 1] = 0.7;
  EXPECT_GT(run(*network, x, gpu_).min().item<float>(), 0);
}

TEST_F(CudaLight, RefusesInputsThatAreNone) {
  const auto network = load(embedded(), gpu_);
  EXPECT_THROW(network->forward(frame(32, 32).slice(1, 1).to(gpu_)), Error);
  EXPECT_THROW(network->forward(frame(32, 32)[0].to(gpu_)), Error);
}

}  // namespace
}  // namespace rgbd
