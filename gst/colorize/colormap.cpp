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

/// Turbo's colours at every 15th entry; between them a straight line is off by 6 at most.
constexpr int kTurboStep = 15;
constexpr Rgb kTurboAnchors[] = {
    {48, 18, 59},   {63, 61, 156},  {70, 102, 221}, {68, 140, 253}, {47, 177, 243}, {25, 211, 207},
    {34, 235, 169}, {81, 249, 121}, {139, 254, 75}, {182, 247, 53}, {218, 226, 54}, {244, 196, 58},
    {254, 161, 47}, {248, 116, 28}, {232, 75, 12},  {206, 45, 4},   {169, 21, 1},   {122, 4, 2}};

Table turbo_table() {
  Table table;
  for (int i = 0; i < 256; ++i) {
    int left = std::min(i / kTurboStep, 255 / kTurboStep - 1), right_share = i - left * kTurboStep;
    auto channel = [&](uint8_t Rgb::*part) {
      int sum = kTurboAnchors[left].*part * (kTurboStep - right_share) +
                kTurboAnchors[left + 1].*part * right_share;
      return static_cast<uint8_t>((sum + kTurboStep / 2) / kTurboStep);
    };
    table[i] = {channel(&Rgb::red), channel(&Rgb::green), channel(&Rgb::blue)};
  }
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
