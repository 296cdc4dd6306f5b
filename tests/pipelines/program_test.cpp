// SPDX-License-Identifier: Apache-2.0
// What rgbd-refine does with what it should be given.
#include <regex>
#include <set>

#include "pipelines/refine/picture.h"
#include "pipelines/refine/refine_pipeline.h"
#include "tests/pipelines/program_fixture.h"

namespace rgbd {
namespace {

using ::testing::HasSubstr;
using testing::kHeight;
using testing::kWidth;
using ::testing::Not;
using testing::Outcome;
using testing::Program;
using testing::read_bytes;
using testing::slope;
using ::testing::StartsWith;

/// The inverse depths (1/m) that become this step: none, all beyond the farthest, or a step's width.
struct Range {
  double least, most;
};
Range inverse_of(uint16_t step, double metres_per_step) {
  if (step == 0) return {0, 0};
  return {step == 65535 ? 0 : 1 / ((step + 0.5) * metres_per_step), 1 / ((step - 0.5) * metres_per_step)};
}

/// The same answer of the network, but for its own tolerance and the rounding to steps.
void expect_same_depth(const DepthFrame& one, double one_step, const DepthFrame& other, double other_step) {
  constexpr double kTolerance = 1e-5;
  ASSERT_EQ(one.steps.size(), other.steps.size());
  for (size_t i = 0; i < one.steps.size(); ++i) {
    const Range a = inverse_of(one.steps[i], one_step), b = inverse_of(other.steps[i], other_step);
    ASSERT_LE(a.least, b.most + kTolerance) << i;
    ASSERT_LE(b.least, a.most + kTolerance) << i;
  }
}

/// The picture that belongs to a pair and its result, with the program's defaults.
std::vector<uint8_t> expected_picture(const ColorFrame& color, const DepthFrame& raw,
                                      const DepthFrame& refined) {
  return make_picture(color, raw, refined, PictureRange{}).rgb;
}

TEST_F(Program, RefinesAPair) {
  const Outcome outcome = refine(rgb(), depth());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, HasSubstr("Using device: cpu\n"));
  EXPECT_THAT(outcome.out, HasSubstr("Model loaded: tiny from " + tiny() + "\n"));
  EXPECT_THAT(outcome.out, HasSubstr("Using full precision: FP32\n"));
  EXPECT_THAT(outcome.out, HasSubstr("Images loaded: RGB (48, 64, 3), Depth (48, 64)\n"));
  EXPECT_THAT(outcome.out, HasSubstr("Output saved to: output.png\nOutput saved to: depth.png\n"));
  EXPECT_EQ(out_.entries(), 2);

