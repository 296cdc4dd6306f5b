// SPDX-License-Identifier: Apache-2.0
// Which holes are too large to fill, and that they stay holes in what the engine puts out. Pictures: '#' is
// measured, '.' is not.
#include "core/holes.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/measured.h"
#include "core/resize.h"
#include "tests/core/stand_in.h"

namespace rgbd {
namespace {

using Rows = std::vector<std::string>;

struct Depth {
  Depth(const Rows& picture, double max_hole) {
    for (const std::string& row : picture)
      for (const char c : row) steps.push_back(c == '#' ? 1000 : 0);
    view.data = reinterpret_cast<const uint8_t*>(steps.data());
    view.width = static_cast<int>(picture[0].size());
    view.height = static_cast<int>(picture.size());
    view.stride_bytes = 2 * view.width;
    view.max_hole = max_hole;
  }
  Depth(const Depth&) = delete;
  std::vector<uint16_t> steps;
  DepthView view;
};

/// The picture that the network's map may fill: ' ' is what stays a hole, '#' anything else.
Rows filled(const DepthView& depth, Size size) {
  const auto open = large_holes(depth, count_measured(depth), size);
  Rows out(static_cast<size_t>(size.height), std::string(static_cast<size_t>(size.width), '#'));
  for (size_t i = 0; i < open.size(); ++i)
    if (open[i]) out[i / out[0].size()][i % out[0].size()] = ' ';
  return out;
}
Rows filled(const Rows& picture, double max_hole) {
  const Depth depth(picture, max_hole);
  return filled(depth.view, {depth.view.width, depth.view.height});
}

const Rows kWhole(4, "#####");

TEST(Holes, AtTheLimitAreFilledAndAboveAreNot) {
  const Rows four{"#####", "#..##", "#..##", "#####"}, five{"#####", "#..##", "#..##", "#.###"};
  EXPECT_EQ(filled(four, 0.2), kWhole);
  EXPECT_EQ(filled(five, 0.2), (Rows{"#####", "#  ##", "#  ##", "# ###"}));
  EXPECT_EQ(filled(five, 0.25), kWhole);
}

TEST(Holes, RoundingOfTheShareDecidesNothing) {
  for (int pixels = 1; pixels <= 100; ++pixels) {  // .07 * 100 is above 7, .29 * 100 below 29
    const auto first = static_cast<size_t>(pixels);
    const Rows picture{std::string(first, '.') + std::string(100 - first, '#')};
    const Rows open{std::string(first, ' ') + std::string(100 - first, '#')};
    EXPECT_EQ(filled(picture, pixels / 100.0), Rows{std::string(100, '#')}) << pixels;
    EXPECT_EQ(filled(picture, (pixels - 1) / 100.0), open) << pixels;
  }
}

TEST(Holes, AreMeasuredEachAlone) {
  // 6 and 6 pixels, and 2: together far above the limit of 6.
  const Rows picture{"..#..", "..#..", "..#..", "###..", ".#.#."};
  EXPECT_EQ(filled(picture, 6 / 25.0), (Rows{"###  ", "###  ", "###  ", "###  ", "#### "}));
  EXPECT_EQ(filled(picture, 9 / 25.0), Rows(5, "#####"));
}

TEST(Holes, ConnectAtSidesAndNotAtCorners) {
  const Rows steps{"..##", "##..", "..##", "##.."};
  EXPECT_EQ(filled(steps, 2 / 16.0), Rows(4, "####")) << "four regions of two";
  const Rows joined{"..##", "#...", "..##", "##.."};
  EXPECT_EQ(filled(joined, 2 / 16.0), (Rows{"  ##", "#   ", "  ##", "####"}));
}

TEST(Holes, ThatMeetLateAreOne) {
  const Rows picture{".#.#.####", ".#.#.####", ".....####", "#########", "#####.#.#"};
  EXPECT_EQ(filled(picture, 10 / 45.0),
            (Rows{" # # ####", " # # ####", "     ####", "#########", "#########"}));
  EXPECT_EQ(filled(picture, 11 / 45.0), Rows(5, "#########"));
}

TEST(Holes, OneFillsAllAndZeroNothing) {
  const Rows almost{"....", "...#"}, full{"####", "####"}, specks{"#.##", "##.#"};
  EXPECT_EQ(filled(almost, 1), (Rows{"####", "####"}));
  EXPECT_EQ(filled(almost, 0), (Rows{"    ", "   #"}));
  EXPECT_EQ(filled(specks, 0), (Rows{"# ##", "## #"}));
  EXPECT_EQ(filled(full, 0), full);
  EXPECT_EQ(filled(Rows{"....", "...."}, 1), full);
}

/// Areas by flood fill: of the hole that each pixel is in, 0 for measured ones.
std::vector<int> areas(const Rows& picture) {
  const int width = static_cast<int>(picture[0].size()), height = static_cast<int>(picture.size());
  std::vector<int> area(picture.size() * picture[0].size());
  for (int start = 0; start < width * height; ++start) {
    std::vector<int> found, left{start};
    while (!left.empty()) {
      const int at = left.back(), x = at % width, y = at / width;
      left.pop_back();
      if (picture[y][x] == '#' || area[at] != 0) continue;
      area[at] = -1;
      found.push_back(at);
      if (x > 0) left.push_back(at - 1);
      if (x + 1 < width) left.push_back(at + 1);
      if (y > 0) left.push_back(at - width);
      if (y + 1 < height) left.push_back(at + width);
    }
    for (const int at : found) area[at] = static_cast<int>(found.size());
  }
  return area;
}

TEST(Holes, AreThoseOfAFloodFill) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const size_t width = 1 + random() % 40, height = 1 + random() % 40;
    const unsigned missing = random() % 100;
    Rows picture(height, std::string(width, '#'));
    for (auto& row : picture)
      for (char& c : row)
        if (random() % 100 < missing) c = '.';
    const auto area = areas(picture);
    const auto pixels = static_cast<double>(width * height);
    for (const int most : {0, 3, *std::max_element(area.begin(), area.end()) - 1}) {
      if (most < 0) continue;
      Rows expected(height, std::string(width, '#'));
      for (size_t i = 0; i < area.size(); ++i)
        if (area[i] > most) expected[i / width][i % width] = ' ';
      ASSERT_EQ(filled(picture, most / pixels), expected) << "round " << round << ", at most " << most;
    }
  }
}

