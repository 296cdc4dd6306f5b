// SPDX-License-Identifier: Apache-2.0
// What any checkpoint must be, and safetensors in particular. torch zip: torch_zip_test.cpp.
#include "core/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/rgbd.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/seeded.h"

namespace rgbd {
namespace {

using test::raw_safetensors;
using test::write_file;

class CheckpointTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return testing::TempDir() + "rgbd-checkpoint-" + name; }

  /// The error of opening a file with these bytes, or "" when it opens.
  std::string error_of(const std::string& bytes, ErrorCode code = ErrorCode::kBadCheckpoint) {
    const std::string file = path("bad");
    write_file(file, bytes);
    return open_error(file, code);
  }

  std::string open_error(const std::string& file, ErrorCode code = ErrorCode::kBadCheckpoint) {
    try {
      Checkpoint::open(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
      return error.what();
    }
    return "";
  }
};

TEST_F(CheckpointTest, SeededFileHoldsTheSeededValues) {
  const std::string file = path("tiny.safetensors");
  test::write_seeded(file, "tiny", 7);
  const Checkpoint checkpoint = Checkpoint::open(file);
  EXPECT_EQ(checkpoint.layout(), "safetensors");
  const auto shapes = test::seeded_shapes("tiny");
  EXPECT_EQ(checkpoint.keys().size(), shapes.size());
  for (const auto& [key, shape] : shapes) {
    const auto want = test::seeded_value(key, shape, 7);
    const at::Tensor got = checkpoint.tensor(key);
    ASSERT_EQ(checkpoint.shape(key), shape) << key;
    ASSERT_EQ(got.sizes(), at::IntArrayRef(shape)) << key;
    ASSERT_TRUE(got.is_contiguous()) << key;
    ASSERT_EQ(std::memcmp(got.const_data_ptr(), want.data(), want.size() * sizeof(float)), 0) << key;
  }
}

}  // namespace
}  // namespace rgbd
