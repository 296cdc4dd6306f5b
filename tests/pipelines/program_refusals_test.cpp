// SPDX-License-Identifier: Apache-2.0
// What rgbd-refine refuses: one sentence with the file and the reason, an exit code, nothing written.
#include "tests/pipelines/program_fixture.h"
#include "tests/support/torch_writer.h"

namespace rgbd {
namespace {

using ::testing::HasSubstr;
using testing::kHeight;
using testing::kWidth;
using testing::Outcome;
using testing::Program;
using testing::read_bytes;

TEST_F(Program, RefusesMissingFiles) {
  expect_failure(refine(in_.file("none.png"), depth()),
                 "colour image '" + in_.file("none.png") + "' does not exist");
  expect_failure(refine(rgb(), in_.file("none.png")),
                 "depth image '" + in_.file("none.png") + "' does not exist");
  expect_failure(refine(in_.file("%03d.png"), in_.file("%03d.png"), {"--output=", "--output-depth=%d"}),
                 "colour images '" + in_.file("%03d.png") + "': no such file");
}

TEST_F(Program, RefusesBadImages) {
  in_.write("text.png", "no image");
  expect_failure(refine(in_.file("text.png"), depth()), "'" + in_.file("text.png") + "' is no image");
  testing::gst_image(in_.file("gray8.png"), "GRAY8", kWidth, kHeight, "smpte", "pngenc");
  expect_failure(
      refine(rgb(), in_.file("gray8.png")),
      "'" + in_.file("gray8.png") + "' has 8 bits per pixel; depth must be a 16-bit grayscale PNG");
  expect_failure(refine(rgb(), rgb()),
                 "'" + rgb() + "' is a colour image; depth must be a 16-bit grayscale PNG");
  const std::string whole = read_bytes(depth());
  in_.write("cut.png", whole.substr(0, whole.size() / 2));
  expect_failure(refine(rgb(), in_.file("cut.png")), "'" + in_.file("cut.png") + "' is a PNG file cut short");
}

TEST_F(Program, RefusesSizesBelowAPatch) {
  write_file(in_.file("small.png"), encode_png(testing::random_color(40, 13)));
  expect_failure(refine(in_.file("small.png"), depth()),
                 "'" + in_.file("small.png") + "' is too small: 40x13 pixels, at least 14x14 are needed");
  expect_failure(refine(rgb(), depth(), {"--input-size", "13"}), "--input-size 13 is too small", kExitUsage);
  write_file(in_.file("least.png"), encode_png(testing::random_color(14, 14)));
  EXPECT_EQ(refine(in_.file("least.png"), depth(), {"--input-size", "14"}).exit_code, 0);
}

TEST_F(Program, RefusesToOverwriteWhatItReads) {
  const std::string before = read_bytes(depth());
  expect_failure(
      refine(rgb(), depth(), {"--output-depth", in_.file("./depth.png")}),
      "--output-depth '" + in_.file("./depth.png") + "' would overwrite the input '" + depth() + "'",
      kExitUsage);
  EXPECT_EQ(read_bytes(depth()), before);
}

/// Refusals of checkpoints.
class Model : public Program {
 protected:
  void expect_refused(const std::string& file, const std::string& reason) const {
    const Outcome outcome = refine(rgb(), depth(), {"--model", file});
    expect_failure(outcome, reason);
    EXPECT_THAT(outcome.err, HasSubstr(file));
  }
};

TEST_F(Model, ThatIsNone) {
  expect_refused(in_.file("none.pt"), "no such file");
  expect_refused(in_.write("text.pt", "no checkpoint"), "not a checkpoint");
}

TEST_F(Model, CutShort) {
  const std::string safetensors = read_bytes(tiny());
  expect_refused(in_.write("cut.safetensors", safetensors.substr(0, safetensors.size() / 2)), "truncated");
  test::write_seeded_torch(in_.file("whole.pth"), "tiny");
  EXPECT_EQ(refine(rgb(), depth(), {"--model", in_.file("whole.pth"), "--output-depth="}).exit_code, 0);
  std::filesystem::remove(out("output.png"));
  const std::string zip = read_bytes(in_.file("whole.pth"));
  expect_refused(in_.write("cut.pth", zip.substr(0, zip.size() / 2)), "truncated");
}

TEST_F(Model, ThatWouldHaveToBeExecuted) {
  // {"pretrained.cls_token": os.system("touch FILE")}
  test::PickleWriter pickle;
  pickle.start();
  pickle.start_dict();
  pickle.mark();
  pickle.text("pretrained.cls_token");
  pickle.global("os", "system");
  pickle.mark();
  pickle.text("touch " + in_.file("executed"));
  pickle.end_tuple();
  pickle.reduce();
  pickle.set_items();
  test::write_archive(in_.file("evil.pth"), {{"data.pkl", [&] { return pickle.stop(); }}});
  expect_refused(in_.file("evil.pth"), "'os.system', which would have to be executed");
  EXPECT_FALSE(std::filesystem::exists(in_.file("executed")));
}

TEST_F(Model, OfALegacyTorch) {
  // The magic number that torch.save before 1.6 begins with, and its protocol.
  const std::string legacy(
      "\x80\x02\x8a\x0al\xfc\x9c"
      "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
      20);
  expect_refused(in_.write("legacy.pth", legacy), "torch.save(torch.load(");
}

TEST_F(Model, OfAnotherNetwork) {
  const auto one = [] { return std::string(4, '\0'); };
  test::write_safetensors(in_.file("other.safetensors"), {{"fc.weight", "F32", {1}, one}});
  expect_refused(in_.file("other.safetensors"), "pretrained.cls_token");
  // One of the family that lacks two tensors: both are named.
  std::vector<test::FileTensor> tensors;
  for (const auto& [key, shape] : test::seeded_shapes("tiny")) {
    if (key == "pretrained.norm.bias" || key == "depth_head_rgbd.projects.2.weight") continue;
    tensors.push_back(
        {key, "F32", shape, [key, shape] { return test::bytes_of(test::seeded_value(key, shape)); }});
  }
  test::write_safetensors(in_.file("part.safetensors"), tensors);
  expect_refused(in_.file("part.safetensors"), "pretrained.norm.bias");
  expect_refused(in_.file("part.safetensors"), "depth_head_rgbd.projects.2.weight");
}

TEST_F(Model, WithAnotherEncoderThanAskedFor) {
  expect_failure(refine(rgb(), depth(), {"--encoder", "vitl"}),
                 "--encoder vitl was asked for but '" + tiny() + "' has tiny");
}

TEST_F(Program, SaysWhatToInstallWhereTheLibraryIsMissing) {
  const Outcome outcome = refine(rgb(), depth(), {}, {"RGBD_LIBRARY=/nowhere/librgbd.so"});
  expect_failure(outcome, "/nowhere/librgbd.so");
  EXPECT_THAT(outcome.err, HasSubstr("pipelines/setup.sh"));
}

TEST_F(Program, RefusesDevicesThatAreNotThere) {
  expect_failure(refine(rgb(), depth(), {"--device", "gpu"}),
                 "--device: unknown value 'gpu' (choose from auto, cuda, cuda:N, mps, cpu)", kExitUsage);
  // Also where there is a GPU: without its module the library cannot use it.
  expect_failure(refine(rgb(), depth(), {"--device", "cuda"}, {"RGBD_CUDA_LIBRARY=/nowhere/librgbd-cuda.so"}),
                 "CUDA requested but not available: no CUDA module at /nowhere/librgbd-cuda.so");
  expect_failure(refine(rgb(), depth(), {"--device", "mps"}), "MPS requested but not available");
}

TEST_F(Program, AnOutputThatCannotBeWrittenIsNamed) {
  in_.write("file", "x");
  const Outcome outcome = refine(rgb(), depth(), {"--output-depth", in_.file("file/depth.png")});
  expect_failure(outcome, in_.file("file"));
  EXPECT_EQ(read_bytes(in_.file("file")), "x");
}

/// `command` as the last words of a line of shell.
std::vector<std::string> in_shell(const std::string& line, std::vector<std::string> command) {
  command.insert(command.begin(), {"sh", "-c", line, "sh"});
  return command;
}

TEST_F(Program, AnOutputThatGrowsTooLargeIsAnErrorAndLeavesNothing) {
  // A block is 512 or 1024 bytes; the picture is of noise, and of many.
  expect_failure(testing::run_program(in_shell("ulimit -f 1; exec \"$@\"",
                                               command(rgb(), depth(), {"--output", out("picture.png")}))),
                 "'" + out("picture.png") + "' cannot be written: ");
}

TEST_F(Program, WhatCannotBePrintedIsAnError) {
  const std::string line = "exec \"$@\" > /dev/full";
  const std::string reason = "rgbd-refine: standard output cannot be written\n";
  for (const std::vector<std::string>& words : {command(rgb(), depth(), {"--output", out("picture.png")}),
                                                {RGBD_REFINE, "--version"},
                                                {RGBD_REFINE, "--help"}}) {
    const Outcome outcome = testing::run_program(in_shell(line, words));
    EXPECT_EQ(outcome.exit_code, kExitFailed) << words.back();
    EXPECT_EQ(outcome.err, reason);
  }
  EXPECT_EQ(picture("picture.png").width, 2 * kWidth);
}

}  // namespace
}  // namespace rgbd
