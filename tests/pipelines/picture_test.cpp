// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/picture.h"

#include <gtest/gtest.h>

#include "gst/colorize/colormap.h"

namespace rgbd {

void PrintTo(const Rgb& rgb, std::ostream* out) {
  *out << int{rgb.red} << "," << int{rgb.green} << "," << int{rgb.blue};
}

namespace {

constexpr Rgb kBlack{0, 0, 0};

Rgb at(const ColorFrame& frame, int x, int y) {
  const uint8_t* pixel = frame.rgb.data() + 3 * (y * frame.width + x);
  return {pixel[0], pixel[1], pixel[2]};
}

Rgb spectral(int entry) {
  return colormap_table(Colormap::kSpectral)[entry];
}

/// 2x1 colour pixels and millimetres.
ColorFrame picture_of(const std::vector<uint16_t>& raw, const std::vector<uint16_t>& refined,
                      PictureRange range = {}) {
  const ColorFrame color{2, 1, {10, 20, 30, 40, 50, 60}};
  return make_picture(color, {2, 1, raw}, {2, 1, refined}, range);
}

TEST(Picture, IsColourRawRefinedDifference) {
  // Between 0.1 m and 5 m: the middle, 2.55 m, is entry 128; 5 m is the last.
  const ColorFrame picture = picture_of({2550, 5000}, {1275, 6000});
  EXPECT_EQ(picture.width, 4);
  EXPECT_EQ(picture.height, 2);
  EXPECT_EQ(at(picture, 0, 0), (Rgb{10, 20, 30}));
  EXPECT_EQ(at(picture, 1, 0), (Rgb{40, 50, 60}));
  EXPECT_EQ(at(picture, 2, 0), spectral(128));
  EXPECT_EQ(at(picture, 3, 0), spectral(255));
  EXPECT_EQ(at(picture, 0, 1), spectral(61));  // (1.275 - 0.1) / 4.9 * 256 = 61.4
  EXPECT_EQ(at(picture, 1, 1), spectral(255));
  EXPECT_EQ(at(picture, 2, 1), spectral(128));  // |2.55 - 1.275| / 2.55 = 0.5
  EXPECT_EQ(at(picture, 3, 1), spectral(51));   // |5 - 6| / 5 = 0.2
}

TEST(Picture, NoDepthIsBlack) {
  const ColorFrame picture = picture_of({0, 1000}, {1000, 0});
  EXPECT_EQ(at(picture, 2, 0), kBlack);
  EXPECT_EQ(at(picture, 1, 1), kBlack);
  EXPECT_EQ(at(picture, 2, 1), kBlack);         // nothing to compare with
  EXPECT_EQ(at(picture, 3, 1), spectral(255));  // all of it is lost
}

TEST(Picture, RawDepthBeyondTheGreatestIsNone) {
  PictureRange range;
  range.max_depth_m = 2;
  const ColorFrame picture = picture_of({2000, 2001}, {3000, 3000}, range);
  EXPECT_EQ(at(picture, 2, 0), spectral(99));  // 1.9 / 4.9
  EXPECT_EQ(at(picture, 3, 0), kBlack);
  EXPECT_EQ(at(picture, 1, 1), spectral(151));  // refined depth may lie beyond
}

TEST(Picture, UnitAndColourRangeAreTheUsers) {
  PictureRange range;
  range.metres_per_step = 0.0002;
  range.min_m = 0.5;
  range.max_m = 1.5;
  const ColorFrame picture = picture_of({5000, 7500}, {2500, 5000}, range);  // 1, 1.5; 0.5, 1 m
  EXPECT_EQ(at(picture, 2, 0), spectral(128));
  EXPECT_EQ(at(picture, 3, 0), spectral(255));
  EXPECT_EQ(at(picture, 0, 1), spectral(0));
}

TEST(Picture, DepthOfAnotherSizeIsResizedNearest) {
  const ColorFrame color{6, 4, std::vector<uint8_t>(6 * 4 * 3)};
  const DepthFrame raw{2, 2, {100, 5000, 0, 2550}};
  const DepthFrame refined{6, 4, std::vector<uint16_t>(6 * 4, 1000)};
  const ColorFrame picture = make_picture(color, raw, refined, {});
  EXPECT_EQ(picture.width, 12);
  EXPECT_EQ(picture.height, 8);
  EXPECT_EQ(at(picture, 6 + 2, 1), spectral(0));
  EXPECT_EQ(at(picture, 6 + 3, 1), spectral(255));
  EXPECT_EQ(at(picture, 6 + 2, 2), kBlack);
  EXPECT_EQ(at(picture, 6 + 3, 2), spectral(128));
}

}  // namespace
}  // namespace rgbd
