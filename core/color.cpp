// SPDX-License-Identifier: Apache-2.0
// See color.h.
#include "core/color.h"

#include <cmath>
#include <iterator>

#include "core/pixels.h"

namespace rgbd {
namespace {

// R, G and B are bytes r, g and b of a pixel's `bytes`.
Layout packed(int bytes, int r, int g, int b) {
  return {false, {{0, r, bytes, 0, 0}, {0, g, bytes, 0, 0}, {0, b, bytes, 0, 0}}};
}

const uint8_t* row(const Plane& plane, int y) {
  return plane.data + static_cast<ptrdiff_t>(y) * plane.stride_bytes;
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

Layout layout(PixelFormat format) {
  switch (format) {
    case PixelFormat::kRgb:
      return packed(3, 0, 1, 2);
    case PixelFormat::kBgr:
      return packed(3, 2, 1, 0);
    case PixelFormat::kRgbx:
    case PixelFormat::kRgba:
      return packed(4, 0, 1, 2);
    case PixelFormat::kBgrx:
    case PixelFormat::kBgra:
      return packed(4, 2, 1, 0);
    case PixelFormat::kXrgb:
    case PixelFormat::kArgb:
      return packed(4, 1, 2, 3);
    case PixelFormat::kXbgr:
    case PixelFormat::kAbgr:
      return packed(4, 3, 2, 1);
    case PixelFormat::kNv12:
      return {true, {{0, 0, 1, 0, 0}, {1, 0, 2, 1, 1}, {1, 1, 2, 1, 1}}};
    case PixelFormat::kI420:
      return {true, {{0, 0, 1, 0, 0}, {1, 0, 1, 1, 1}, {2, 0, 1, 1, 1}}};
    case PixelFormat::kYuy2:
      return {true, {{0, 0, 2, 0, 0}, {0, 1, 4, 1, 0}, {0, 3, 4, 1, 0}}};
  }
  return packed(0, 0, 0, 0);
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
      return plane == 0 ? layout(format).component[0].step * width : 0;
  }
}

int plane_rows(PixelFormat format, int plane, int height) {
  const bool subsampled = format == PixelFormat::kNv12 || format == PixelFormat::kI420;
  return plane > 0 && subsampled ? (height + 1) / 2 : height;
}

void read_row(const ImageView& image, int y, bool bgr, uint8_t* out) {
  const Layout from = layout(image.format);
  const int red = bgr ? 2 : 0, step = from.component[0].step;
  if (!from.yuv) {
    const int c0 = from.component[red].first, c1 = from.component[1].first,
              c2 = from.component[2 - red].first;
    const uint8_t* pixel = row(image.planes[0], y);
    for (int x = 0; x < image.width; ++x, pixel += step, out += 3) {
      out[0] = pixel[c0];
      out[1] = pixel[c1];
      out[2] = pixel[c2];
    }
    return;
  }
  const uint8_t* first[3];
  for (int c = 0; c < 3; ++c) {
    const Layout::Component& component = from.component[c];
    first[c] = row(image.planes[component.plane], y >> component.down) + component.first;
  }
  const YuvToRgb k = yuv_to_rgb(image.matrix, image.full_range);
  const int chroma_step = from.component[1].step;  // each sample covers two pixels of the row
  for (int x = 0; x < image.width; ++x, out += 3) {
    const int chroma = x / 2 * chroma_step;
    const Rgb rgb = to_rgb(k, first[0][x * step], first[1][chroma], first[2][chroma]);
    out[red] = rgb.r;
    out[1] = rgb.g;
    out[2 - red] = rgb.b;
  }
}

}  // namespace rgbd