  const DepthFrame depth = refined("depth.png");
  EXPECT_EQ(depth.width, kWidth);
  EXPECT_EQ(depth.height, kHeight);
  const ColorFrame color = testing::random_color(kWidth, kHeight);
  EXPECT_EQ(picture("output.png").rgb, expected_picture(color, slope(kWidth, kHeight, 1000), depth));
}

TEST_F(Program, ThePredictionsRangeIsThatOfTheDepth) {
  const Outcome outcome = refine(rgb(), depth());
  std::smatch range;
  ASSERT_TRUE(std::regex_search(
      outcome.out, range,
      std::regex("Prediction info: shape=\\(48, 64\\), min=(\\d+\\.\\d{4}), max=(\\d+\\.\\d{4})\n")))
      << outcome.out;
  const std::vector<uint16_t> steps = refined("depth.png").steps;
  Range farthest{1e9, 1e9}, nearest{0, 0};
  for (const uint16_t step : steps) {
    const Range inverse = inverse_of(step, 0.001);
    if (inverse.most < farthest.most) farthest = inverse;
    if (inverse.most > nearest.most) nearest = inverse;
  }
  ASSERT_LT(farthest.most, nearest.least);
  constexpr double kPrinted = 0.00005;
  EXPECT_GE(std::stod(range[1]), farthest.least - kPrinted);
  EXPECT_LE(std::stod(range[1]), farthest.most + kPrinted);
  EXPECT_GE(std::stod(range[2]), nearest.least - kPrinted);
  EXPECT_LE(std::stod(range[2]), nearest.most + kPrinted);
}

TEST_F(Program, OutputDepthIsInTheInputsUnit) {
  ASSERT_EQ(refine(rgb(), depth()).exit_code, 0);
  const DepthFrame millimetres = refined("depth.png");
  DepthFrame same = slope(kWidth, kHeight, 1000);
  for (uint16_t& step : same.steps) step *= 5;
  write_file(in_.file("fifths.png"), encode_png(same));
  ASSERT_EQ(refine(rgb(), in_.file("fifths.png"), {"--depth-scale", "5000"}).exit_code, 0);
  expect_same_depth(millimetres, 0.001, refined("depth.png"), 0.0002);
}

TEST_F(Program, DepthBeyondTheLimitIsNoDepth) {
  // All of the slope is beyond a metre.
  const Outcome outcome = refine(rgb(), depth(), {"--max-depth", "0.9"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(refined("depth.png").steps, std::vector<uint16_t>(kWidth * kHeight));
}

TEST_F(Program, ALargeHoleStaysOneUnlessItIsToBeFilled) {
  DepthFrame half = slope(kWidth, kHeight, 1000);
  std::fill_n(half.steps.begin(), kWidth * kHeight / 2, uint16_t{0});
  write_file(in_.file("half.png"), encode_png(half));
  ASSERT_EQ(refine(rgb(), in_.file("half.png")).exit_code, 0);
  const auto left = refined("depth.png").steps;
  ASSERT_EQ(refine(rgb(), in_.file("half.png"), {"--max-hole", "1"}).exit_code, 0);
  const auto filled = refined("depth.png").steps;
  EXPECT_LT(std::count(filled.begin(), filled.begin() + kWidth * kHeight / 2, 0), kWidth * kHeight / 2);
  for (size_t i = 0; i < filled.size(); ++i)
    ASSERT_EQ(left[i], i < filled.size() / 2 ? 0 : filled[i]) << "pixel " << i;
}

TEST_F(Program, DepthMayHaveAnotherSize) {
  for (const auto& [width, height] : {std::pair{33, 21}, std::pair{1, 1}}) {
    DepthFrame small = slope(width, height, 1000);
    small.steps.back() = 1500;
    write_file(in_.file("small.png"), encode_png(small));
    ASSERT_EQ(refine(rgb(), in_.file("small.png")).exit_code, 0);
    EXPECT_EQ(refined("depth.png").width, kWidth);
    EXPECT_EQ(refined("depth.png").height, kHeight);
  }
}

TEST_F(Program, DepthOfAnotherShapeIsWarnedOf) {
  const auto warning = [&](int width, int height) {
    write_file(in_.file("other.png"), encode_png(slope(width, height, 1000)));
    const Outcome outcome = refine(rgb(), in_.file("other.png"), {"--output="});
    EXPECT_EQ(outcome.exit_code, 0);
    return outcome.err;
  };
  EXPECT_EQ(warning(48, 64), "Warning: depth image '" + in_.file("other.png") +
                                 "' (48x64) has another aspect ratio than colour image '" + rgb() +
                                 "' (64x48); they must show the same view\n");
  EXPECT_NE(warning(64, 36), "");  // 16:9 for 4:3
  EXPECT_EQ(warning(32, 24), "");
  EXPECT_EQ(warning(31, 24), "");  // rounded
}

TEST_F(Program, OddSizesGiveTheRightPixels) {
  // 61 RGB pixels are 183 bytes, 61 depth pixels 122: rows are padded on the way, to 184 and 124.
  const ColorFrame color = testing::random_color(61, 45);
  const DepthFrame raw = slope(61, 45, 1000);
  write_file(in_.file("odd.png"), encode_png(color));
  write_file(in_.file("odd_depth.png"), encode_png(raw));
  ASSERT_EQ(refine(in_.file("odd.png"), in_.file("odd_depth.png")).exit_code, 0);
  const DepthFrame depth = refined("depth.png");
  EXPECT_EQ(depth.width, 61);
  EXPECT_EQ(depth.height, 45);
  EXPECT_EQ(picture("output.png").rgb, expected_picture(color, raw, depth));
}

TEST_F(Program, ColourMayBeAJpeg) {
  testing::gst_image(in_.file("rgb.jpg"), "I420", 50, 34, "smpte", "jpegenc quality=95");
  ASSERT_EQ(refine(in_.file("rgb.jpg"), depth()).exit_code, 0);
  EXPECT_EQ(refined("depth.png").width, 50);
  const ColorFrame color = decode_color(read_color_file(in_.file("rgb.jpg")));
  EXPECT_EQ(picture("output.png").rgb,
            expected_picture(color, slope(kWidth, kHeight, 1000), refined("depth.png")));
}

TEST_F(Program, NoDepthAtAllIsZerosAndOneWarning) {
  write_file(in_.file("zero.png"),
             encode_png(DepthFrame{kWidth, kHeight, std::vector<uint16_t>(kWidth * kHeight)}));
  const Outcome outcome = refine(rgb(), in_.file("zero.png"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, StartsWith("Warning: "));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_EQ(refined("depth.png").steps, std::vector<uint16_t>(kWidth * kHeight));
}

TEST_F(Program, FallsBackInThePublishedWords) {
  for (const auto& [precision, warning] :
       {std::pair{"bf16", "BF16 only supported on CUDA, falling back to FP32"},
        std::pair{"fp16", "FP16 not recommended on CPU, falling back to FP32"}}) {
    const Outcome outcome = refine(rgb(), depth(), {"--precision", precision});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, std::string("Warning: ") + warning + "\n");
    EXPECT_THAT(outcome.out, HasSubstr("Using full precision: FP32\n"));
  }
}

TEST_F(Program, PlainOperationsAgree) {
  ASSERT_EQ(refine(rgb(), depth()).exit_code, 0);
  const DepthFrame optimized = refined("depth.png");
  const Outcome outcome = refine(rgb(), depth(), {"--no-optimize"});
  ASSERT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("--no-optimize"));
  expect_same_depth(optimized, 0.001, refined("depth.png"), 0.001);
}

class Sequence : public Program {
 protected:
  void add(const std::string& digits) const {
    std::filesystem::copy(rgb(), in_.file("rgb_" + digits + ".png"));
    std::filesystem::copy(depth(), in_.file("depth_" + digits + ".png"));
  }
  std::vector<std::string> to_out() const { return {"--output-depth", "d%04d.png", "--output="}; }
};

TEST_F(Sequence, IsRefinedAndItsHolesNamed) {
  for (const char* digits : {"003", "004", "006"}) add(digits);
  const Outcome outcome = refine(in_.file("rgb_%03d.png"), in_.file("depth_%03d.png"), to_out());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "Warning: colour images '" + in_.file("rgb_%03d.png") + "' lack 005\n" +
                             "Warning: depth images '" + in_.file("depth_%03d.png") + "' lack 005\n");
  EXPECT_EQ(out_.entries(), 3);
  EXPECT_EQ(refined("d0003.png").steps, refined("d0006.png").steps);
  // No terminal here: a line per frame, no bar.
  for (const char* line : {"\n003: min=", "\n004: min=", "\n006: min=", "(1/3 frames, ", "(3/3 frames, "})
    EXPECT_THAT(outcome.out, HasSubstr(line));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\r")));
}

TEST_F(Sequence, ShowsABarOnATerminal) {
  for (const char* digits : {"1", "2"}) add(digits);
  const Outcome outcome = testing::run_on_terminal(
      command(in_.file("rgb_%d.png"), in_.file("depth_%d.png"), to_out()), out_.file(""));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("\r[############------------] 1/2 frames, "));
  EXPECT_THAT(outcome.out, HasSubstr("\r[########################] 2/2 frames, "));
  EXPECT_THAT(outcome.out, Not(HasSubstr("1: min=")));
}

