// SPDX-License-Identifier: Apache-2.0
// What the two checkpoint readers share: the mapped file, views into it, and the builder of a Checkpoint.
// Files are taken as hostile: a reader checks every number before it reaches `map_tensor`.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint.h"

namespace rgbd {

/// A regular file mapped read-only. Opening costs the same for any size; pages are read when touched.
class MappedFile {
 public:
  /// Throws Error: kNotFound (not there, not readable), kBadCheckpoint (empty, or no regular file).
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::string_view bytes() const { return bytes_; }

 private:
  MappedFile(std::string path, std::string_view bytes) : path_(std::move(path)), bytes_(bytes) {}
  std::string path_;
  std::string_view bytes_;
};

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

/// A view of file->bytes()[begin, …) that keeps the mapping alive. The layout must have been checked. Data
/// that is not aligned for its type is copied, so that what comes back can always be read.
at::Tensor map_tensor(const std::shared_ptr<const MappedFile>& file, uint64_t begin,
                      const TensorLayout& layout);

/// Error{kBadCheckpoint} "PATH: REASON".
[[noreturn]] void throw_bad(const std::string& path, const std::string& reason);

/// Text of a file for a message: short, printable.
std::string quote(std::string_view text);

class CheckpointBuilder {
 public:
  explicit CheckpointBuilder(const std::string& path) { checkpoint_.path_ = path; }

  /// `map` makes the view when it is asked for. Throws kBadCheckpoint on a key that is already there.
  void add(const std::string& key, std::vector<int64_t> shape, std::function<at::Tensor()> map);
  /// A key that is there but cannot be had; asking for it throws with `problem`.
  void add_problem(const std::string& key, const std::string& problem);
  void add_metadata(const std::string& key, const std::string& value);

  /// Cuts the prefix of the published networks off, where there is one, and names the layout.
  Checkpoint finish(const std::string& layout);

 private:
  void insert(const std::string& key, Checkpoint::Entry entry);
  Checkpoint checkpoint_;
};

Checkpoint open_safetensors(const std::shared_ptr<const MappedFile>& file);
Checkpoint open_torch_zip(const std::shared_ptr<const MappedFile>& file);

}  // namespace rgbd
