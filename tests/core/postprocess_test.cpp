// SPDX-License-Identifier: Apache-2.0
// The network's map to depth pixels. Expected pixels come from OpenCV 4.6 and torch 2.11
// (`interpolate(mode="nearest")`).
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/frames.h"
#include "core/resize.h"

namespace rgbd {
namespace {

constexpr uint8_t kPadding = 0xAA;

std::vector<float> values(const at::Tensor& x) {
  return {x.const_data_ptr<float>(), x.const_data_ptr<float>() + x.numel()};
}

TEST(Nearest, PicksOpenCvsPixels) {
  EXPECT_EQ(opencv_nearest(7, 3), (std::vector<int>{0, 2, 4}));
  EXPECT_EQ(opencv_nearest(3, 7), (std::vector<int>{0, 0, 0, 1, 1, 2, 2}));
  const auto hd = opencv_nearest(1920, 924);  // 160 and 320 by integer arithmetic
  EXPECT_EQ(hd[77], 159);
  EXPECT_EQ(hd[154], 319);
  EXPECT_EQ(opencv_nearest(21, 518)[74], 2);  // 3 by x * (src / dst)
  EXPECT_EQ(opencv_nearest(10, 392)[196], 4);
}

TEST(Nearest, PicksTorchsPixels) {
  const auto small = torch_nearest(91, 77);  // 13, 26 and 52 by integer arithmetic
  EXPECT_EQ(small[11], 12);
  EXPECT_EQ(small[22], 25);
  EXPECT_EQ(small[44], 51);
  EXPECT_EQ(torch_nearest(105, 360)[216], 62);
  int64_t sum = 0;
  for (int i : torch_nearest(924, 1920)) sum += i;
  EXPECT_EQ(sum, 885624);
}

struct Output {
  std::vector<uint8_t> bytes;
  DepthOut view;
  uint16_t at(int x, int y) const {
    const uint8_t* p = &bytes[y * view.stride_bytes + 2 * x];
    return static_cast<uint16_t>(view.big_endian ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
  }
};

Output output(int width, int height, bool big_endian = false, int padding = 0) {
  Output out;
  out.view.stride_bytes = 2 * width + padding;
  out.bytes.assign(out.view.stride_bytes * height, kPadding);
  out.view.data = out.bytes.data();
  out.view.width = width;
  out.view.height = height;
  out.view.big_endian = big_endian;
  return out;
}

at::Tensor map(const std::vector<float>& values, int width) {
  at::Tensor y = at::empty({static_cast<int64_t>(values.size()) / width, width}, at::kFloat);
  std::copy(values.begin(), values.end(), y.mutable_data_ptr<float>());
  return y;
}

TEST(Postprocess, QuantisesWithSaturation) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> inverse = {0.0f,    1.0f, 0.5f, 1.0f / 1.2344f, 1.0f / 1.2346f, 0.01f, 1e-30f,
                                      3000.0f, inf,  nan,  -1.0f,          1.0f / 65.535f};
  const std::vector<uint16_t> expected = {0, 1000, 2000, 1234, 1235, 65535, 65535, 1, 0, 0, 0, 65535};
  for (const bool big_endian : {false, true}) {
    Output out = output(12, 1, big_endian);
    postprocess(map(inverse, 12), out.view);
    for (int i = 0; i < 12; ++i) EXPECT_EQ(out.at(i, 0), expected[i]) << inverse[i];
  }
  Output fine = output(12, 1);
  fine.view.metres_per_step = 0.0001;
  postprocess(map(inverse, 12), fine.view);
  EXPECT_EQ(fine.at(1, 0), 10000);
  EXPECT_EQ(fine.at(3, 0), 12344);
}

TEST(Postprocess, ResizesAsTorchAndStaysInItsRows) {
  std::vector<float> inverse(91 * 2);
  for (int i = 0; i < 182; ++i) inverse[i] = 1.0f / (1.0f + static_cast<float>(i) * 0.01f);
  Output out = output(77, 3, false, 3);
  const InverseRange range = postprocess(map(inverse, 91), out.view);
  EXPECT_EQ(out.at(11, 0), 1120);        // column 12
  EXPECT_EQ(out.at(11, 1), 1120);        // row 0
  EXPECT_EQ(out.at(22, 2), 1910 + 250);  // row 1, column 25
  for (int y = 0; y < 3; ++y) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(out.bytes[y * 157 + 154 + i], kPadding);
  }
  const auto resized = values(resize_nearest(map(inverse, 91), {77, 3}));
  EXPECT_FLOAT_EQ(resized[2 * 77 + 22], 1.0f / 2.16f);
  EXPECT_EQ(range.max, 1.0);
  EXPECT_EQ(range.min, *std::min_element(resized.begin(), resized.end()));
}

TEST(Postprocess, WritesNoDeviceMemory) {
  Output out = output(1, 1);
  out.view.memory = Memory::kCuda;
  EXPECT_THROW(postprocess(map({1}, 1), out.view), Error);
}

}  // namespace
}  // namespace rgbd
