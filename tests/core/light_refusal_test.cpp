// SPDX-License-Identifier: Apache-2.0
// Light models' files that are not what they should be: every refusal names what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <locale>

#include "core/network.h"
#include "tests/core/checkpoint_refusal.h"
#include "tests/core/light_file.h"

namespace rgbd {
namespace {

using test::Metadata;
using test::Shaped;

std::string load_refusal(const Checkpoint& file) {
  return test::refusal(file.path(), [&] { load_network(file, {}); });
}

/// What loading says when one metadata key has this value (or is away), the tensors being right for the
/// others.
std::string refusal_of(const std::string& key, const char* value, const std::string& model = "light") {
  auto metadata = test::light_metadata(model);
  const auto tensors = test::light_tensors(metadata);
  if (value) {
    metadata.at("rgbd." + key) = value;
  } else {
    metadata.erase("rgbd." + key);
  }
  return load_refusal(test::light_checkpoint(metadata, tensors));
}

TEST(Metadata, EveryKeyIsNeeded) {
  for (const std::string model : {"light", "rays"}) {
    for (const auto& [full, value] : test::light_metadata(model)) {
      const auto key = full.substr(5);
      if (key == "architecture" || key == "license") continue;
      EXPECT_TRUE(test::says(refusal_of(key, nullptr, model), full + " is missing"));
    }
  }
  EXPECT_EQ(refusal_of("license", nullptr), "");
}

struct Wrong {
  const char *key, *value, *says;
};

TEST(Metadata, ValuesFromANewerProgramAreNamed) {
  for (const Wrong& wrong : {Wrong{"version", "1", "only '3' and '2'"},
                             {"head", "free", "only 'choice'"},
                             {"depth_norm", "max", "only 'median'"}}) {
    const auto text = refusal_of(wrong.key, wrong.value);
    EXPECT_TRUE(test::says(text, std::string("rgbd.") + wrong.key + " is '" + wrong.value + "'"));
    EXPECT_TRUE(test::says(text, wrong.says));
  }
  EXPECT_TRUE(test::says(refusal_of("far", "17", "far"), "no whole number from 0 to 16"));
  EXPECT_TRUE(test::says(refusal_of("denoise", "-1", "far"), "no number from 0 to 50"));
  EXPECT_TRUE(test::says(refusal_of("snap", "8", "far"), "no whole number from 0 to 7"));
  EXPECT_TRUE(test::says(refusal_of("rays", "8", "rays"), "rgbd.rays is '8': this program knows only '4'"));
}

TEST(Metadata, UnreadableOrHostileValuesAreNamed) {
  const std::string many(200, '9'), more = std::string("1") + many;
  for (const Wrong& wrong : {
           Wrong{"widths", "", "1 entries, not 3 to 8"},
           {"widths", "8,12", "2 entries"},
           {"widths", "8,12,16,12,0", "'0' is no whole number from 1 to 2048"},
           {"widths", "8,12,16,12,-20", "'-20' is no whole number"},
           {"widths", "8,12,16,12,20x", "'20x' is no whole number"},
           {"widths", "8,12,16,12,99999999999999999999", "no whole number"},
           {"widths", "8,12,16,12,1e9", "'1e9' is no whole number"},
           {"widths", "8, 12,16,12,20", "' 12' is no whole number"},
           {"widths", "8,8,8,8,8,8,8,8,8,8,8,8,8,8,8", "15 entries"},
           {"bottleneck_blocks", "1000000000", "no whole number from 0 to 64"},
           {"raw_offsets", "0,0;1", "'1' is no offset dy,dx"},
           {"raw_offsets", "0,0;1,2,3", "'1,2,3' is no offset"},
           {"raw_offsets", "0,1000", "'1000' is no whole number from -64 to 64"},
           {"coarse_offsets", "", "is no offset"},
           {"candidates", "23.5", "no whole number"},
           {"smooth_levels", "", "no whole number from 1 to 5"},
           {"smooth_levels", "3,6", "'6' is no whole number from 1 to 5"},
           {"difference_levels", "0", ", no whole number from 1 to 5"},
           {"difference_levels", "1,1,1,1,1,1,1,1,1", "9 entries, not 1 to 8"},
           {"correction", "nan", "no number"},
           {"correction", "inf", "no number"},
           {"correction", "0", "no number"},
           {"correction", "1e400", "no number"},
           {"pyramid_levels", "62", "no whole number from 2 to 8"},
           {"padding", "0", "no whole number"},
           {"padding", "1048576", "no whole number from 1 to 1024"},
           {"mode_tolerance", "-0.1", "no number from 0 to 1"},
           {"mode_tolerance", "0,05", "no number"},
           {"keep_window", "1000001", "no whole number"},
           {"keep_tolerance", "2", "no number"},
           {"hole_low", "-1", "no number"},
           {"hole_low", "1.5", "no number from 0 to 1"},
           {"hole_high", "1e9", "no number"},
           {"hole_high", "0", "no number from 0.5"},
           {"input_size", "8192", "no whole number from 14 to 2048"},
           {"min_valid", "1.5", "no number"},
           {"input_size", "3", "no whole number from 14"},
           {"input_size", "1000000", "no whole number"},
           {"multiple", "0", "no whole number"},
           {"upscale", "yes", "neither 'true' nor 'false'"},
           {"mean", "0.5", "1 entries, not 3"},
           {"mean", "0.5,0.5,x", "'x' is no number"},
           {"std", "0.25,0,0.25", "'0' is no number"},
           {"channel_order", "gbr", "neither 'bgr' nor 'rgb'"},
           {"keep_tolerance", more.c_str(), "…', no number"},
       }) {
    const auto text = refusal_of(wrong.key, wrong.value);
    EXPECT_TRUE(test::says(text, std::string("rgbd.") + wrong.key));
    EXPECT_TRUE(test::says(text, wrong.says));
    EXPECT_LT(text.size(), 500u);
  }
}

TEST(Metadata, ContradictionsAreNamed) {
  for (const Wrong& wrong : {Wrong{"candidates", "24", "make 25"},
                             {"raw_offsets", "0,0;0,1", "make 10"},
                             {"features", "6", "make 9"},
                             {"padding", "48", "no multiple of the stride 32"},
                             {"pyramid_levels", "6", "no multiple of the stride 64"},
                             {"widths", "8,12,16,12,20,20", "no multiple of the stride 64"},
                             {"keep_window", "6", "even"}}) {
    EXPECT_TRUE(test::says(refusal_of(wrong.key, wrong.value), wrong.says));
  }
  EXPECT_TRUE(test::says(refusal_of("candidates", "25", "rays"), "make 29"));
  EXPECT_TRUE(test::says(refusal_of("features", "9", "rays"), "make 13"));
  // Rays are of version 3.
  EXPECT_TRUE(test::says(refusal_of("version", "2", "rays"), "make 25"));
}

TEST(Metadata, NumbersDoNotDependOnTheLocale) {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
  };
  const auto before = std::locale::global(std::locale(std::locale::classic(), new Comma));
  const auto text = load_refusal(test::light_checkpoint(test::light_metadata()));
  std::locale::global(before);
  EXPECT_EQ(text, "");
}

TEST(Tensors, ThatTheMetadataContradictAreNamed) {
  // One level, channel, block or candidate more or less than the tensors have.
  for (const Wrong& wrong :
       {Wrong{"widths", "8,12,16,12", "encoder.2.blocks.1.conv1.weight"},
        {"widths", "8,12,16,12,24", "encoder.3.down.weight is [20, 12, 3, 3], not [24, 12, 3, 3]"},
        {"bottleneck_blocks", "3", "encoder.3.blocks.2.conv1.weight"},
        {"bottleneck_blocks", "1", "do not describe: 'encoder.3.blocks.1.conv1.bias'"}}) {
    EXPECT_TRUE(test::says(refusal_of(wrong.key, wrong.value), wrong.says));
  }
  auto metadata = test::light_metadata();
  const auto tensors = test::light_tensors(metadata);
  metadata.at("rgbd.coarse_offsets") = "0,0;0,-4;0,4;-4,0;4,0;4,4";
  metadata.at("rgbd.candidates") = "26";
  EXPECT_TRUE(test::says(load_refusal(test::light_checkpoint(metadata, tensors)),
                         "head.weight is [104, 8, 1, 1], not [108, 8, 1, 1]"));
}

TEST(Tensors, MissingOnesAreNamedAndCounted) {
  const auto metadata = test::light_metadata();
  auto tensors = test::light_tensors(metadata);
  std::erase_if(tensors,
                [](const Shaped& t) { return t.key.starts_with("decoder.1.") || t.key == "head.bias"; });
  const auto text = load_refusal(test::light_checkpoint(metadata, tensors));
  EXPECT_TRUE(test::says(text, "7 tensors missing"));
  EXPECT_TRUE(
      test::says(text, "decoder.1.lateral.weight, decoder.1.lateral.bias, decoder.1.block.conv1.weight, …"));
}

TEST(Tensors, NoneAtAll) {
  EXPECT_TRUE(test::says(load_refusal(test::light_checkpoint(test::light_metadata(), std::vector<Shaped>{})),
                         "tensors missing that its metadata describe: stem.0.weight"));
}

}  // namespace
}  // namespace rgbd
