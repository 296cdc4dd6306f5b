// SPDX-License-Identifier: Apache-2.0
// Image files as bytes. What is wrong with one is found here, before a decoder sees it: GStreamer's decoders
// end without a word on a PNG that is cut short, and make up the rest of such a JPEG.
#pragma once

#include <filesystem>
#include <string>

#include "pipelines/refine/png_file.h"

namespace rgbd {

enum class ImageFormat { kPng, kJpeg };

struct ImageFile {
  std::string path;
  std::string bytes;
  ImageFormat format = ImageFormat::kPng;
  PngHeader png;  // of a PNG
};

/// A whole PNG or JPEG file; a pipe or a device is refused, it might never end. Throws Failure with the path
/// and the reason.
ImageFile read_color_file(const std::string& path);
/// The same for depth: a 16-bit grayscale PNG and nothing else.
ImageFile read_depth_file(const std::string& path);

/// The file that write_file() makes or replaces: absolute, and through links, also through one that leads to
/// no file yet. Throws Failure.
std::filesystem::path written_file(const std::string& path);

/// Replaces the file at once, or leaves it as it was; makes the folder if need be. Links stay. A pipe or a
/// device is refused: nothing may read it. Throws Failure.
void write_file(const std::string& path, const std::string& bytes);

}  // namespace rgbd
