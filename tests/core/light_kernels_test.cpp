// SPDX-License-Identifier: Apache-2.0
// The light network's CUDA kernels, run on the CPU (tests/support/emulated/), against core/light/. The same
// sources on a GPU: cuda_light_test.cpp.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "core/cuda/light/conv.h"
#include "core/cuda/light/light.h"
#include "core/light/denoise.h"
#include "core/light/edge_snap.h"
#include "core/light/fill.h"
#include "core/light/hole_vote.h"
#include "core/light/range.h"
#include "core/light/rays.h"
#include "tests/core/light_file.h"

namespace rgbd {
namespace {

namespace kernels = cuda::light_kernels;

class LightKernels : public testing::Test {
 protected:
  c10::InferenceMode guard_;
};

kernels::Geometry geometry(const at::Tensor& x, int levels, int multiple) {
  auto up = [&](int64_t side) { return static_cast<int>((side + multiple - 1) / multiple * multiple); };
  return {static_cast<int>(x.size(0)),
          static_cast<int>(x.size(2)),
          static_cast<int>(x.size(3)),
          up(x.size(2)),
          up(x.size(3)),
          levels};
}

std::vector<kernels::Range> ranges_of(const at::Tensor& x, float low = 1, float high = 1) {
  std::vector<kernels::Range> out(x.size(0));
  const auto g = geometry(x, 5, 32);
  std::vector<char> scratch(kernels::range_scratch_bytes(g.batch), 1);
  kernels::measured_range(x.const_data_ptr<float>(), g, low, high, scratch.data(), out.data(), nullptr);
  return out;
}

at::Tensor frame(int64_t height, int64_t width, float contrast = 2) {
  return test::light_frame(height, width, contrast).unsqueeze(0);
}
at::Tensor depth(const at::Tensor& x) {
  return x.slice(1, 3);
}

TEST_F(LightKernels, RangeEqualsSorting) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 2}, {3, 5}, {10, 10}, {61, 97}, {120, 160}}) {
    auto x = at::cat(
        {frame(height, width), frame(height, width), frame(height, width), at::rand({1, 4, height, width})});
    depth(x)[1].mul_(at::rand({1, height, width}) * 1000);  // all powers of two
    depth(x)[2].zero_();
    depth(x)[3].mul_(1e-3).add_(1);  // differ in the last bits
    const auto expected = light::measured_range(depth(x));
    const auto ranges = ranges_of(x);
    for (int64_t b = 0; b < x.size(0); ++b) {
      const float median = expected.median[b].item<float>();
      EXPECT_EQ(ranges[b].measured, expected.n[b].item<int64_t>());
      EXPECT_EQ(ranges[b].median, median > 0 ? median : 1);
      EXPECT_EQ(ranges[b].low, expected.low[b].item<float>() / ranges[b].median);
      EXPECT_EQ(ranges[b].high, expected.high[b].item<float>() / ranges[b].median);
    }
  }
}

/// Largest difference, of numbers about 1.
double off(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return at::abs(a.to(at::kDouble) - b.to(at::kDouble)).max().item<double>();
}

