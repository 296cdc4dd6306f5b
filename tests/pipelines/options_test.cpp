// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/options.h"

#include <gtest/gtest.h>

#include <vector>

#include "pipelines/refine/failure.h"

namespace rgbd {
namespace {

RefineOptions parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "rgbd-refine");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return parse_options(static_cast<int>(arguments.size()), argv.data());
}

std::string refusal(const std::vector<std::string>& arguments) {
  try {
    parse(arguments);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.exit_code(), kExitUsage);
    return failure.what();
  }
  return "accepted";
}

TEST(Options, DefaultsAreThoseOfThePublishedProgram) {
  const RefineOptions options = parse({"--input", "a.png", "--depth", "b.png"});
  EXPECT_EQ(options.rgb, "a.png");
  EXPECT_EQ(options.depth, "b.png");
  EXPECT_EQ(options.output, "output.png");
  EXPECT_EQ(options.output_depth, "");
  EXPECT_EQ(options.model, "");
  EXPECT_EQ(options.encoder, "auto");
  EXPECT_EQ(options.input_size, 0u);
  EXPECT_EQ(options.steps_per_metre, 1000);
  EXPECT_EQ(options.max_depth_m, 25);
  EXPECT_EQ(options.max_hole, 0.3);
  EXPECT_EQ(options.temporal, 0);
  EXPECT_EQ(options.image_min_m, 0.1);
  EXPECT_EQ(options.image_max_m, 5);
  EXPECT_EQ(options.device, "auto");
  EXPECT_EQ(options.precision, "fp32");
  EXPECT_TRUE(options.optimize);
}

TEST(Options, TheNamesOfThePublishedProgramWork) {
  const RefineOptions options =
      parse({"--encoder",     "vitl",  "--model-path", "m.ckpt", "--rgb-image",   "a.jpg",
             "--depth-image", "b.png", "--output",     "o.png",  "--input-size",  "266",
             "--depth-scale", "5000",  "--max-depth",  "6",      "--image-min",   "0.2",
             "--image-max",   "3",     "--device",     "cuda",   "--no-optimize", "--precision",
             "bf16"});
  EXPECT_EQ(options.encoder, "vitl");
  EXPECT_EQ(options.model, "m.ckpt");
  EXPECT_EQ(options.rgb, "a.jpg");
  EXPECT_EQ(options.depth, "b.png");
  EXPECT_EQ(options.output, "o.png");
  EXPECT_EQ(options.input_size, 266u);
  EXPECT_EQ(options.steps_per_metre, 5000);
  EXPECT_EQ(options.max_depth_m, 6);
  EXPECT_EQ(options.image_min_m, 0.2);
  EXPECT_EQ(options.image_max_m, 3);
  EXPECT_EQ(options.device, "cuda");
  EXPECT_FALSE(options.optimize);
  EXPECT_EQ(options.precision, "bf16");
}

TEST(Options, NamesOfOurOwn) {
  const RefineOptions options = parse({"--input=a", "--depth=b", "--model=m", "--output-depth=d.png",
                                       "--output=", "--device=cuda:12", "--max-hole=1", "--temporal=0.6"});
  EXPECT_EQ(options.model, "m");
  EXPECT_EQ(options.output_depth, "d.png");
  EXPECT_EQ(options.output, "");
  EXPECT_EQ(options.device, "cuda:12");
  EXPECT_EQ(options.max_hole, 1);
  EXPECT_EQ(options.temporal, 0.6);
}

TEST(Options, ASequenceNumbersItsDefaultOutput) {
  EXPECT_EQ(parse({"--input", "a/%04d.png", "--depth", "b/%d.png"}).output, "output_%04d.png");
  EXPECT_EQ(parse({"--input", "a/%d.png", "--depth", "b/%d.png"}).output, "output_%d.png");
}

TEST(Options, EachMistakeHasASentence) {
  const std::vector<std::string> pair = {"--input", "a", "--depth", "b"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), pair.begin(), pair.end());
    return refusal(more);
  };
  EXPECT_EQ(refusal({}), "--input is missing: name the colour image");
  EXPECT_EQ(refusal({"--input", "a"}), "--depth is missing: name the depth image");
  EXPECT_EQ(with({"c"}), "unexpected argument 'c'");
  EXPECT_EQ(with({"--no-such"}), "Unknown option --no-such");
  EXPECT_EQ(with({"--device", "gpu"}),
            "--device: unknown value 'gpu' (choose from auto, cuda, cuda:N, mps, cpu)");
  EXPECT_EQ(with({"--device", "cuda:"}),
            "--device: unknown value 'cuda:' (choose from auto, cuda, cuda:N, mps, cpu)");
  EXPECT_EQ(with({"--precision", "int8"}),
            "--precision: unknown value 'int8' (choose from fp32, fp16, bf16)");
  EXPECT_EQ(with({"--encoder", "vitx"}),
            "--encoder: unknown value 'vitx' (choose from auto, vits, vitb, vitl, vitg)");
  EXPECT_EQ(with({"--input-size", "13"}),
            "--input-size 13 is too small: 14 pixels are the least, 0 is the model's own size");
  EXPECT_EQ(with({"--input-size", "-1"}),
            "--input-size -1 is too small: 14 pixels are the least, 0 is the model's own size");
  EXPECT_EQ(with({"--input-size", "16385"}), "--input-size 16385 is too large: 16384 pixels are the most");
  EXPECT_EQ(with({"--depth-scale", "0.0009"}), "--depth-scale must be at least 0.001 steps per metre");
  EXPECT_EQ(with({"--depth-scale", "0"}), "--depth-scale must be a number above 0");
  EXPECT_EQ(with({"--depth-scale", "nan"}), "--depth-scale must be a number above 0");
  EXPECT_EQ(with({"--max-depth", "-1"}), "--max-depth must be a number above 0");
  for (const char* value : {"-0.1", "1.1", "nan"}) {
    EXPECT_EQ(with({"--max-hole", value}), "--max-hole must be a number from 0 to 1");
    EXPECT_EQ(with({"--temporal", value}), "--temporal must be a number from 0 to 1");
  }
  EXPECT_EQ(with({"--image-min", "5", "--image-max", "5"}), "--image-max must be above --image-min");
  EXPECT_NE(with({"--depth-scale", "many"}), "accepted");
}

TEST(Options, NumberedNamesComeTogether) {
  EXPECT_EQ(refusal({"--input", "%05d.png", "--depth", "b"}),
            "--input and --depth must both have a number in the name (%05d), or neither");
  EXPECT_EQ(refusal({"--input", "%05d.png", "--depth", "%d", "--output", "o.png"}),
            "--output 'o.png': a sequence needs a number in the name, as in frame_%05d.png");
  EXPECT_EQ(refusal({"--input", "a", "--depth", "b", "--output-depth", "o%d.png"}),
            "--output-depth 'o%d.png' has a number in the name but --input has none");
}

}  // namespace
}  // namespace rgbd
