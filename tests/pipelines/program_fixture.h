// SPDX-License-Identifier: Apache-2.0
// rgbd-refine as a user runs it, on a small pair, with the small seeded network.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "pipelines/refine/codec.h"
#include "pipelines/refine/failure.h"
#include "tests/gst/environment.h"
#include "tests/pipelines/program.h"
#include "tests/pipelines/sample_images.h"
#include "tests/pipelines/temp_folder.h"
#include "tests/support/seeded.h"

namespace rgbd::testing {

inline constexpr int kWidth = 64, kHeight = 48;

/// A slope from 1 m to 2 m with a hole in it.
inline DepthFrame slope(int width, int height, int steps_per_metre) {
  DepthFrame frame{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      frame.steps.push_back(static_cast<uint16_t>(
          x < width / 4 && y < height / 4 ? 0 : steps_per_metre + steps_per_metre * x / width));
  return frame;
}

class Program : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TempFolder;
    test::write_seeded(models_->file("tiny.safetensors"), "tiny");
  }
  static void TearDownTestSuite() {
    delete models_;
    models_ = nullptr;
  }

  void SetUp() override {
    write_file(in_.file("rgb.png"), encode_png(random_color(kWidth, kHeight)));
    write_file(in_.file("depth.png"), encode_png(slope(kWidth, kHeight, 1000)));
  }

  static std::string tiny() { return models_->file("tiny.safetensors"); }
  std::string rgb() const { return in_.file("rgb.png"); }
  std::string depth() const { return in_.file("depth.png"); }
  std::string out(const std::string& name) const { return out_.file(name); }

  /// Its command line on that pair; `more` wins over what is there.
  static std::vector<std::string> command(const std::string& rgb, const std::string& depth,
                                          const std::vector<std::string>& more) {
    std::vector<std::string> words = {RGBD_REFINE, "--input",      rgb,  "--depth", depth, "--device",
                                      "cpu",       "--input-size", "56", "--model", tiny()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// In the folder `out_`, into output.png and depth.png there.
  Outcome refine(const std::string& rgb, const std::string& depth, std::vector<std::string> more = {},
                 const std::vector<std::string>& environment = {}) const {
    more.insert(more.begin(), {"--output-depth", "depth.png"});
    return run_program(command(rgb, depth, more), environment, out_.file(""));
  }
  DepthFrame refined(const std::string& name) const { return decode_depth(read_depth_file(out(name))); }
  ColorFrame picture(const std::string& name) const { return decode_color(read_color_file(out(name))); }

  /// One sentence, with `reason` in it, and nothing written.
  void expect_failure(const Outcome& outcome, const std::string& reason, int exit_code = kExitFailed) const {
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_THAT(outcome.err, ::testing::StartsWith("rgbd-refine: "));
    EXPECT_THAT(outcome.err, ::testing::HasSubstr(reason));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(out_.entries(), 0);
  }

  TempFolder in_, out_;

 private:
  static inline TempFolder* models_ = nullptr;
};

}  // namespace rgbd::testing
