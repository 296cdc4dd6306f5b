// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/image_file.h"

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/owned.h"

namespace rgbd {

namespace fs = std::filesystem;

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kJpegStart = "\xff\xd8\xff"sv;
constexpr std::string_view kJpegEnd = "\xff\xd9"sv;
constexpr uint8_t kJpegStartOfScan = 0xda;
constexpr int kMostLinks = 40;  // one after the other, as Linux has it

/// Walks the segments to the first scan; in a scan the end marker can be nothing else. A preview in an
/// earlier segment has an end of its own.
bool jpeg_has_its_end(std::string_view bytes) {
  size_t at = 2;
  while (at + 4 <= bytes.size() && bytes[at] == '\xff') {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[at + i]); };
    const uint8_t marker = byte(1);
    at += 2 + (size_t{byte(2)} << 8 | byte(3));
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
      return "of an unknown kind";  // no such type passes the check of the header
  }
}

std::string described(const char* what, const std::string& path) {
  return std::string(what) + " '" + path + "'";
}

ImageFile read_image(const char* what, const std::string& path) {
  ImageFile file;
  file.path = path;
  std::error_code unknown;
  const fs::file_status status = fs::status(path, unknown);
  if (fs::is_other(status)) throw Failure(described(what, path) + " cannot be read: it is no regular file");
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
    try {
      file.png = checked_png(bytes);
    } catch (const Failure& failure) {
      throw Failure(described(what, path) + " " + failure.what());
    }
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
  if (file.png.color_type != kPngGray)
    throw Failure(described("depth image", path) + " is " + png_color_name(file.png.color_type) + wanted);
  if (file.png.bits != 16)
    throw Failure(described("depth image", path) + " has " + std::to_string(file.png.bits) +
                  " bits per pixel" + wanted);
  return file;
}

fs::path written_file(const std::string& path) {
  std::error_code problem;
  fs::path target = fs::absolute(path, problem);
  // weakly_canonical() leaves a link alone that leads to no file.
  for (int links = 0; !problem && fs::is_symlink(target, problem); ++links) {
    if (links == kMostLinks) problem = std::make_error_code(std::errc::too_many_symbolic_link_levels);
    if (!problem) target = target.parent_path() / fs::read_symlink(target, problem);
  }
  if (problem == std::errc::no_such_file_or_directory) problem.clear();
  if (!problem) target = fs::weakly_canonical(target, problem);
  if (problem) throw Failure("'" + path + "' cannot be written: " + problem.message());
  return target;
}

void write_file(const std::string& path, const std::string& bytes) {
  const fs::path target = written_file(path);
  std::error_code problem;
  fs::create_directories(target.parent_path(), problem);
  if (problem)
    throw Failure("folder '" + target.parent_path().string() + "' cannot be made: " + problem.message());
  if (fs::is_directory(target)) throw Failure("'" + path + "' cannot be written: it is a folder");
  if (fs::is_other(target)) throw Failure("'" + path + "' cannot be written: it is no regular file");
  GError* raw_error = nullptr;
  if (!g_file_set_contents(target.c_str(), bytes.data(), static_cast<gssize>(bytes.size()), &raw_error)) {
    OwnedError error(raw_error);
    throw Failure("'" + path + "' cannot be written: " + error->message);
  }
}

}  // namespace rgbd
