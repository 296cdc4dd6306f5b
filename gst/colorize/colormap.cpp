// SPDX-License-Identifier: Apache-2.0
// Colour maps; Spectral is ColorBrewer's 11 colours, interpolated and rounded as matplotlib does it.
#include "gst/colorize/colormap.h"

#include <algorithm>

namespace rgbd {
namespace {

using Table = std::array<Rgb, 256>;

constexpr Rgb kSpectralAnchors[11] = {{158, 1, 66},    {213, 62, 79},   {244, 109, 67},  {253, 174, 97},
                                      {254, 224, 139}, {255, 255, 191}, {230, 245, 152}, {171, 221, 164},
                                      {102, 194, 165}, {50, 136, 189},  {94, 79, 162}};

/// matplotlib keeps 0..1 and cuts to bytes, so the arithmetic has to be its own to the last bit.
Table spectral_table() {
  constexpr int kLast = 10;
  Table table;
  auto channel = [&](int entry, uint8_t Rgb::*part) -> uint8_t {
    double position = 255.0 * (entry / 255.0);
    int right = 1;
    while (right < kLast && 255.0 * (right * 0.1) < position) ++right;
    double left_position = 255.0 * ((right - 1) * 0.1), right_position = 255.0 * (right * 0.1);
    double left_value = kSpectralAnchors[right - 1].*part / 255.0,
           right_value = kSpectralAnchors[right].*part / 255.0;
    double distance = (position - left_position) / (right_position - left_position);
    double value = distance * (right_value - left_value) + left_value;
    return static_cast<uint8_t>(std::clamp(value, 0.0, 1.0) * 255);
  };
  for (int i = 0; i < 256; ++i)
    table[i] = {channel(i, &Rgb::red), channel(i, &Rgb::green), channel(i, &Rgb::blue)};
  table[0] = kSpectralAnchors[0];
  table[255] = kSpectralAnchors[kLast];
  return table;
}

/// Degree 5 polynomials by Anton Mikhailov and Ruofei Du, coefficients from the constant term up.
Table turbo_table() {
  constexpr double kRed[] = {0.13572138, 4.61539260, -42.66032258, 132.13108234, -152.94239396, 59.28637943};
  constexpr double kGreen[] = {0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604};
  constexpr double kBlue[] = {0.10667330, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973};
  auto channel = [](const double(&c)[6], double x) {
    double value = c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * (c[4] + x * c[5]))));
    return static_cast<uint8_t>(std::clamp(value, 0.0, 1.0) * 255 + 0.5);
  };
  Table table;
  for (int i = 0; i < 256; ++i)
    table[i] = {channel(kRed, i / 255.0), channel(kGreen, i / 255.0), channel(kBlue, i / 255.0)};
  return table;
}

Table gray_table() {
  Table table;
  for (int i = 0; i < 256; ++i) table[i] = Rgb{uint8_t(i), uint8_t(i), uint8_t(i)};
  return table;
}

}  // namespace

const Table& colormap_table(Colormap map) {
  static const Table kSpectral = spectral_table(), kTurbo = turbo_table(), kGray = gray_table();
  switch (map) {
    case Colormap::kTurbo:
      return kTurbo;
    case Colormap::kGray:
      return kGray;
    default:
      return kSpectral;
  }
}

int colormap_index(double x) {
  if (!(x > 0)) return 0;
  return x >= 1 ? 255 : static_cast<int>(x * 256);
}

Rgb colorize(Colormap map, double depth, double min, double max) {
  double x = max > min ? (depth - min) / (max - min) : (depth > max ? 1.0 : 0.0);
  return colormap_table(map)[colormap_index(x)];
}

}  // namespace rgbd
