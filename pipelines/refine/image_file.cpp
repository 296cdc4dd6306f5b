// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/image_file.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/owned.h"

namespace rgbd {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n"sv;
constexpr std::string_view kJpegStart = "\xff\xd8\xff"sv;
constexpr std::string_view kJpegEnd = "\xff\xd9"sv;
constexpr uint8_t kJpegStartOfScan = 0xda;

/// IHDR, the first chunk of a PNG (PNG specification, section 11.2.2).
struct PngHeader {
  uint32_t width, height;
  uint8_t bits, color_type;
};
constexpr size_t kPngHeaderEnd = 8 + 8 + 13 + 4;  // signature; length and type; IHDR; checksum
constexpr uint8_t kPngGray = 0;

uint32_t big_endian(std::string_view bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

std::optional<PngHeader> png_header(std::string_view bytes) {
  if (bytes.size() < kPngHeaderEnd || bytes.substr(12, 4) != "IHDR") return std::nullopt;
  return PngHeader{big_endian(bytes, 16, 4), big_endian(bytes, 20, 4), static_cast<uint8_t>(bytes[24]),
                   static_cast<uint8_t>(bytes[25])};
}

/// The checksum of PNG's chunks (PNG specification, annex D).
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

/// Walks the chunks (length, type, data, checksum) to the last one. Returns what is wrong, or nothing.
std::optional<std::string> png_problem(std::string_view bytes) {
  size_t at = kPngSignature.size();
  while (bytes.size() - at >= 12) {
    const uint32_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    const std::string_view type = bytes.substr(at + 4, 4);
    if (crc32(bytes.substr(at + 4, size_t{4} + length)) != big_endian(bytes, at + 8 + length, 4))
      return "is a damaged PNG file: the checksum of a chunk is wrong";
    if (type == "IEND") return std::nullopt;
    at += size_t{12} + length;
  }
  return "is a PNG file cut short";
}

/// Walks the segments to the first scan; in a scan the end marker can be nothing else. A preview in an
/// earlier segment has an end of its own.
bool jpeg_has_its_end(std::string_view bytes) {
  size_t at = 2;
  while (at + 4 <= bytes.size() && bytes[at] == '\xff') {
    const auto marker = static_cast<uint8_t>(bytes[at + 1]);
    at += 2 + big_endian(bytes, at + 2, 2);
    if (marker == kJpegStartOfScan) return bytes.find(kJpegEnd, at) != std::string_view::npos;
  }
  return false;
}

const char* png_color_name(uint8_t color_type) {
  switch (color_type) {
    case 2:
      return "a colour image";
    case 3:
      return "a palette image";
    case 4:
      return "grayscale with alpha";
    case 6:
      return "a colour image with alpha";
    default:
      return "of an unknown kind";
  }
}

std::string described(const char* what, const std::string& path) {
  return std::string(what) + " '" + path + "'";
}

ImageFile read_image(const char* what, const std::string& path) {
  ImageFile file;
  file.path = path;
  gchar* data = nullptr;
  gsize size = 0;
  GError* raw_error = nullptr;
  if (!g_file_get_contents(path.c_str(), &data, &size, &raw_error)) {
    OwnedError error(raw_error);
    if (error->code == G_FILE_ERROR_NOENT) throw Failure(described(what, path) + " does not exist");
    throw Failure(described(what, path) + " cannot be read: " + error->message);
  }
  Owned<gchar> owned(data);
  file.bytes.assign(data, size);

  const std::string_view bytes(file.bytes);
  if (bytes.starts_with(kPngSignature)) {
    if (const auto problem = png_problem(bytes)) throw Failure(described(what, path) + " " + *problem);
    const auto header = png_header(bytes);
    if (!header || header->width == 0 || header->height == 0)
      throw Failure(described(what, path) + " is a damaged PNG file: its header is wrong");
    file.deep_color = header->bits == 16 && header->color_type != kPngGray;
  } else if (bytes.starts_with(kJpegStart)) {
    file.format = ImageFormat::kJpeg;
    if (!jpeg_has_its_end(bytes)) throw Failure(described(what, path) + " is a JPEG file cut short");
  } else {
    throw Failure(described(what, path) +
                  (bytes.empty() ? " is empty" : " is no image (neither PNG nor JPEG)"));
  }
  return file;
}

}  // namespace

ImageFile read_color_file(const std::string& path) {
  return read_image("colour image", path);
}

ImageFile read_depth_file(const std::string& path) {
  ImageFile file = read_image("depth image", path);
  const std::string wanted = "; depth must be a 16-bit grayscale PNG";
  if (file.format == ImageFormat::kJpeg)
    throw Failure(described("depth image", path) + " is a JPEG" + wanted);
  const PngHeader header = png_header(file.bytes).value();
  if (header.color_type != kPngGray)
    throw Failure(described("depth image", path) + " is " + png_color_name(header.color_type) + wanted);
  if (header.bits != 16)
    throw Failure(described("depth image", path) + " has " + std::to_string(header.bits) + " bits per pixel" +
                  wanted);
  return file;
}

void write_file(const std::string& path, const std::string& bytes) {
  namespace fs = std::filesystem;
  std::error_code problem;
  // Absolute, so that there is a folder; through links, so that they stay.
  const fs::path target = fs::weakly_canonical(fs::absolute(path), problem);
  if (problem) throw Failure("'" + path + "' cannot be written: " + problem.message());
  fs::create_directories(target.parent_path(), problem);
  if (problem)
    throw Failure("folder '" + target.parent_path().string() + "' cannot be made: " + problem.message());
  if (fs::is_directory(target)) throw Failure("'" + path + "' cannot be written: it is a folder");
  if (fs::exists(target) && !fs::is_regular_file(target)) {
    std::ofstream stream(target, std::ios::binary);
    if (!stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush())
      throw Failure("'" + path + "' cannot be written");
    return;
  }
  GError* raw_error = nullptr;
  if (!g_file_set_contents(target.c_str(), bytes.data(), static_cast<gssize>(bytes.size()), &raw_error)) {
    OwnedError error(raw_error);
    throw Failure("'" + path + "' cannot be written: " + error->message);
  }
}

}  // namespace rgbd