TEST(Holes, AreWhatIsOutsideTheLimitsInAnyLayout) {
  // 0, too near, too far and measured, big endian, in rows of 11 bytes.
  const std::vector<uint16_t> steps{0, 400, 5000, 1000, 1000, 1000, 0, 1000};
  std::vector<uint8_t> bytes(2 * 11);
  for (size_t i = 0; i < steps.size(); ++i) {
    bytes[i / 4 * 11 + i % 4 * 2] = static_cast<uint8_t>(steps[i] >> 8);
    bytes[i / 4 * 11 + i % 4 * 2 + 1] = static_cast<uint8_t>(steps[i]);
  }
  DepthView depth;
  depth.data = bytes.data();
  depth.stride_bytes = 11;
  depth.width = 4;
  depth.height = 2;
  depth.big_endian = true;
  depth.min_depth_m = 0.5;
  depth.max_depth_m = 4;
  depth.max_hole = 3 / 8.0;
  EXPECT_EQ(filled(depth, {4, 2}), (Rows{"   #", "## #"}));
  depth.max_depth_m = 6;
  EXPECT_EQ(filled(depth, {4, 2}), (Rows{"####", "####"})) << "two regions of two and one";
}

TEST(Holes, AreSoughtInTheDepthFrameWhateverItsSize) {
  const Depth depth({"..##", "..#.", "####", "####"}, 3 / 16.0);
  EXPECT_EQ(filled(depth.view, {8, 8}), (Rows{"    ####", "    ####", "    ####", "    ####", "########",
                                              "########", "########", "########"}));
  EXPECT_EQ(filled(depth.view, {2, 2}), (Rows{" #", "##"}));
  EXPECT_EQ(filled(depth.view, {7, 4}), (Rows{"    ###", "    ###", "#######", "#######"}));
  // What the network is not fed from is not seen.
  const Depth sparse({"###", "#.#", "###"}, 0.1);
  EXPECT_EQ(filled(sparse.view, {1, 1}), Rows{"#"});
  const Depth corner({".##", "###", "###"}, 0.1);
  EXPECT_EQ(filled(corner.view, {1, 1}), Rows{" "});
}

