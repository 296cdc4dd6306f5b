// SPDX-License-Identifier: Apache-2.0
#include "core/utf8.h"

#include <cstdint>

namespace rgbd {
namespace {

/// Bytes of the character that `text` begins with; 0 = it is none.
size_t character_size(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return 1;
  const size_t size = first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  uint32_t code = first & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if (next >> 6 != 2) return 0;
    code = code << 6 | (next & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // fewer bytes would do for less
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return code >= kLeast[size] && code <= 0x10ffff && !surrogate ? size : 0;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t size = character_size(text);
    out += size ? text.substr(0, size) : "\xef\xbf\xbd";
    text.remove_prefix(size ? size : 1);
  }
  return out;
}

}  // namespace rgbd
