// SPDX-License-Identifier: Apache-2.0
// What the checkpoint targets share: a fuzzer's bytes as a file, and everything a caller would read of
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/checkpoint_file.h"

namespace rgbd::fuzz {

/// The bytes as the readers get them from disk.
class FileInput {
 public:
  FileInput(const uint8_t* data, size_t size);

  const std::shared_ptr<const CheckpointFile>& file() const { return file_; }

 private:
  std::shared_ptr<const CheckpointFile> file_;
};

/// Opens, names, reads: every tensor to its last byte, small ones as weights, and what the networks check
/// before they load. Only Error{kBadCheckpoint} is an answer; anything else leaves.
void read_all(Checkpoint (*open)(const std::shared_ptr<const CheckpointFile>&), const FileInput& input);

}  // namespace rgbd::fuzz
