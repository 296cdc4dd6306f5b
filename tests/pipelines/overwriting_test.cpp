// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/overwriting.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "pipelines/refine/failure.h"
#include "tests/pipelines/temp_folder.h"

namespace rgbd {
namespace {

namespace fs = std::filesystem;

/// A folder with c.png, d.png and m.safetensors, and the options that name them.
class Overwriting : public ::testing::Test {
 protected:
  Overwriting() {
    for (const char* name : {"c.png", "d.png", "m.safetensors"}) folder_.write(name, name);
    options_.rgb = file("c.png"), options_.depth = file("d.png");
    options_.model = file("m.safetensors");
  }

  std::string file(const std::string& name) const { return folder_.file(name); }
  std::string refusal() const {
    try {
      require_files_of_their_own(options_, list_pairs(options_));
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.exit_code(), kExitUsage);
      return failure.what();
    }
    return "accepted";
  }
  std::string with(const std::string& output, const std::string& output_depth) {
    options_.output = output.empty() ? "" : file(output);
    options_.output_depth = output_depth.empty() ? "" : file(output_depth);
    return refusal();
  }
  std::string overwrites(const std::string& flag, const std::string& output, const std::string& what,
                         const std::string& source) const {
    return flag + " '" + file(output) + "' would overwrite the " + what + " '" + file(source) + "'";
  }

  testing::TempFolder folder_;
  RefineOptions options_;
};

TEST_F(Overwriting, OtherFilesAreFine) {
  EXPECT_EQ(with("", ""), "accepted");
  EXPECT_EQ(with("o.png", "p.png"), "accepted");
  EXPECT_EQ(with("new/c.png", "new/d.png"), "accepted");
  // Results of an earlier run.
  folder_.write("o.png", ""), folder_.write("p.png", "");
  EXPECT_EQ(with("o.png", "p.png"), "accepted");
  options_.model = "";
  EXPECT_EQ(with("o.png", "p.png"), "accepted");
}

TEST_F(Overwriting, AnInputByAnotherNameIsRefused) {
  EXPECT_EQ(with("c.png", ""), overwrites("--output", "c.png", "input", "c.png"));
  EXPECT_EQ(with("", "./d.png"), overwrites("--output-depth", "./d.png", "input", "d.png"));
  EXPECT_EQ(with("d.png", ""), overwrites("--output", "d.png", "input", "d.png"));
  EXPECT_EQ(with("nowhere/../c.png", ""), overwrites("--output", "nowhere/../c.png", "input", "c.png"));
  fs::create_symlink("d.png", file("link"));
  EXPECT_EQ(with("", "link"), overwrites("--output-depth", "link", "input", "d.png"));
  fs::create_hard_link(file("c.png"), file("hard"));
  EXPECT_EQ(with("hard", ""), overwrites("--output", "hard", "input", "c.png"));
  fs::create_directory_symlink(".", file("here"));
  EXPECT_EQ(with("here/c.png", ""), overwrites("--output", "here/c.png", "input", "c.png"));
  // The input may be the one that is a link.
  options_.depth = file("link");
  EXPECT_EQ(with("", "d.png"), overwrites("--output-depth", "d.png", "input", "link"));
}

TEST_F(Overwriting, TheModelIsRefused) {
  EXPECT_EQ(with("", "./m.safetensors"),
            overwrites("--output-depth", "./m.safetensors", "model", "m.safetensors"));
}

TEST_F(Overwriting, TheOtherOutputIsRefused) {
  const auto same = [&](const std::string& one, const std::string& other) {
    return "--output '" + file(one) + "' and --output-depth '" + file(other) + "' are the same file";
  };
  EXPECT_EQ(with("o.png", "o.png"), same("o.png", "o.png"));
  EXPECT_EQ(with("o.png", "./o.png"), same("o.png", "./o.png"));
  EXPECT_EQ(with("new/o.png", "new/../new/o.png"), same("new/o.png", "new/../new/o.png"));
  fs::create_symlink("later.png", file("link"));  // leads to no file yet
  EXPECT_EQ(with("link", "later.png"), same("link", "later.png"));
}

TEST_F(Overwriting, SequencesThatMeetAreRefused) {
  for (int number = 1; number <= 12; ++number) {
    folder_.write("c_" + std::to_string(number) + ".png", "");
    folder_.write("d_" + std::to_string(number) + ".png", "");
  }
  folder_.write("d_113.png", "");  // has no colour
  options_.rgb = file("c_%d.png"), options_.depth = file("d_%d.png");
  EXPECT_EQ(with("x/c_%d.png", "y/%d.png"), "accepted");
  EXPECT_EQ(with("", "d_%02d.png"), overwrites("--output-depth", "d_10.png", "input", "d_10.png"));
  EXPECT_EQ(with("", "d_11%d.png"), overwrites("--output-depth", "d_113.png", "input", "d_113.png"));
  EXPECT_EQ(with("x_%d.png", "x_%01d.png"), "--output '" + file("x_1.png") + "' and --output-depth '" +
                                                file("x_1.png") + "' are the same file");
  EXPECT_EQ(with("x_%d.png", "x_1%d.png"), "--output-depth '" + file("x_11.png") + "' and --output '" +
                                               file("x_11.png") + "' are the same file");
  fs::create_symlink("o_2.png", file("o_1.png"));
  EXPECT_EQ(with("o_%d.png", ""),
            "--output '" + file("o_1.png") + "' and --output '" + file("o_2.png") + "' are the same file");
}

}  // namespace
}  // namespace rgbd
