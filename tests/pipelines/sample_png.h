// SPDX-License-Identifier: Apache-2.0
// PNG files from their parts, so that the parts need not agree. Checksums are right.
#pragma once

#include <gio/gio.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace rgbd::testing {

struct PngParts {
  uint32_t width, height;
  uint8_t bits, color_type;
  bool interlaced = false;
  std::string pixels = {};      // before compression, each row with the byte of its filter
  std::string compressed = {};  // takes the place of `pixels`
  size_t lost = 0;              // bytes at the end of the compressed stream that are not written
  size_t piece = 1 << 20;       // bytes of the compressed stream in an IDAT
};

inline std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

inline std::string chunk(const std::string& type, const std::string& data) {
  uint32_t crc = ~0u;
  for (const char byte : type + data) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
  }
  return big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(~crc);
}

inline std::string deflated(const std::string& bytes) {
  GZlibCompressor* zlib = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 6);
  std::string out(bytes.size() * 2 + 64, '\0');
  gsize taken = 0, made = 0;
  const GConverterResult result =
      g_converter_convert(G_CONVERTER(zlib), bytes.data(), bytes.size(), out.data(), out.size(),
                          G_CONVERTER_INPUT_AT_END, &taken, &made, nullptr);
  g_object_unref(zlib);
  if (result != G_CONVERTER_FINISHED) throw std::runtime_error("zlib");
  out.resize(made);
  return out;
}

inline std::string png_of(const PngParts& parts) {
  std::string file =
      "\x89PNG\r\n\x1a\n" +
      chunk("IHDR", big_endian(parts.width) + big_endian(parts.height) +
                        std::string{static_cast<char>(parts.bits), static_cast<char>(parts.color_type), 0, 0,
                                    static_cast<char>(parts.interlaced)});
  std::string stream = parts.compressed.empty() ? deflated(parts.pixels) : parts.compressed;
  stream.resize(stream.size() - std::min(parts.lost, stream.size()));
  for (size_t at = 0; at < stream.size(); at += parts.piece)
    file += chunk("IDAT", stream.substr(at, parts.piece));
  return file + chunk("IEND", "");
}

}  // namespace rgbd::testing
