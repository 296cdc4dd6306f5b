// SPDX-License-Identifier: Apache-2.0
// PNG and JPEG through GStreamer's elements, one file at a time: what goes wrong belongs to that file.
#pragma once

#include <string>

#include "pipelines/refine/frame.h"
#include "pipelines/refine/image_file.h"

namespace rgbd {

/// Any PNG or JPEG as RGB; alpha is left out, grayscale repeated. JPEG with the exact integer transform.
/// Throws Failure with the file's path.
ColorFrame decode_color(const ImageFile& file);
/// Bit-exact. Throws Failure with the file's path.
DepthFrame decode_depth(const ImageFile& file);

/// The bytes of a PNG file: 8-bit RGB, 16-bit grayscale. Throw Failure.
std::string encode_png(const ColorFrame& frame);
std::string encode_png(const DepthFrame& frame);

}  // namespace rgbd
