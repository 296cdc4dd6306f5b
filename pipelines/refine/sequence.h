// SPDX-License-Identifier: Apache-2.0
// Numbered files: "rgb/%05d.png" stands for every file of that folder with a number there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rgbd {

struct RefineOptions;

/// What a folder has of a sequence.
struct NumberedFiles {
  std::vector<uint64_t> numbers;  // ascending
  /// Names, in their order, with a number in other digits: "7" or "007" where %02d is meant. No part of it.
  std::vector<std::string> otherwise_written;
};

/// A path with one %d or %0Nd in its file name.
class NumberedName {
 public:
  /// Nothing when the file name holds no such conversion (then it is a plain path).
  static std::optional<NumberedName> parse(const std::string& path);

  /// "%05d"
  std::string conversion() const;
  std::string with(uint64_t number) const;
  /// The number as it is written in the name: "00012".
  std::string digits(uint64_t number) const;
  /// Empty if the folder cannot be read.
  NumberedFiles files() const;

 private:
  std::string folder_;  // with its final slash, or empty
  std::string prefix_;
  std::string suffix_;
  unsigned width_ = 0;  // digits at least, zeros in front
};

/// One pair and where its results go; empty output = none.
struct PairFiles {
  std::string digits;  // its number in a sequence, else empty
  std::string rgb;
  std::string depth;
  std::string output;
  std::string output_depth;
};

struct PairList {
  std::vector<PairFiles> pairs;
  std::vector<std::string> inputs;  // every file the inputs' names stand for, paired or not
  std::vector<std::string> holes;   // a sentence for each list of files that are missing or left out
};

/// The pairs the options name: one, or every number that both patterns have a file for.
/// Throws Failure when a sequence has none.
PairList list_pairs(const RefineOptions& options);

}  // namespace rgbd
