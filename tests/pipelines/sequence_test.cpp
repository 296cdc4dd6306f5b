// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/sequence.h"

#include <gtest/gtest.h>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/options.h"
#include "pipelines/refine/progress.h"
#include "tests/pipelines/temp_folder.h"

namespace rgbd {
namespace {

using Numbers = std::vector<uint64_t>;
using testing::TempFolder;

TEST(NumberedName, IsOneConversionInTheFileName) {
  EXPECT_FALSE(NumberedName::parse("rgb.png"));
  EXPECT_FALSE(NumberedName::parse("50%.png"));
  EXPECT_FALSE(NumberedName::parse("%5d.png"));  // spaces in front: not what files are named
  EXPECT_FALSE(NumberedName::parse("%03d/rgb.png"));
  const auto name = NumberedName::parse("some/folder/frame_%05d.left.png");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->conversion(), "%05d");
  EXPECT_EQ(name->with(12), "some/folder/frame_00012.left.png");
  EXPECT_EQ(name->with(1234567), "some/folder/frame_1234567.left.png");
  EXPECT_EQ(NumberedName::parse("%d")->with(12), "12");
}

TEST(NumberedName, FindsTheFilesItWouldWrite) {
  const TempFolder folder;
  for (const char* name : {"f00010.png", "f00009.png", "f123456.png", "f7.png", "f000011.png", "f0001x.png",
                           "f.png", "f00012.jpg", "g00013.png", "f99999999999999999999.png"})
    folder.write(name, "");
  EXPECT_EQ(NumberedName::parse(folder.file("f%05d.png"))->files().numbers, (Numbers{9, 10, 123456}));
  EXPECT_EQ(NumberedName::parse(folder.file("f%d.png"))->files().numbers, (Numbers{7, 123456}));
  EXPECT_EQ(NumberedName::parse(folder.file("nowhere/%d.png"))->files().numbers, Numbers{});
}

RefineOptions options_in(const TempFolder& folder) {
  RefineOptions options;
  options.rgb = folder.file("rgb/%02d.png");
  options.depth = folder.file("depth/%03d.png");
  options.output = folder.file("out/%04d.png");
  return options;
}

TEST(PairList, PairsByNumberAndNamesTheHoles) {
  const TempFolder folder;
  for (int number : {2, 3, 5, 6, 11})
    folder.write("rgb/" + std::string(number < 10 ? "0" : "") + std::to_string(number) + ".png", "");
  for (int number : {1, 2, 3, 6, 11})
    folder.write("depth/0" + std::string(number < 10 ? "0" : "") + std::to_string(number) + ".png", "");
  const RefineOptions options = options_in(folder);
  const PairList list = list_pairs(options);
  ASSERT_EQ(list.pairs.size(), 4u);
  EXPECT_EQ(list.pairs[0].digits, "02");
  EXPECT_EQ(list.pairs[3].rgb, folder.file("rgb/11.png"));
  EXPECT_EQ(list.pairs[3].depth, folder.file("depth/011.png"));
  EXPECT_EQ(list.pairs[3].output, folder.file("out/0011.png"));
  EXPECT_EQ(list.pairs[3].output_depth, "");
  ASSERT_EQ(list.holes.size(), 2u);
  EXPECT_EQ(list.holes[0], "colour images '" + options.rgb + "' lack 01, 04, 07 to 10");
  EXPECT_EQ(list.holes[1], "depth images '" + options.depth + "' lack 004 to 005, 007 to 010");
}

TEST(NumberedName, TellsOfNumbersWrittenOtherwise) {
  const TempFolder folder;
  for (const char* name : {"f7.png", "f007.png", "f10.png", "f07.png", "fx.png", "f7.jpg"})
    folder.write(name, "");
  EXPECT_EQ(NumberedName::parse(folder.file("f%02d.png"))->files().otherwise_written,
            (std::vector<std::string>{"f007.png", "f7.png"}));
  EXPECT_EQ(NumberedName::parse(folder.file("f%d.png"))->files().otherwise_written,
            (std::vector<std::string>{"f007.png", "f07.png"}));
}

TEST(PairList, NamesFilesLeftOutForTheirDigits) {
  const TempFolder folder;
  for (int number = 1; number <= 12; ++number) {
    folder.write("rgb/" + std::to_string(number) + ".png", "");
    folder.write("depth/0" + std::string(number < 10 ? "0" : "") + std::to_string(number) + ".png", "");
  }
  RefineOptions options = options_in(folder);
  const PairList list = list_pairs(options);
  EXPECT_EQ(list.pairs.size(), 3u);
  ASSERT_EQ(list.holes.size(), 2u);
  EXPECT_EQ(list.holes[0], "colour images '" + options.rgb + "' lack 01 to 09");
  EXPECT_EQ(list.holes[1], "colour images '" + options.rgb +
                               "' leave out '1.png' and 8 more, whose numbers %02d writes otherwise");
  options.rgb = folder.file("rgb/%04d.png");
  try {
    list_pairs(options);
    FAIL() << "accepted";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.what(),
              "colour images '" + options.rgb +
                  "': no such file, only '1.png' and 11 more, whose numbers %04d writes otherwise");
  }
}

TEST(PairList, WithoutAPairIsAFailure) {
  const TempFolder folder;
  EXPECT_THROW(list_pairs(options_in(folder)), Failure);
  folder.write("rgb/01.png", "");
  EXPECT_THROW(list_pairs(options_in(folder)), Failure);
  folder.write("depth/002.png", "");
  EXPECT_THROW(list_pairs(options_in(folder)), Failure);
  folder.write("depth/001.png", "");
  EXPECT_EQ(list_pairs(options_in(folder)).pairs.size(), 1u);
}

TEST(PairList, PlainNamesAreOnePair) {
  RefineOptions options;
  options.rgb = "a.png", options.depth = "b.png", options.output_depth = "d.png";
  const PairList list = list_pairs(options);
  ASSERT_EQ(list.pairs.size(), 1u);
  EXPECT_EQ(list.pairs[0].digits, "");
  EXPECT_EQ(list.pairs[0].rgb, "a.png");
  EXPECT_EQ(list.pairs[0].depth, "b.png");
  EXPECT_EQ(list.pairs[0].output_depth, "d.png");
  EXPECT_TRUE(list.holes.empty());
}

TEST(ProgressBar, ShowsShareRateAndTimeLeft) {
  EXPECT_EQ(progress_bar(0, 30, 0), "[------------------------] 0/30 frames, 0.0 fps, 0:00 left");
  EXPECT_EQ(progress_bar(12, 30, 4), "[#########---------------] 12/30 frames, 3.0 fps, 0:06 left");
  EXPECT_EQ(progress_bar(1, 1000, 1), "[------------------------] 1/1000 frames, 1.0 fps, 16:39 left");
  EXPECT_EQ(progress_bar(30, 30, 10), "[########################] 30/30 frames, 3.0 fps, 0:00 left");
}

}  // namespace
}  // namespace rgbd