TEST_F(Sequence, AFrameWithoutDepthHasNoRange) {
  for (const char* digits : {"1", "2"}) add(digits);
  write_file(in_.file("depth_2.png"),
             encode_png(DepthFrame{kWidth, kHeight, std::vector<uint16_t>(kWidth * kHeight)}));
  const Outcome outcome = refine(in_.file("rgb_%d.png"), in_.file("depth_%d.png"), to_out());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("\n1: min=0.0000, max=0.0000 ")));
  EXPECT_THAT(outcome.out, HasSubstr("\n2: min=0.0000, max=0.0000 "));
}

TEST_F(Sequence, SizesMayChange) {
  add("1");
  write_file(in_.file("rgb_2.png"), encode_png(testing::random_color(50, 60)));
  write_file(in_.file("depth_2.png"), encode_png(slope(25, 30, 1000)));
  const Outcome outcome = refine(in_.file("rgb_%d.png"), in_.file("depth_%d.png"), to_out());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(refined("d0001.png").width, kWidth);
  EXPECT_EQ(refined("d0002.png").width, 50);
  EXPECT_EQ(refined("d0002.png").height, 60);
}

TEST_F(Sequence, AnotherShapeIsWarnedOfOnce) {
  for (const char* digits : {"1", "2", "3"}) add(digits);
  for (const char* name : {"depth_2.png", "depth_3.png"})
    write_file(in_.file(name), encode_png(slope(kHeight, kWidth, 1000)));
  const Outcome outcome = refine(in_.file("rgb_%d.png"), in_.file("depth_%d.png"), to_out());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, StartsWith("Warning: depth image '" + in_.file("depth_2.png") + "' (48x64) has "));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

