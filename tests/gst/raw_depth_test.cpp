// SPDX-License-Identifier: Apache-2.0
// Depth around the network, pixel by pixel: the same rules as the core's.
#include "gst/refine/raw_depth.h"

#include <gtest/gtest.h>

#include <vector>

namespace rgbd::refine {
namespace {

DepthView view(const std::vector<uint16_t>& steps, double unit) {
  DepthView depth;
  depth.data = reinterpret_cast<const uint8_t*>(steps.data());
  depth.width = static_cast<int>(steps.size());
  depth.height = 1;
  depth.stride_bytes = static_cast<ptrdiff_t>(2 * steps.size());
  depth.metres_per_step = unit;
  return depth;
}

std::vector<uint16_t> raw(const std::vector<uint16_t>& steps, double unit, size_t width, double out_unit) {
  std::vector<uint16_t> out(width);
  DepthOut to;
  to.data = reinterpret_cast<uint8_t*>(out.data());
  to.width = static_cast<int>(width);
  to.height = 1;
  to.stride_bytes = static_cast<ptrdiff_t>(2 * width);
  to.metres_per_step = out_unit;
  write_raw(view(steps, unit), to);
  return out;
}

using Steps = std::vector<uint16_t>;

TEST(RawDepth, ChangesUnitsAndSaturates) {
  EXPECT_EQ(raw({0, 1000, 20000, 65535}, 0.001, 4, 0.0001), (Steps{0, 10000, 65535, 65535}));
  EXPECT_EQ(raw({0, 1000, 12345}, 0.0001, 3, 0.001), (Steps{0, 100, 1235}));
}

TEST(RawDepth, WhatIsDepthStaysDepth) {
  EXPECT_EQ(raw({0, 1, 4, 5}, 0.0001, 4, 0.001), (Steps{0, 1, 1, 1}));
}

TEST(RawDepth, TakesTheNearestPixel) {
  EXPECT_EQ(raw({1, 2}, 0.001, 4, 0.001), (Steps{1, 1, 2, 2}));
  EXPECT_EQ(raw({1, 2, 3, 4}, 0.001, 2, 0.001), (Steps{1, 3}));
}

TEST(RawDepth, LimitsAreThoseOfTheCore) {
  // 6100 * 0.001 is 6.1000000000000005 in double; in float32, as the core compares, it is the limit itself.
  for (unsigned millimetres = 1; millimetres <= 25000; ++millimetres) {
    const Steps one{static_cast<uint16_t>(millimetres)};
    DepthView depth = view(one, 0.001);
    depth.min_depth_m = depth.max_depth_m = millimetres / 1000.0;
    ASSERT_TRUE(has_depth(depth)) << millimetres;
  }
  const Steps steps{0, 499, 2001};
  DepthView depth = view(steps, 0.001);
  depth.min_depth_m = 0.5;
  depth.max_depth_m = 2.0;
  EXPECT_FALSE(has_depth(depth));
  for (const double unit : {1e-43, 1e-300}) {  // too near for an inverse, as the core has it
    depth = view(steps, unit);
    depth.min_depth_m = 0;
    EXPECT_FALSE(has_depth(depth)) << unit;
  }
}

}  // namespace
}  // namespace rgbd::refine
