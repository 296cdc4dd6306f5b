// SPDX-License-Identifier: Apache-2.0
// Checkpoint files: names to tensors. One interface over torch zip (.pt .pth .ckpt) and safetensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace rgbd {

/// The tensors of one file, prefixes removed ("module." and the like, recognised by a sentinel key).
/// Opening reads names only; a tensor is read when it is asked for. The file stays open, and must not be
/// written to meanwhile. Const methods may be called from several threads.
class Checkpoint {
 public:
  /// Sniffs the format. Throws Error: kNotFound, kBadCheckpoint (with path and reason). Executes nothing.
  static Checkpoint open(const std::string& path);

  const std::string& path() const { return path_; }
  /// How it was recognised, for the log: "torch zip, key 'model', prefix 'module.'", "safetensors", …
  const std::string& layout() const { return layout_; }
  /// safetensors' __metadata__; empty for torch files.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  bool contains(const std::string& key) const;
  /// Shape as in the file, without touching the data. Throws as tensor() does.
  std::vector<int64_t> shape(const std::string& key) const;
  /// Read into memory of its own (CPU, in the file's dtype). Throws Error{kBadCheckpoint} if absent, if it
  /// depends on an object that would have to be executed, or if the file was written to since it was opened.
  at::Tensor tensor(const std::string& key) const;
  /// The same as contiguous float32, to compute with. Throws as tensor() does, and kBadCheckpoint where the
  /// file has whole numbers (a quantised model without its scales) or values that are not finite: both would
  /// give plausible depth.
  at::Tensor weight(const std::string& key) const;
  std::vector<std::string> keys() const;

 private:
  std::string path_;
  std::string layout_;
  std::map<std::string, std::string> metadata_;
  struct Entry {
    std::vector<int64_t> shape;
    std::function<at::Tensor()> read;  // empty when `problem` is set
    std::string problem;               // why it cannot be had
  };
  const Entry& entry(const std::string& key) const;
  std::map<std::string, Entry> entries_;

  friend class CheckpointBuilder;  // checkpoint_file.h
};

}  // namespace rgbd