TEST_F(Sequence, IsSteadiedWhenAskedTo) {
  for (const char* digits : {"1", "2"}) add(digits);
  DepthFrame nearly = slope(kWidth, kHeight, 1000);
  for (uint16_t& step : nearly.steps) step += step ? 3 : 0;
  write_file(in_.file("depth_2.png"), encode_png(nearly));
  auto second = [&](std::vector<std::string> more) {
    const auto out = to_out();
    more.insert(more.begin(), out.begin(), out.end());
    const Outcome outcome = refine(in_.file("rgb_%d.png"), in_.file("depth_%d.png"), more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return std::pair(refined("d0001.png").steps, refined("d0002.png").steps);
  };
  const auto alone = second({}), steadied = second({"--temporal", "0.9"});
  EXPECT_EQ(second({"--temporal=0"}), alone);
  EXPECT_EQ(steadied.first, alone.first);
  EXPECT_NE(steadied.second, alone.second);
}

TEST_F(Sequence, ABadFrameEndsItAndKeepsWhatIsDone) {
  for (const char* digits : {"1", "2", "3"}) add(digits);
  in_.write("depth_2.png", "no image");
  const Outcome outcome = refine(in_.file("rgb_%d.png"), in_.file("depth_%d.png"), to_out());
  EXPECT_EQ(outcome.exit_code, kExitFailed);
  EXPECT_EQ(outcome.err, "rgbd-refine: depth image '" + in_.file("depth_2.png") +
                             "' is no image (neither PNG nor JPEG)\n");
  EXPECT_EQ(out_.entries(), 1);
  EXPECT_EQ(refined("d0001.png").width, kWidth);
}

TEST_F(Program, NeedsNoEnvironment) {
  // Finds the plugin, the library, its torch and the embedded model from where it lies itself.
  const Outcome outcome = refine(rgb(), depth(), {"--model=", "--input-size=0"},
                                 {"GST_PLUGIN_PATH=", "RGBD_LIBRARY=", "RGBD_DATA_DIR="});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("/rgbdrefine.safetensors\n"));
}

TEST(RequireEncoder, RefusesAnotherThanAskedFor) {
  const auto refusal = [](const std::string& wanted, const std::string& encoder) -> std::string {
    ModelFacts facts;
    facts.encoder = encoder, facts.model = "m.pth";
    try {
      require_encoder(wanted, facts);
    } catch (const Failure& failure) {
      return failure.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal("auto", "vits"), "accepted");
  EXPECT_EQ(refusal("auto", ""), "accepted");
  EXPECT_EQ(refusal("vitl", "vitl"), "accepted");
  EXPECT_EQ(refusal("vitl", "vits"), "--encoder vitl was asked for but 'm.pth' has vits");
  EXPECT_EQ(refusal("vitl", ""),
            "--encoder vitl was asked for but 'm.pth' has none of the published encoders");
}

/// The options in a text, each once.
std::set<std::string> options_in(const std::string& text) {
  const std::regex option("--[a-z][a-z-]*[a-z]");
  return {std::sregex_token_iterator(text.begin(), text.end(), option), std::sregex_token_iterator()};
}

TEST(ManPage, HasTheOptionsOfHelp) {
  const Outcome help = testing::run_program({RGBD_REFINE, "--help"});
  EXPECT_EQ(help.exit_code, 0);
  std::string page = read_bytes(RGBD_MAN_PAGE);
  page.erase(std::remove(page.begin(), page.end(), '\\'), page.end());  // groff writes \-
  EXPECT_EQ(options_in(page), options_in(help.out));
  EXPECT_THAT(options_in(page), ::testing::Contains("--output-depth"));
}

}  // namespace
}  // namespace rgbd
