// SPDX-License-Identifier: Apache-2.0
// What the kernels of frames_kernels.cu do for one pixel, and what they are told: frames.cpp of the core,
// pixel by pixel. Compiles for the CPU too, where tests compare it with that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/color.h"
#include "core/pixels.h"
#include "core/rgbd.h"

namespace rgbd::cuda {

/// CubicTap (core/resize.h) as kernels read it.
struct Tap {
  int index[4];
  float weight[4];
};

/// A colour frame of any format. Its pixels are where the reader can read.
struct ColourSource {
  struct Component {
    const uint8_t* first;
    ptrdiff_t stride;
    int step, across, down;  // see Layout
  };
  Component component[3];
  bool yuv;
  YuvToRgb k;
  bool bgr;  // channel 0 of the network is blue
};

inline ColourSource colour_source(const ImageView& image, bool bgr) {
  ColourSource source{{}, false, yuv_to_rgb(image.matrix, image.full_range), bgr};
  const Layout from = layout(image.format);
  source.yuv = from.yuv;
  for (int c = 0; c < 3; ++c) {
    const Layout::Component& at = from.component[c];
    const Plane& plane = image.planes[at.plane];
    source.component[c] = {plane.data + at.first, plane.stride_bytes, at.step, at.across, at.down};
  }
  return source;
}

/// One pair to network input x [4, height, width].
struct Preprocess {
  ColourSource colour;
  const Tap *columns, *rows;  // opencv_cubic() of the colour: [width], [height]
  double mean[3], std[3];     // by channel of the network
  const uint8_t* depth;
  ptrdiff_t depth_stride;
  const int *depth_columns, *depth_rows;  // opencv_nearest() of the depth: [width], [height]
  bool big_endian;
  unsigned first_valid, last_valid;  // RawRange
  double metres_per_step;
  int width, height;
  float* x;
};

struct Range {
  float min, max;
};

/// A map [.., map_width] to 16-bit steps and the range of each row of them.
struct Postprocess {
  const float* map;
  int map_width;
  const uint8_t* left_open;   // like the map; null = nowhere
  const int *columns, *rows;  // torch_nearest() of the map: [width], [height]
  double metres_per_step;
  bool big_endian;
  uint8_t* out;  // even, and so is the stride
  ptrdiff_t out_stride;
  int width, height;
  Range* ranges;  // [height]
};

RGBD_ON_ANY_DEVICE inline Rgb colour_at(const ColourSource& from, int x, int y) {
  uint8_t value[3];
  for (int c = 0; c < 3; ++c) {
    const ColourSource::Component& at = from.component[c];
    value[c] = at.first[(y >> at.down) * at.stride + (x >> at.across) * at.step];
  }
  return from.yuv ? to_rgb(from.k, value[0], value[1], value[2]) : Rgb{value[0], value[1], value[2]};
}

/// Writes all four channels of x there. `share[v]` is v / 255.0.
RGBD_ON_ANY_DEVICE inline void prepare_pixel(const Preprocess& p, int x, int y, const double* share) {
  const Tap& column = p.columns[x];
  const Tap& row = p.rows[y];
  double across[3][4];  // of each source row, resized horizontally
  for (int j = 0; j < 4; ++j) {
    double value[3][4];
    for (int i = 0; i < 4; ++i) {
      const Rgb rgb = colour_at(p.colour, column.index[i], row.index[j]);
      value[0][i] = share[p.colour.bgr ? rgb.b : rgb.r];
      value[1][i] = share[rgb.g];
      value[2][i] = share[p.colour.bgr ? rgb.r : rgb.b];
    }
    for (int c = 0; c < 3; ++c) {
      across[c][j] = cubic(value[c][0], value[c][1], value[c][2], value[c][3], column.weight[0],
                           column.weight[1], column.weight[2], column.weight[3]);
    }
  }
  const ptrdiff_t plane = static_cast<ptrdiff_t>(p.width) * p.height;
  float* to = p.x + static_cast<ptrdiff_t>(y) * p.width + x;
  for (int c = 0; c < 3; ++c) {
    const double value = cubic(across[c][0], across[c][1], across[c][2], across[c][3], row.weight[0],
                               row.weight[1], row.weight[2], row.weight[3]);
    to[c * plane] = normalised(value, p.mean[c], p.std[c]);
  }
  const uint8_t* depth =
      p.depth + p.depth_rows[y] * p.depth_stride + 2 * static_cast<ptrdiff_t>(p.depth_columns[x]);
  const unsigned raw = p.big_endian ? depth[0] << 8 | depth[1] : depth[1] << 8 | depth[0];
  to[3 * plane] = raw >= p.first_valid && raw <= p.last_valid ? inverse_depth(raw, p.metres_per_step) : 0.0f;
}

/// Not a number is no bound.
RGBD_ON_ANY_DEVICE inline void extend(Range& range, float value) {
  if (value < range.min) range.min = value;
  if (value > range.max) range.max = value;
}

/// Writes the steps of an output pixel, whose inverse depth it returns. Memory is little-endian, as a GPU's
/// is.
RGBD_ON_ANY_DEVICE inline float finish_pixel(const Postprocess& p, int x, int y) {
  const ptrdiff_t at = static_cast<ptrdiff_t>(p.rows[y]) * p.map_width + p.columns[x];
  const float inverse = p.map[at];
  uint16_t steps = p.left_open && p.left_open[at] ? 0 : quantise(inverse, p.metres_per_step);
  if (p.big_endian) steps = swapped(steps);
  reinterpret_cast<uint16_t*>(p.out + y * p.out_stride)[x] = steps;
  return inverse;
}

}  // namespace rgbd::cuda