TEST_F(LightKernels, FillAndFeatures) {
  const std::vector<int64_t> against{2, 3, 1};
  for (const auto& [levels, multiple] : {std::pair{5, 32}, {3, 16}, {2, 8}}) {
    for (const auto& [height, width] : {std::pair{32, 64}, {45, 70}, {96, 33}, {1, 1}}) {
      if (levels < 3 && height != 45) continue;
      auto differences = against;
      for (auto& level : differences) level = std::min<int64_t>(level, levels);
      const auto x = at::cat({frame(height, width), frame(height, width).flip({3})});
      depth(x)[1].mul_(depth(x)[1].clone());
      if (height > 1) depth(x)[0].slice(1, 0, height / 2).zero_();
      const auto g = geometry(x, levels, multiple);
      const auto ranges = ranges_of(x);

      std::vector<at::Tensor> padded;
      for (int64_t b = 0; b < 2; ++b) {
        auto one = x.slice(0, b, b + 1).clone();
        depth(one).div_(ranges[b].median);
        padded.push_back(at::replication_pad2d(one, {0, g.columns - width, 0, g.rows - height}));
      }
      const auto all = at::cat(padded), expected_q = depth(all).contiguous(),
                 mask = (expected_q > 0).to(at::kFloat);
      const auto expected_fills = light::push_pull(expected_q, mask, levels);
      const auto expected_rays = light::rays(expected_q);
      const auto borders = light::borders(expected_rays, expected_q, expected_fills[0]);
      const auto expected = at::pixel_unshuffle(
          light::features(all.slice(1, 0, 3), mask, expected_fills, differences, borders), 2);

      const auto cells = kernels::level_start(g, levels + 1);
      const auto q = at::empty({2, 1, g.rows, g.columns}), fills = at::empty({2, cells}),
                 pyramid = at::empty({2, cells - g.cells(), 2});
      kernels::push(x.const_data_ptr<float>(), ranges.data(), g, q.mutable_data_ptr<float>(),
                    static_cast<float2*>(pyramid.mutable_data_ptr()), nullptr);
      EXPECT_TRUE(q.equal(expected_q));
      const auto rays = at::empty_like(expected_rays).fill_(7);
      kernels::find_rays(q.const_data_ptr<float>(), g, rays.mutable_data_ptr<float>(), nullptr);
      EXPECT_TRUE(rays.equal(expected_rays));
      kernels::Differences d{};
      for (const auto level : differences) d.levels[d.count++] = static_cast<int>(level);
      for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16}) {
        for (const bool with_rays : {false, true}) {
          const auto features =
              cuda::activations(2, 56, g.rows / 2, g.columns / 2, at::TensorOptions().dtype(type)).fill_(7);
          kernels::pull(x.const_data_ptr<float>(), q.const_data_ptr<float>(),
                        static_cast<const float2*>(pyramid.const_data_ptr()),
                        with_rays ? rays.const_data_ptr<float>() : nullptr, g, d,
                        fills.mutable_data_ptr<float>(), features.mutable_data_ptr(), 56,
                        cuda::number_type(type), nullptr);
          const double rounding = type == at::kFloat ? 3e-5 : type == at::kHalf ? 3e-3 : 2e-2;
          const int64_t channels = with_rays ? 48 : 32;
          EXPECT_LT(off(features.slice(1, 0, channels), expected.slice(1, 0, channels)), rounding)
              << levels << " " << height;
          EXPECT_EQ(at::abs(features.slice(1, channels)).max().item<float>(), 0);
        }
      }
      for (int level = 0; level <= levels; ++level) {
        const auto& map = expected_fills[level];
        const auto start = kernels::level_start(g, level);
        EXPECT_LT(off(fills.slice(1, start, start + map[0].numel()).view(map.sizes()), map), 2e-6) << level;
      }
    }
  }
}

int64_t differing(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (at::abs(a - b) <= 1e-4 * b).logical_not().sum().item<int64_t>();  // NaN differs
}

