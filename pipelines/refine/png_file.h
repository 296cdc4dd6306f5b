// SPDX-License-Identifier: Apache-2.0
// What a PNG file says of itself, and whether it is whole (PNG specification, third edition). The decoders
// trust the header: where pixels are missing they hand out memory that nobody has written.
#pragma once

#include <cstdint>
#include <string_view>

namespace rgbd {

inline constexpr std::string_view kPngSignature{"\x89PNG\r\n\x1a\n", 8};

/// IHDR, the first chunk (section 11.2.1).
struct PngHeader {
  uint32_t width = 0, height = 0;
  uint8_t bits = 0;  // of a sample
  uint8_t color_type = 0;
  bool interlaced = false;
};
inline constexpr uint8_t kPngGray = 0;

/// The header of a file that begins with the signature, once all of the file is checked: chunks and
/// checksums, a size that the engine takes, and exactly as many compressed pixels as the header demands. They
/// are decompressed piece by piece, and never beyond that. Throws Failure with a clause: "is a PNG file cut
/// short".
PngHeader checked_png(std::string_view bytes);

}  // namespace rgbd
