// SPDX-License-Identifier: Apache-2.0
// The directory of a zip archive: names to byte ranges, for entries that are stored as they are.
// Follows PKWARE's APPNOTE.TXT, zip64 included. An own reader because libtorch's
// (caffe2/serialize/inline_container.h) cannot tell a stored entry from a compressed one, and inflates small
// entries of a hostile file while it opens it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rgbd::zip {

/// what() is a clause about the archive: "has no directory …".
class Malformed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Where the bytes come from: `read` is asked for what lies inside `size` only, and may throw its own.
struct Archive {
  uint64_t size = 0;
  std::function<std::string(uint64_t offset, uint64_t size)> read;
};

struct Entry {
  uint64_t header = 0;  // offset of the local header
  uint64_t size = 0;    // bytes of data; known to fit between header and directory
  bool stored = true;   // neither compressed nor encrypted
};

/// Reads the directory, which lies at the end: what it costs depends on the number of entries, not on their
/// size. Throws Malformed, on a name that occurs twice too.
std::map<std::string, Entry, std::less<>> read_directory(const Archive& archive);

/// Where a stored entry's data begins. Reads its local header. Throws Malformed when the two disagree.
uint64_t data_offset(const Archive& archive, std::string_view name, const Entry& entry);

}  // namespace rgbd::zip