TEST_F(LightKernels, HalvingVoteDenoisingAndSnapping) {
  for (const auto& [height, width] : {std::pair{1, 1}, {2, 3}, {33, 97}, {64, 70}}) {
    for (const double holes : {0., 0.3, 0.99}) {
      const auto x = at::rand({2, 4, height, width}), y = at::rand({2, height, width}) * 0.05 + 0.5;
      x.select(1, 3).copy_((y + 0.002 * at::randn(y.sizes())) * (at::rand(y.sizes()) >= holes));
      const auto g = geometry(x, 5, 32);
      const auto expected_half = light::halved(x), half = at::empty_like(expected_half);
      const auto half_g = geometry(half, 5, 32);
      kernels::halve(x.const_data_ptr<float>(), g, half_g, half.mutable_data_ptr<float>(), nullptr);
      EXPECT_LT(off(half, expected_half), 1e-6);

      const auto coarse = at::rand({2, (height + 1) / 2, (width + 1) / 2}) + 0.1,
                 scratch = at::empty({2 * y.numel()});
      const auto expected_vote = light::vote(x, y, coarse, 2), voted = y.clone();
      kernels::vote(x.const_data_ptr<float>(), half.const_data_ptr<float>(), coarse.const_data_ptr<float>(),
                    g, half_g, 2, scratch.mutable_data_ptr<float>(), voted.mutable_data_ptr<float>(),
                    nullptr);
      EXPECT_LT(off(voted, expected_vote), 1e-5) << height << " " << holes;

      const auto expected = light::denoised(voted, x.select(1, 3), 6), out = voted.clone();
      std::vector<double> room(kernels::denoise_scratch_bytes(g) / sizeof(double) + 1);
      kernels::denoise(x.const_data_ptr<float>(), g, 6, room.data(), out.mutable_data_ptr<float>(), nullptr);
      EXPECT_LT(off(out, expected), 2e-6) << height << " " << holes;
      EXPECT_TRUE(height < 3 || holes > 0.5 || off(out, voted) > 1e-4);  // something happened

      y.mul_(at::where(at::rand(y.sizes()) > 0.3, 1.0, 1.5));
      x.slice(1, 0, 3).mul_(0.1);  // alike
      const auto snapped = light::snapped(y, x.slice(1, 0, 3), 3);
      const auto ranges = ranges_of(x);
      for (const int enough : {0, height * width + 1}) {  // the second passes all through
        const auto moved = at::empty_like(y);
        kernels::snap(x.const_data_ptr<float>(), y.const_data_ptr<float>(), ranges.data(), enough, g, 3,
                      moved.mutable_data_ptr<float>(), nullptr);
        EXPECT_LE(differing(moved, enough ? y : snapped), y.numel() / 2000) << height << " " << enough;
      }
      EXPECT_TRUE(height < 3 || differing(y, snapped) > y.numel() / 10);
    }
  }
}

at::Tensor channels_last(const at::Tensor& x, at::ScalarType type) {
  return x.to(type).contiguous(at::MemoryFormat::ChannelsLast);
}

TEST_F(LightKernels, EnlargeAndAdd) {
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const auto x = channels_last(at::randn({2, 24, 5, 3}), type),
               skip = channels_last(at::randn({2, 24, 10, 6}), type);
    const auto expected = at::relu(skip.to(at::kFloat) + light::enlarged(x.to(at::kFloat), 2));
    kernels::enlarge_add(x.const_data_ptr(), skip.mutable_data_ptr(), 2, 5, 3, 24, cuda::number_type(type),
                         nullptr);
    EXPECT_LT(off(skip, expected), type == at::kFloat ? 1e-6 : type == at::kHalf ? 2e-3 : 2e-2);
  }
}

TEST_F(LightKernels, Convolutions) {
  struct Case {
    int64_t inputs, outputs, kernel, height, width;
    int stride;
  };
  // Odd and even numbers of 8 inputs, blocks of all widths, large blocks and small ones, edges.
  for (const Case& c : std::initializer_list<Case>{{24, 24, 3, 20, 40, 1},
                                                   {36, 24, 3, 64, 64, 1},
                                                   {24, 48, 3, 34, 18, 2},
                                                   {24, 48, 3, 128, 128, 2},
                                                   {80, 48, 1, 9, 17, 1},
                                                   {48, 80, 1, 64, 64, 1},
                                                   {16, 16, 3, 1, 1, 1},
                                                   {8, 1, 3, 7, 5, 1},
                                                   {128, 32, 3, 5, 33, 2},
                                                   {224, 32, 3, 3, 20, 1}}) {
    const auto weight = at::randn({c.outputs, c.inputs, c.kernel, c.kernel}) /
                        std::sqrt(static_cast<double>(c.inputs * c.kernel * c.kernel)),
               bias = at::randn({c.outputs}) * 0.1, x = at::randn({2, c.inputs, c.height, c.width});
    for (const auto type : {at::kHalf, at::kBFloat16, at::kFloat}) {
      const auto up = [](int64_t n) { return (n + 7) / 8 * 8; };
      const auto in = cuda::activations(2, up(c.inputs), c.height, c.width, at::TensorOptions().dtype(type));
      in.zero_();
      in.slice(1, 0, c.inputs).copy_(x);
      const cuda::LightConv conv(weight, bias, c.stride, at::kCPU, type);
      const auto expected =
          at::conv2d(x.to(type).to(at::kFloat), weight.to(type).to(at::kFloat), bias, c.stride, c.kernel / 2);
      const double rounding = type == at::kFloat ? 1e-5 : type == at::kHalf ? 3e-3 : 2e-2;
      const auto y = conv(in, {}, false);
      EXPECT_LT(off(y.slice(1, 0, c.outputs), expected), rounding) << c.inputs << " to " << c.outputs;
      EXPECT_EQ(at::abs(y.slice(1, c.outputs)).sum().item<float>(), 0);
      const auto other = channels_last(at::randn(y.sizes()), type);
      // Rounded twice, and larger.
      EXPECT_LT(off(conv(in, other), at::relu(y.to(at::kFloat) + other.to(at::kFloat))), 2 * rounding);
    }
  }
}

