// SPDX-License-Identifier: Apache-2.0
// Writes safetensors files for tests, one tensor in memory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace rgbd::test {

struct FileTensor {
  std::string key;
  std::string dtype;  // as the format names it: F32, F16, BF16, I64, …
  std::vector<int64_t> shape;
  std::function<std::string()> bytes;  // called once, when it is this tensor's turn
};

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// Throws std::runtime_error when the file cannot be written or `bytes` gives another size than the shape
/// says.
void write_safetensors(const std::string& path, const std::vector<FileTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// Length field and header as given, then `data`: for files that are wrong on purpose.
std::string raw_safetensors(const std::string& header, const std::string& data);

void write_file(const std::string& path, const std::string& bytes);
std::string read_file(const std::string& path);

}  // namespace rgbd::test
