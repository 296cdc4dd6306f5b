// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/png_file.h"

#include <gio/gio.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/owned.h"

namespace rgbd {
namespace {

constexpr uint32_t kLargestSide = 65535;  // the engine's frames
constexpr size_t kHeaderSize = 13;
constexpr uint8_t kLastFilter = 4;  // Paeth (section 9.2)

using Pieces = std::vector<std::string_view>;

struct Chunks {
  std::string_view header;  // the data of the first chunk
  Pieces pixels;            // the data of every IDAT, one compressed stream
};

uint32_t big_endian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

/// The checksum of chunks (annex D).
uint32_t crc32(std::string_view bytes) {
  static const auto table = [] {
    std::array<uint32_t, 256> made;
    for (uint32_t i = 0; i < 256; ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit) made[i] = made[i] & 1 ? 0xedb88320u ^ made[i] >> 1 : made[i] >> 1;
    }
    return made;
  }();
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<uint8_t>(byte)) & 0xff] ^ crc >> 8;
  return ~crc;
}

/// Walks the chunks (length, type, data, checksum) to the last one.
Chunks chunks_of(std::string_view bytes) {
  Chunks chunks;
  size_t at = kPngSignature.size();
  while (bytes.size() - at >= 12) {
    const uint32_t length = big_endian(bytes, at);
    if (length > bytes.size() - at - 12) break;
    const std::string_view type = bytes.substr(at + 4, 4), data = bytes.substr(at + 8, length);
    if (crc32(bytes.substr(at + 4, size_t{4} + length)) != big_endian(bytes, at + 8 + length))
      throw Failure("is a damaged PNG file: the checksum of a chunk is wrong");
    if (at == kPngSignature.size() && type == "IHDR") chunks.header = data;
    if (type == "IDAT") chunks.pixels.push_back(data);
    if (type == "IEND") return chunks;
    at += size_t{12} + length;
  }
  throw Failure("is a PNG file cut short");
}

/// Samples of a pixel, 0 = there is no such kind of image (table 12).
unsigned channels_of(uint8_t color_type, uint8_t bits) {
  const bool whole_bytes = bits == 8 || bits == 16;
  const bool up_to_a_byte = bits == 1 || bits == 2 || bits == 4 || bits == 8;
  switch (color_type) {
    case kPngGray:
      return up_to_a_byte || bits == 16 ? 1 : 0;
    case 2:  // RGB
      return whole_bytes ? 3 : 0;
    case 3:  // palette
      return up_to_a_byte ? 1 : 0;
    case 4:  // gray, alpha
      return whole_bytes ? 2 : 0;
    case 6:  // RGB, alpha
      return whole_bytes ? 4 : 0;
    default:
      return 0;
  }
}

PngHeader header_of(std::string_view data) {
  const Failure wrong("is a damaged PNG file: its header is wrong");
  if (data.size() != kHeaderSize) throw wrong;
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(data[at]); };
  const PngHeader header{big_endian(data, 0), big_endian(data, 4), byte(8), byte(9), byte(12) == 1};
  const bool known_methods = byte(10) == 0 && byte(11) == 0 && byte(12) <= 1;
  if (header.width == 0 || header.height == 0 || !known_methods ||
      !channels_of(header.color_type, header.bits))
    throw wrong;
  if (header.width > kLargestSide || header.height > kLargestSide)
    throw Failure("is too large: " + std::to_string(header.width) + "x" + std::to_string(header.height) +
                  " pixels, at most " + std::to_string(kLargestSide) + " a side can be refined");
  return header;
}

/// Rows of one length; the first byte of each says how it is filtered.
struct Pass {
  uint64_t rows, row_bytes;
};

/// The pixels before compression: all rows, or the seven passes of an interlaced image (section 8.2) one
/// after the other. Passes without a pixel have no rows either.
std::vector<Pass> passes_of(const PngHeader& header) {
  const uint64_t pixel_bits = uint64_t{header.bits} * channels_of(header.color_type, header.bits);
  std::vector<Pass> passes;
  const auto add = [&](uint32_t x, uint32_t y, uint32_t x_step, uint32_t y_step) {
    if (header.width <= x || header.height <= y) return;
    const uint64_t columns = (header.width - x + x_step - 1) / x_step;
    const uint64_t rows = (header.height - y + y_step - 1) / y_step;
    passes.push_back({rows, 1 + (columns * pixel_bits + 7) / 8});
  };
  if (!header.interlaced) {
    add(0, 0, 1, 1);
    return passes;
  }
  add(0, 0, 8, 8);
  add(4, 0, 8, 8);
  add(0, 4, 4, 8);
  add(2, 0, 4, 4);
  add(0, 2, 2, 4);
  add(1, 0, 2, 2);
  add(0, 1, 1, 2);
  return passes;
}

/// Takes the decompressed pixels piece by piece, and keeps nothing but the count. Throws on what does not
/// belong there.
class PixelCheck {
 public:
  explicit PixelCheck(std::vector<Pass> passes) : passes_(std::move(passes)) {
    for (const Pass& pass : passes_) expected_ += pass.rows * pass.row_bytes;
  }

  void take(std::string_view bytes) {
    if (bytes.size() > expected_ - taken_)
      throw Failure("is a damaged PNG file: it has more pixels than its header says");
    for (; row_start_ < taken_ + bytes.size(); next_row())
      if (static_cast<uint8_t>(bytes[row_start_ - taken_]) > kLastFilter)
        throw Failure("is a damaged PNG file: a row has an unknown filter");
    taken_ += bytes.size();
  }
  bool complete() const { return taken_ == expected_; }

 private:
  void next_row() {
    row_start_ += passes_[pass_].row_bytes;
    if (++row_ < passes_[pass_].rows) return;
    row_ = 0;
    ++pass_;
  }

  const std::vector<Pass> passes_;
  uint64_t expected_ = 0, taken_ = 0;
  uint64_t row_start_ = 0;  // of the first row that is not checked yet: of row_ in pass_
  uint64_t row_ = 0;
  size_t pass_ = 0;
};

/// Throws unless the pieces decompress to exactly these rows.
void require_pixels(const Pieces& pieces, std::vector<Pass> passes) {
  const Owned<GZlibDecompressor> zlib(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB));
  PixelCheck pixels(std::move(passes));
  std::array<char, 1 << 16> out;
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      gsize taken = 0, made = 0;
      GError* raw_error = nullptr;
      const GConverterResult result =
          g_converter_convert(G_CONVERTER(zlib.get()), piece.data(), piece.size(), out.data(), out.size(),
                              G_CONVERTER_NO_FLAGS, &taken, &made, &raw_error);
      if (result == G_CONVERTER_ERROR) {
        g_error_free(raw_error);
        throw Failure("is a damaged PNG file: its pixels cannot be decompressed");
      }
      pixels.take({out.data(), made});
      if (result == G_CONVERTER_FINISHED) {
        if (!pixels.complete()) throw Failure("is a PNG file cut short");
        return;
      }
      piece.remove_prefix(taken);
    }
  }
  throw Failure("is a PNG file cut short");  // the stream has no end
}

}  // namespace

PngHeader checked_png(std::string_view bytes) {
  const Chunks chunks = chunks_of(bytes);
  const PngHeader header = header_of(chunks.header);
  require_pixels(chunks.pixels, passes_of(header));
  return header;
}

}  // namespace rgbd
