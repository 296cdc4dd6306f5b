// SPDX-License-Identifier: Apache-2.0
// How checkpoint tests ask for an error: its text, after the checks that hold for every one.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/checkpoint.h"
#include "core/rgbd.h"
#include "tests/support/safetensors_writer.h"

namespace rgbd::test {

/// A file of this test program's own; the test that runs beside it uses another.
inline std::string temporary(const std::string& name) {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  return testing::TempDir() + "rgbd-" + info->test_suite_name() + "-" + info->name() + "-" + name;
}

/// The error's text, or "" when `action` throws none. It must have this code and be one sentence that starts
/// with `path`.
template <class Action>
std::string refusal(const std::string& path, Action action, ErrorCode code = ErrorCode::kBadCheckpoint) {
  try {
    action();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(error.code(), code) << text;
    EXPECT_TRUE(text.starts_with(path + ": ")) << text;
    EXPECT_EQ(text.find('\n'), text.npos) << text;
    return text;
  }
  return "";
}

inline std::string open_refusal(const std::string& path, ErrorCode code = ErrorCode::kBadCheckpoint) {
  return refusal(
      path, [&] { Checkpoint::open(path); }, code);
}

inline std::string tensor_refusal(const std::string& path, const std::string& key) {
  return refusal(path, [&] { Checkpoint::open(path).tensor(key); });
}

/// The refusal of a file with these bytes.
inline std::string bytes_refusal(const std::string& bytes) {
  const std::string path = temporary("bytes");
  write_file(path, bytes);
  return open_refusal(path);
}

inline testing::AssertionResult says(const std::string& text, const std::string& part) {
  if (text.find(part) != text.npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << '"' << text << "\" does not say \"" << part << '"';
}

}  // namespace rgbd::test
