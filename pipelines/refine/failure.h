// SPDX-License-Identifier: Apache-2.0
// How rgbd-refine gives up: one sentence for stderr and the exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace rgbd {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;  // as argparse and getopt programs do

class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& sentence, int exit_code = kExitFailed)
      : std::runtime_error(sentence), exit_code_(exit_code) {}
  int exit_code() const noexcept { return exit_code_; }

 private:
  int exit_code_;
};

}  // namespace rgbd
