// SPDX-License-Identifier: Apache-2.0
// See color.h.
#include "core/color.h"

#include <algorithm>
#include <cmath>

namespace rgbd {
namespace {

// Where the components of a packed pixel are.
struct Packed {
  int bytes;  // of one pixel; 0 = not a packed RGB format
  int r, g, b;
};

Packed packed(PixelFormat format) {
  switch (format) {
    case PixelFormat::kRgb:
      return {3, 0, 1, 2};
    case PixelFormat::kBgr:
      return {3, 2, 1, 0};
    case PixelFormat::kRgbx:
    case PixelFormat::kRgba:
      return {4, 0, 1, 2};
    case PixelFormat::kBgrx:
    case PixelFormat::kBgra:
      return {4, 2, 1, 0};
    case PixelFormat::kXrgb:
    case PixelFormat::kArgb:
      return {4, 1, 2, 3};
    case PixelFormat::kXbgr:
    case PixelFormat::kAbgr:
      return {4, 3, 2, 1};
    default:
      return {0, 0, 0, 0};
  }
}

const uint8_t* row(const Plane& plane, int y) {
  return plane.data + static_cast<ptrdiff_t>(y) * plane.stride_bytes;
}

uint8_t to_byte(int fixed) {
  return static_cast<uint8_t>(std::clamp((fixed + 32768) >> 16, 0, 255));
}

// `step` bytes from one sample to the next; each chroma sample covers two pixels.
void convert_row(const YuvToRgb& k, const uint8_t* luma, int luma_step, const uint8_t* u, const uint8_t* v,
                 int chroma_step, int width, bool bgr, uint8_t* out) {
  const int red = bgr ? 2 : 0;
  for (int x = 0; x < width; ++x, out += 3) {
    const int y = k.y_gain * (luma[x * luma_step] - k.y_offset);
    const int cu = u[x / 2 * chroma_step] - 128;
    const int cv = v[x / 2 * chroma_step] - 128;
    out[red] = to_byte(y + k.r_v * cv);
    out[1] = to_byte(y + k.g_u * cu + k.g_v * cv);
    out[2 - red] = to_byte(y + k.b_u * cu);
  }
}

}  // namespace

YuvToRgb yuv_to_rgb(ColorMatrix matrix, bool full_range) {
  double kr = 0.299, kb = 0.114;
  if (matrix == ColorMatrix::kBt709) kr = 0.2126, kb = 0.0722;
  if (matrix == ColorMatrix::kBt2020) kr = 0.2627, kb = 0.0593;
  const double kg = 1 - kr - kb;
  const double luma = full_range ? 1.0 : 255.0 / 219.0;
  const double chroma = full_range ? 1.0 : 255.0 / 224.0;
  auto fixed = [](double value) { return static_cast<int>(std::lround(value * 65536)); };
  return {full_range ? 0 : 16,
          fixed(luma),
          fixed(2 * (1 - kr) * chroma),
          fixed(-2 * (1 - kb) * kb / kg * chroma),
          fixed(-2 * (1 - kr) * kr / kg * chroma),
          fixed(2 * (1 - kb) * chroma)};
}

const char* name(PixelFormat format) {
  static constexpr const char* kNames[] = {"RGB",  "BGR",  "RGBx", "BGRx", "xRGB", "xBGR", "RGBA",
                                           "BGRA", "ARGB", "ABGR", "NV12", "I420", "YUY2"};
  const auto index = static_cast<size_t>(format);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

int row_bytes(PixelFormat format, int plane, int width) {
  const int pairs = (width + 1) / 2;
  switch (format) {
    case PixelFormat::kNv12:
      return plane == 0 ? width : plane == 1 ? 2 * pairs : 0;
    case PixelFormat::kI420:
      return plane == 0 ? width : plane <= 2 ? pairs : 0;
    case PixelFormat::kYuy2:
      return plane == 0 ? 4 * pairs : 0;
    default:
      return plane == 0 ? packed(format).bytes * width : 0;
  }
}

int plane_rows(PixelFormat format, int plane, int height) {
  const bool subsampled = format == PixelFormat::kNv12 || format == PixelFormat::kI420;
  return plane > 0 && subsampled ? (height + 1) / 2 : height;
}

void read_row(const ImageView& image, int y, bool bgr, uint8_t* out) {
  const uint8_t* first = row(image.planes[0], y);
  if (const Packed p = packed(image.format); p.bytes != 0) {
    const int c0 = bgr ? p.b : p.r, c2 = bgr ? p.r : p.b;
    for (int x = 0; x < image.width; ++x, first += p.bytes, out += 3) {
      out[0] = first[c0];
      out[1] = first[p.g];
      out[2] = first[c2];
    }
    return;
  }
  const YuvToRgb k = yuv_to_rgb(image.matrix, image.full_range);
  if (image.format == PixelFormat::kYuy2) {
    convert_row(k, first, 2, first + 1, first + 3, 4, image.width, bgr, out);
  } else if (image.format == PixelFormat::kNv12) {
    const uint8_t* uv = row(image.planes[1], y / 2);
    convert_row(k, first, 1, uv, uv + 1, 2, image.width, bgr, out);
  } else {
    convert_row(k, first, 1, row(image.planes[1], y / 2), row(image.planes[2], y / 2), 1, image.width, bgr,
                out);
  }
}

}  // namespace rgbd
