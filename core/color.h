// SPDX-License-Identifier: Apache-2.0
// Colour frames of any supported pixel format, read row by row as 8-bit RGB.
// YUV becomes 8-bit RGB before anything else happens, so that a YUV camera and the same picture after
// `videoconvert` give the network the same kind of numbers.
#pragma once

#include <cstdint>

#include "core/rgbd.h"

namespace rgbd {

/// Fixed point, 16 fractional bits, of
///   R = y' + 2(1-Kr) v',  B = y' + 2(1-Kb) u',  G = y' - 2(1-Kb)Kb/Kg u' - 2(1-Kr)Kr/Kg v'
/// with y' = (Y-16)*255/219, u' = (U-128)*255/224 in limited range and y' = Y, u' = U-128 in full range.
/// A component is clamp((y_gain*(Y-y_offset) + gain*(U-128) + … + 32768) >> 16, 0, 255).
struct YuvToRgb {
  int y_offset;
  int y_gain;
  int r_v, g_u, g_v, b_u;
};
YuvToRgb yuv_to_rgb(ColorMatrix matrix, bool full_range);

/// Where a format keeps the components of the pixel in column x and row y: R, G, B or, where `yuv`, Y, Cb,
/// Cr. Each is the byte at data + (y >> down) * stride_bytes + (x >> across) * step + first of its plane.
struct Layout {
  struct Component {
    int plane, first;
    int step;  // bytes; 0 = no format that is known
    int across, down;
  };
  bool yuv;
  Component component[3];
};
Layout layout(PixelFormat format);

const char* name(PixelFormat format);

/// Bytes of one row of plane `plane` that hold pixels; 0 = the format has no such plane.
int row_bytes(PixelFormat format, int plane, int width);
/// Rows of that plane.
int plane_rows(PixelFormat format, int plane, int height);

/// Row `y` of `image` as `width` triplets: R,G,B, or B,G,R if `bgr`. Chroma is taken from the nearest sample
/// (the one that covers the pixel), without interpolation. Host memory; the view was checked.
void read_row(const ImageView& image, int y, bool bgr, uint8_t* out);

}  // namespace rgbd