std::unique_ptr<Network> network(const std::string& model, bool emulated,
                                 Precision precision = Precision::kFp32) {
  const auto checkpoint = test::light_checkpoint(test::light_metadata(model));
  NetworkOptions options;
  options.precision = precision;
  options.optimize = emulated;
  return emulated ? cuda::load_light(light::Weights(checkpoint), options) : load_network(checkpoint, options);
}

TEST_F(LightKernels, NetworkEqualsPlain) {
  for (const std::string model : {"light", "settings", "constants", "rays", "far"}) {
    const auto plain = network(model, false), fused = network(model, true);
    for (const auto& [height, width] : {std::pair{64, 32}, {33, 70}, {20, 7}, {1, 1}}) {
      const auto a = frame(height, width, model == "far" ? test::kPale : 2), no_holes = a.clone(),
                 all_holes = a.clone(), few = a.clone();
      depth(no_holes).add_(0.1);
      depth(all_holes).zero_();
      depth(few).slice(2, 1).zero_();
      depth(few).slice(3, 0, width / 2).zero_();
      const auto x = at::cat({a, no_holes, all_holes, few});
      const auto y = plain->forward(x);
      EXPECT_LE(differing(fused->forward(x), y), 1 + y.numel() / 1000)
          << model << " " << height << "x" << width;
    }
  }
}

TEST_F(LightKernels, EmbeddedModel) {
  const auto checkpoint = Checkpoint::open(RGBD_MODEL);
  NetworkOptions options;
  options.optimize = false;
  const auto x = frame(96, 128, test::kPale);
  const auto y = load_network(checkpoint, options)->forward(x);
  options.optimize = true;
  for (const auto precision : {Precision::kFp32, Precision::kFp16}) {
    options.precision = precision;
    const auto network = cuda::load_light(light::Weights(checkpoint), options);
    ASSERT_NE(network, nullptr);
    const auto error = at::abs(network->forward(x) / y - 1);
    std::printf("median %g, %ld of %ld pixels off by more than 1e-4, %ld by more than 1e-2\n",
                error.median().item<double>(), static_cast<long>((error > 1e-4).sum().item<int64_t>()),
                static_cast<long>(y.numel()), static_cast<long>((error > 1e-2).sum().item<int64_t>()));
    if (precision == Precision::kFp32) {
      EXPECT_LE((error <= 1e-4).logical_not().sum().item<int64_t>(), y.numel() / 1000);  // NaN differs
    } else {
      EXPECT_LT(error.median().item<float>(), 1e-3);
      EXPECT_LE((error > 1e-2).sum().item<int64_t>(), y.numel() / 50);
    }
  }
}

TEST_F(LightKernels, HalfTypesStayNear) {
  const auto x = frame(64, 96);
  const auto y = network("light", false)->forward(x);
  for (const auto precision : {Precision::kFp16, Precision::kBf16}) {
    const auto error = at::abs(network("light", true, precision)->forward(x) / y - 1);
    EXPECT_GT(error.max().item<float>(), 0);
    EXPECT_LT(error.median().item<float>(), precision == Precision::kFp16 ? 2e-3 : 1e-2);
  }
}

}  // namespace
}  // namespace rgbd
