// SPDX-License-Identifier: Apache-2.0
// What the CUDA kernels do for a pixel, done by the CPU for all of them: the bits of core/frames.cpp. So this
// tells whether the kernels are right but for the chip's own arithmetic, without one; cuda_frames_test.cpp
// asks the chip.
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/cuda/frames_pixels.h"
#include "core/measured.h"
#include "core/resize.h"
#include "tests/core/frame_cases.h"

namespace rgbd {
namespace {

using namespace test;  // NOLINT: the whole of it

std::vector<cuda::Tap> taps(int src, int dst) {
  std::vector<cuda::Tap> taps;
  for (const CubicTap& from : opencv_cubic(src, dst)) {
    cuda::Tap& to = taps.emplace_back();
    std::copy(from.index.begin(), from.index.end(), to.index);
    std::copy(from.weight.begin(), from.weight.end(), to.weight);
  }
  return taps;
}

at::Tensor prepared(const ImageView& image, const DepthView& depth, Size size, const InputSpec& spec) {
  at::Tensor x = at::empty({4, size.height, size.width}, at::kFloat);
  const auto columns = taps(image.width, size.width), rows = taps(image.height, size.height);
  const auto depth_columns = opencv_nearest(depth.width, size.width),
             depth_rows = opencv_nearest(depth.height, size.height);
  const RawRange valid = valid_range(depth);
  cuda::Preprocess work{};
  work.colour = cuda::colour_source(image, spec.bgr);
  work.columns = columns.data();
  work.rows = rows.data();
  std::copy(spec.mean.begin(), spec.mean.end(), work.mean);
  std::copy(spec.std.begin(), spec.std.end(), work.std);
  work.depth = depth.data;
  work.depth_stride = depth.stride_bytes;
  work.depth_columns = depth_columns.data();
  work.depth_rows = depth_rows.data();
  work.big_endian = depth.big_endian;
  work.first_valid = valid.first;
  work.last_valid = valid.last;
  work.metres_per_step = depth.metres_per_step;
  work.width = size.width;
  work.height = size.height;
  work.x = x.mutable_data_ptr<float>();
  double share[256];
  for (int v = 0; v < 256; ++v) share[v] = v / 255.0;
  for (int row = 0; row < size.height; ++row) {
    for (int column = 0; column < size.width; ++column) prepare_pixel(work, column, row, share);
  }
  return x;
}

InverseRange finished(const at::Tensor& y, const DepthOut& out, const std::vector<uint8_t>& left_open) {
  const int width = static_cast<int>(y.size(1));
  const auto columns = torch_nearest(width, out.width),
             rows = torch_nearest(static_cast<int>(y.size(0)), out.height);
  cuda::Postprocess work{};
  work.map = y.const_data_ptr<float>();
  work.map_width = width;
  work.left_open = left_open.empty() ? nullptr : left_open.data();
  work.columns = columns.data();
  work.rows = rows.data();
  work.metres_per_step = out.metres_per_step;
  work.big_endian = out.big_endian;
  work.out = out.data;
  work.out_stride = out.stride_bytes;
  work.width = out.width;
  work.height = out.height;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  cuda::Range range{kInfinity, -kInfinity};
  for (int row = 0; row < out.height; ++row) {
    for (int column = 0; column < out.width; ++column) extend(range, finish_pixel(work, column, row));
  }
  return {range.min, range.max};
}

TEST(CudaPixels, PrepareEveryFormatAndSizeAsTheCpu) {
  uint32_t seed = 1;
  for (const PixelFormat format : kFormats) {
    for (const SizeCase& sizes : kSizes) {
      const Lie lie{static_cast<int>(seed % 3) * 5, seed % 2 == 0};
      ColourFrame colour(format, sizes.colour.width, sizes.colour.height, seed, lie);
      const DepthFrame depth(sizes.depth.width, sizes.depth.height, seed, seed % 2 == 1, lie);
      colour.view.matrix = static_cast<ColorMatrix>(seed % 3);
      colour.view.full_range = seed % 4 < 2;
      InputSpec spec;
      spec.bgr = seed % 5 < 3;
      expect_same_bits(prepared(colour.view, depth.view, sizes.network, spec),
                       preprocess(colour.view, depth.view, sizes.network, spec),
                       std::string(name(format)) + " " + name_of(sizes));
      ++seed;
    }
  }
}

TEST(CudaPixels, InvertDepthOfEveryUnitAndLimitAsTheCpu) {
  const ColourFrame colour(PixelFormat::kRgb, 14, 14, 1);
  for (const double unit : {1e-45, 1e-40, 0.0001, 0.001, 0.00025, 1.0, 1e34, 1e300}) {
    DepthFrame depth(256, 256, 2);
    for (size_t i = 0; i < 65536; ++i) {  // every step there is
      depth.bytes[2 * i] = static_cast<uint8_t>(i);
      depth.bytes[2 * i + 1] = static_cast<uint8_t>(i >> 8);
    }
    depth.view.metres_per_step = unit;
    for (const auto& [min, max] : {std::pair{0.0, 25.0}, {0.3, 6.1}, {0.0, 1e308}, {3.0, 3.0}}) {
      depth.view.min_depth_m = min;
      depth.view.max_depth_m = max;
      expect_same_bits(prepared(colour.view, depth.view, {256, 256}, {}),
                       preprocess(colour.view, depth.view, {256, 256}, {}), std::to_string(unit));
    }
  }
}

TEST(CudaPixels, FinishAsTheCpu) {
  uint32_t seed = 1;
  for (const SizeCase& sizes : kSizes) {
    for (const double unit : {0.001, 0.00025, 1e-7, 1.0, 1e300}) {
      const at::Tensor y = map_of(sizes.network, seed);
      const Lie lie{static_cast<int>(seed % 3) * 2, seed % 2 == 0};
      OutFrame out(sizes.colour.width, sizes.colour.height, seed % 2 == 1, lie),
          expected(sizes.colour.width, sizes.colour.height, seed % 2 == 1, lie);
      out.view.metres_per_step = expected.view.metres_per_step = unit;
      const auto open = seed % 3 == 0 ? holes_of(sizes.network, seed) : std::vector<uint8_t>{};
      const std::string what = name_of(sizes) + " in steps of " + std::to_string(unit);
      expect_same(finished(y, out.view, open), postprocess(y, expected.view, open), what);
      EXPECT_EQ(out.bytes, expected.bytes) << what;
      ++seed;
    }
  }
}

TEST(CudaPixels, ARangeOfNothingIsTheCpus) {
  at::Tensor y = at::empty({2, 2}, at::kFloat);
  std::fill_n(y.mutable_data_ptr<float>(), 4, std::numeric_limits<float>::quiet_NaN());
  OutFrame out(2, 2);
  expect_same(finished(y, out.view, {}), postprocess(y, out.view), "not a number");
}

}  // namespace
}  // namespace rgbd
