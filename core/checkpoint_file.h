// SPDX-License-Identifier: Apache-2.0
// What the two checkpoint readers share: the open file, tensors read from it, and the builder of a
// Checkpoint. Files are taken as hostile: a reader checks every number before it reaches `read_tensor`.
#pragma once

#include <ATen/core/Tensor.h>
#include <sys/stat.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint.h"

namespace rgbd {

/// A regular file, open for reading. Not mapped: a program that writes the file anew in place would end this
/// one by SIGBUS. Const methods may be called from several threads.
class CheckpointFile {
 public:
  /// Throws Error: kNotFound (not there, not readable), kBadCheckpoint (empty, or no regular file).
  static std::shared_ptr<const CheckpointFile> open(const std::string& path);
  ~CheckpointFile();
  CheckpointFile(const CheckpointFile&) = delete;
  CheckpointFile& operator=(const CheckpointFile&) = delete;

  const std::string& path() const { return path_; }
  /// As it was when the file was opened.
  uint64_t size() const { return size_; }
  /// `size` bytes at `offset`, which lie inside the file. Throws Error{kBadCheckpoint} when the file was
  /// written to since it was opened: part of it would be of another model.
  void read(uint64_t offset, void* to, uint64_t size) const;
  std::string read(uint64_t offset, uint64_t size) const;

 private:
  CheckpointFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_;
  uint64_t size_ = 0;
  struct timespec written_ {};
};

/// Names and places of a file's tensors take less than this; a damaged file may ask for any size.
inline constexpr uint64_t kMostDescription = 256 << 20;

/// Where one tensor lies in a storage; counts are elements.
struct TensorLayout {
  at::ScalarType dtype = at::kFloat;
  int64_t offset = 0;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

/// Row-major strides. Saturates instead of overflowing; span_bytes() refuses what that hides.
std::vector<int64_t> row_major(const std::vector<int64_t>& shape);

/// Bytes of storage the layout reaches into, or nothing when a number is negative or overflows.
std::optional<uint64_t> span_bytes(const TensorLayout& layout);

/// Reads the tensor whose storage begins at byte `begin` into memory of its own. The layout must have been
/// checked.
at::Tensor read_tensor(const CheckpointFile& file, uint64_t begin, const TensorLayout& layout);

/// Error{kBadCheckpoint} "PATH: REASON".
[[noreturn]] void throw_bad(const std::string& path, const std::string& reason);

/// Text of a file for a message: short, printable.
std::string quote(std::string_view text);

class CheckpointBuilder {
 public:
  explicit CheckpointBuilder(const std::string& path) { checkpoint_.path_ = path; }

  /// `read` makes the tensor when it is asked for. Throws kBadCheckpoint on a key that is already there.
  void add(const std::string& key, std::vector<int64_t> shape, std::function<at::Tensor()> read);
  /// A key that is there but cannot be had; asking for it throws with `problem`.
  void add_problem(const std::string& key, const std::string& problem);
  void add_metadata(const std::string& key, const std::string& value);

  /// Cuts the prefix of the published networks off, where there is one, and names the layout.
  Checkpoint finish(const std::string& layout);

 private:
  void insert(const std::string& key, Checkpoint::Entry entry);
  Checkpoint checkpoint_;
};

Checkpoint open_safetensors(const std::shared_ptr<const CheckpointFile>& file);
Checkpoint open_torch_zip(const std::shared_ptr<const CheckpointFile>& file);

}  // namespace rgbd
