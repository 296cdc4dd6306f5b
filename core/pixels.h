// SPDX-License-Identifier: Apache-2.0
// The arithmetic of single pixels, written once for the CPU (color.cpp, frames.cpp) and the CUDA kernels
// (cuda/frames_pixels.h), so that both give the same bits. No fused multiply-adds on either side:
// -ffp-contract=off here, -fmad=false there.
#pragma once

#include <cfloat>
#include <cstdint>

#include "core/color.h"

#ifdef __CUDACC__
#define RGBD_ON_ANY_DEVICE __host__ __device__
#else
#define RGBD_ON_ANY_DEVICE
#endif

namespace rgbd {

struct Rgb {
  uint8_t r, g, b;
};

RGBD_ON_ANY_DEVICE inline uint8_t to_byte(int fixed) {
  const int value = (fixed + 32768) >> 16;
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

RGBD_ON_ANY_DEVICE inline Rgb to_rgb(const YuvToRgb& k, int luma, int cb, int cr) {
  const int y = k.y_gain * (luma - k.y_offset), u = cb - 128, v = cr - 128;
  return {to_byte(y + k.r_v * v), to_byte(y + k.g_u * u + k.g_v * v), to_byte(y + k.b_u * u)};
}

/// Four taps of a cubic, in OpenCV's order and type.
RGBD_ON_ANY_DEVICE inline double cubic(double p0, double p1, double p2, double p3, double w0, double w1,
                                       double w2, double w3) {
  return p0 * w0 + p1 * w1 + p2 * w2 + p3 * w3;
}

RGBD_ON_ANY_DEVICE inline float normalised(double value, double mean, double std) {
  return static_cast<float>((value - mean) / std);
}

RGBD_ON_ANY_DEVICE inline float metres(unsigned raw, double unit) {
  return static_cast<float>(raw * unit);
}

/// Of a measured pixel, 1/m.
RGBD_ON_ANY_DEVICE inline float inverse_depth(unsigned raw, double unit) {
  return 1.0f / metres(raw, unit);
}

/// Inverse depth to 16-bit steps. Anything that is depth stays depth: less than half a step becomes 1.
RGBD_ON_ANY_DEVICE inline uint16_t quantise(float inverse, double unit) {
  if (!(inverse > 0 && inverse <= FLT_MAX)) return 0;
  const double steps = 1.0 / (inverse * unit);
  if (steps >= 65535) return 65535;
  return static_cast<uint16_t>(steps + 0.5 > 1.0 ? steps + 0.5 : 1.0);
}

RGBD_ON_ANY_DEVICE inline uint16_t swapped(uint16_t value) {
  return static_cast<uint16_t>(value << 8 | value >> 8);
}

}  // namespace rgbd