TEST(Holes, AShareIsANumberFromZeroToOne) {
  const Depth depth({"#"}, 0);
  for (const double good : {0.0, 0.5, 1.0}) {
    DepthView view = depth.view;
    view.max_hole = good;
    EXPECT_NO_THROW(check(view));
  }
  for (const double bad : {-0.01, 1.01, std::numeric_limits<double>::quiet_NaN()}) {
    DepthView view = depth.view;
    view.max_hole = bad;
    EXPECT_EQ(test::code_of([&] { check(view); }), ErrorCode::kInvalidArgument);
  }
}

/// An engine whose network sees a surface a metre away wherever it is asked.
std::shared_ptr<Engine> dreamer() {
  return open_engine({}, test::loads([](const at::Tensor& x) {
                       return at::zeros({x.size(0), x.size(2), x.size(3)}, at::kFloat).add_(1);
                     }));
}

/// Columns first.. of row y that hold depth: '#', and the others ' '.
std::string row(const std::vector<uint16_t>& steps, int width, int y) {
  std::string out;
  for (int x = 0; x < width; ++x) out += steps[static_cast<size_t>(y * width + x)] == 0 ? ' ' : '#';
  return out;
}

TEST(LargeHoles, StayHolesInTheEnginesOutput) {
  const auto engine = dreamer();
  const std::string all(28, '#'), half = std::string(14, ' ') + std::string(14, '#');
  test::Pair pair(1000);
  for (int y = 0; y < 28; ++y) std::fill_n(&pair.raw[y * 28], 14, uint16_t{0});
  for (const auto& [max_hole, expected] : {std::pair{0.5, all}, {0.49, half}, {1.0, all}, {0.0, half}}) {
    pair.depth.max_hole = max_hole;
    ASSERT_TRUE(pair.submit(engine, test::kA)->wait());
    for (int y = 0; y < 28; ++y) ASSERT_EQ(row(pair.refined, 28, y), expected) << max_hole << ", row " << y;
  }
  pair.depth.max_hole = DepthView{}.max_hole;
  ASSERT_TRUE(pair.submit(engine, test::kA)->wait());
  EXPECT_EQ(row(pair.refined, 28, 0), half) << "half of the frame is too much by default";
  EXPECT_EQ(pair.refined.back(), 1000);
}

TEST(LargeHoles, OfSmallDepthStayHolesWhereItIsShown) {
  // Depth of 8x4 with a hole of 3x4 at the left, colour of 56x28, the network's input too, output of 112x28.
  const auto engine = dreamer();
  test::Pair pair(1000, 56, 28);
  for (int y = 0; y < 4; ++y) std::fill_n(&pair.raw[y * 8], 3, uint16_t{0});
  pair.depth.width = 8;
  pair.depth.height = 4;
  pair.depth.stride_bytes = 16;
  pair.out.width = 112;
  pair.out.stride_bytes = 224;
  pair.refined.assign(112 * 28, test::Pair::kUntouched);
  pair.out.data = reinterpret_cast<uint8_t*>(pair.refined.data());
  ASSERT_TRUE(pair.submit(engine, test::kA)->wait());
  for (int y = 0; y < 28; ++y)
    ASSERT_EQ(row(pair.refined, 112, y), std::string(42, ' ') + std::string(70, '#')) << y;
  pair.depth.max_hole = 3 / 8.0;
  ASSERT_TRUE(pair.submit(engine, test::kA)->wait());
  EXPECT_EQ(row(pair.refined, 112, 0), std::string(112, '#'));
}

TEST(LargeHoles, OfEachPairOfABatchAreItsOwn) {
  Options options;
  options.batch_size = 2;
  options.batch_timeout_ns = test::kHour;
  std::atomic<int64_t> together = 0;
  options.instance_id = "two";  // one element would wait for nobody
  const auto open = [&] {
    return open_engine(options, test::loads([&](const at::Tensor& x) {
                         together = x.size(0);
                         return at::zeros({x.size(0), x.size(2), x.size(3)}, at::kFloat).add_(1);
                       }));
  };
  const auto one = open(), other = open();
  test::Pair whole(1000), holed(1000);
  std::fill_n(holed.raw.begin(), 14 * 28, uint16_t{0});
  auto first = holed.submit(one, test::kA), second = whole.submit(other, test::kB);
  EXPECT_TRUE(first->wait());
  EXPECT_TRUE(second->wait());
  EXPECT_EQ(together, 2);
  EXPECT_TRUE(whole.all(1000));
  EXPECT_EQ(row(holed.refined, 28, 13), std::string(28, ' '));
  EXPECT_EQ(row(holed.refined, 28, 14), std::string(28, '#'));
}

}  // namespace
}  // namespace rgbd
