// SPDX-License-Identifier: Apache-2.0
// The size at which the network sees a frame.
#include <gtest/gtest.h>

#include <string>

#include "core/frames.h"

namespace rgbd {
namespace {

TEST(NetworkSize, IsThePublishedOne) {
  const InputSpec cdm;
  EXPECT_EQ(network_size({640, 480}, cdm, 0), (Size{686, 518}));
  EXPECT_EQ(network_size({1920, 1080}, cdm, 0), (Size{924, 518}));
  EXPECT_EQ(network_size({848, 480}, cdm, 0), (Size{910, 518}));
  EXPECT_EQ(network_size({480, 640}, cdm, 0), (Size{518, 686}));
  EXPECT_EQ(network_size({1000, 300}, cdm, 0), (Size{1722, 518}));  // 123.33 patches
  EXPECT_EQ(network_size({14, 14}, cdm, 0), (Size{518, 518}));
  EXPECT_EQ(network_size({640, 480}, cdm, 252), (Size{336, 252}));
  EXPECT_EQ(network_size({640, 480}, cdm, 500), (Size{672, 504}));  // 500 / 14 = 35.7 rounds up
  EXPECT_EQ(network_size({640, 480}, cdm, 510), (Size{686, 518}));  // 36.4 would round below 510
}

TEST(NetworkSize, RoundsHalfToEven) {
  InputSpec spec;
  spec.short_side = 16;
  spec.multiple = 16;
  EXPECT_EQ(network_size({40, 16}, spec, 0), (Size{32, 16}));  // 2.5
  EXPECT_EQ(network_size({56, 16}, spec, 0), (Size{64, 16}));  // 3.5
}

TEST(NetworkSize, RefusesFramesThatAreTooLong) {
  const InputSpec cdm;
  EXPECT_EQ(network_size({448, 14}, cdm, 0), (Size{16576, 518}));
  for (const Size size : {Size{449, 14}, Size{14, 449}, Size{65535, 2000}}) {
    try {
      network_size(size, cdm, 0);
      ADD_FAILURE() << size.width << 'x' << size.height << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(std::to_string(size.height)), std::string::npos)
          << error.what();
    }
  }
}

TEST(NetworkSize, LeavesSmallFramesAloneWithoutUpscaling) {
  InputSpec spec;
  spec.short_side = 480;
  spec.multiple = 16;
  spec.upscale = false;
  EXPECT_EQ(network_size({320, 240}, spec, 0), (Size{320, 240}));
  EXPECT_EQ(network_size({424, 240}, spec, 0), (Size{416, 240}));  // 26.5 patches, to even
  EXPECT_EQ(network_size({100, 90}, spec, 0), (Size{96, 96}));  // 90 rounds up: 80 would be below the frame
  EXPECT_EQ(network_size({1280, 960}, spec, 0), (Size{640, 480}));
}

TEST(NetworkSize, RefusesLessThanAPatch) {
  EXPECT_THROW(network_size({13, 480}, {}, 0), Error);
  EXPECT_THROW(network_size({640, 13}, {}, 0), Error);
  EXPECT_THROW(network_size({640, 480}, {}, 13), Error);
  EXPECT_NO_THROW(network_size({640, 480}, {}, 14));
}

}  // namespace
}  // namespace rgbd
