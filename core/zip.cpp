// SPDX-License-Identifier: Apache-2.0
#include "core/zip.h"

#include <algorithm>

namespace rgbd::zip {
namespace {

constexpr std::string_view kLocalHeader("PK\x03\x04", 4);
constexpr std::string_view kDirectoryHeader("PK\x01\x02", 4);
constexpr std::string_view kDirectoryEnd("PK\x05\x06", 4);
constexpr std::string_view kDirectoryEnd64("PK\x06\x06", 4);
constexpr std::string_view kLocator64("PK\x06\x07", 4);
constexpr size_t kLocalHeaderSize = 30;
constexpr size_t kDirectoryHeaderSize = 46;
constexpr size_t kDirectoryEndSize = 22;
constexpr size_t kDirectoryEnd64Size = 56;
constexpr size_t kLocator64Size = 20;
constexpr uint32_t kSeeZip64 = 0xffffffff;
constexpr uint64_t kMostEntries = 1'000'000;
constexpr uint64_t kMostDirectory = 256 << 20;  // bytes: a damaged archive may ask for any size

/// `size` bytes at `offset`, which come from the file itself.
std::string_view part(std::string_view bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) throw Malformed("points outside itself");
  return bytes.substr(offset, size);
}

std::string part(const Archive& archive, uint64_t offset, uint64_t size) {
  if (offset > archive.size || size > archive.size - offset) throw Malformed("points outside itself");
  return archive.read(offset, size);
}

uint64_t number(std::string_view record, size_t offset, int size) {
  uint64_t value = 0;
  for (int i = size; i-- > 0;)
    value = value << 8 | static_cast<uint8_t>(record[offset + static_cast<size_t>(i)]);
  return value;
}

struct Directory {
  uint64_t entries = 0;
  uint64_t size = 0;
  uint64_t offset = 0;
};

Directory find_directory(const Archive& archive) {
  // The last record, before a comment of at most 65535 bytes.
  constexpr size_t kMostComment = 0xffff;
  const uint64_t tail = std::min<uint64_t>(archive.size, kDirectoryEndSize + kMostComment);
  const std::string end_part = archive.read(archive.size - tail, tail);
  const size_t at = end_part.rfind(kDirectoryEnd);
  if (at == end_part.npos || end_part.size() - at < kDirectoryEndSize)
    throw Malformed("has no directory at its end");
  const uint64_t end_offset = archive.size - tail + at;
  const std::string_view end = std::string_view(end_part).substr(at, kDirectoryEndSize);
  Directory directory{number(end, 10, 2), number(end, 12, 4), number(end, 16, 4)};

  if (end_offset >= kLocator64Size) {
    const std::string locator = part(archive, end_offset - kLocator64Size, kLocator64Size);
    if (locator.starts_with(kLocator64)) {
      const std::string end64 = part(archive, number(locator, 8, 8), kDirectoryEnd64Size);
      if (!end64.starts_with(kDirectoryEnd64)) throw Malformed("has a damaged zip64 record");
      directory = {number(end64, 32, 8), number(end64, 40, 8), number(end64, 48, 8)};
    }
  }
  if (directory.entries > kMostEntries) throw Malformed("lists more than a million entries");
  if (directory.size > kMostDirectory) throw Malformed("has a directory of more than 256 MiB");
  return directory;
}

/// Replaces the numbers that a directory record leaves to its zip64 extra field.
void apply_zip64(std::string_view extra, uint64_t& size, uint64_t& packed_size, uint64_t& header) {
  constexpr uint64_t kZip64 = 1;
  while (extra.size() >= 4) {
    const uint64_t id = number(extra, 0, 2);
    std::string_view field = part(extra, 4, number(extra, 2, 2));
    extra.remove_prefix(4 + field.size());
    if (id != kZip64) continue;
    for (uint64_t* value : {&size, &packed_size, &header}) {
      if (*value != kSeeZip64) continue;
      *value = number(part(field, 0, 8), 0, 8);
      field.remove_prefix(8);
    }
    return;
  }
}

}  // namespace

std::map<std::string, Entry, std::less<>> read_directory(const Archive& archive) {
  const Directory directory = find_directory(archive);
  const std::string all_records = part(archive, directory.offset, directory.size);
  std::string_view records = all_records;
  std::map<std::string, Entry, std::less<>> entries;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const std::string_view record = part(records, 0, kDirectoryHeaderSize);
    if (!record.starts_with(kDirectoryHeader)) throw Malformed("has a damaged directory");
    const uint64_t flags = number(record, 8, 2);
    const uint64_t method = number(record, 10, 2);
    uint64_t packed_size = number(record, 20, 4);
    uint64_t size = number(record, 24, 4);
    uint64_t header = number(record, 42, 4);
    const uint64_t name_size = number(record, 28, 2);
    const uint64_t extra_size = number(record, 30, 2);
    const uint64_t comment_size = number(record, 32, 2);
    const std::string name(part(records, kDirectoryHeaderSize, name_size));
    apply_zip64(part(records, kDirectoryHeaderSize + name_size, extra_size), size, packed_size, header);
    part(records, 0, kDirectoryHeaderSize + name_size + extra_size + comment_size);
    records.remove_prefix(kDirectoryHeaderSize + name_size + extra_size + comment_size);

    constexpr uint64_t kEncrypted = 1;
    const bool stored = method == 0 && (flags & kEncrypted) == 0;
    if (stored && size != packed_size) throw Malformed("has a damaged directory");
    // Data lies before the directory, after its own header; the exact place is known once that was read.
    const uint64_t most = directory.offset - std::min(directory.offset, kLocalHeaderSize + name_size);
    if (header > most || packed_size > most - header) throw Malformed("points outside itself");
    if (!entries.emplace(name, Entry{header, size, stored}).second) throw Malformed("lists an entry twice");
  }
  return entries;
}

uint64_t data_offset(const Archive& archive, std::string_view name, const Entry& entry) {
  const std::string header = part(archive, entry.header, kLocalHeaderSize);
  const uint64_t name_size = number(header, 26, 2);
  const uint64_t offset = entry.header + kLocalHeaderSize + name_size + number(header, 28, 2);
  if (!header.starts_with(kLocalHeader) ||
      part(archive, entry.header + kLocalHeaderSize, name_size) != name) {
    throw Malformed("has an entry that contradicts its directory");
  }
  if (offset > archive.size || entry.size > archive.size - offset) throw Malformed("points outside itself");
  return offset;
}

}  // namespace rgbd::zip
