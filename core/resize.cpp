// SPDX-License-Identifier: Apache-2.0
// See resize.h. Nothing here may be contracted to a fused multiply-add (-ffp-contract=off in meson.build).
#include "core/resize.h"

#include <algorithm>
#include <cmath>

namespace rgbd {
namespace {

// Distance of a coordinate below or at one pixel from the tap, 0 <= x <= 1.
float near_weight(float x) {
  constexpr float kA = -0.75f;
  return ((kA + 2) * x - (kA + 3)) * x * x + 1;
}

// Distance from the far tap, passed as x = distance - 1.
float far_weight(float x) {
  constexpr float kA = -0.75f;
  return ((kA * (x + 1) - 5 * kA) * (x + 1) + 8 * kA) * (x + 1) - 4 * kA;
}

}  // namespace

std::vector<CubicTap> opencv_cubic(int src, int dst) {
  // Not src / dst: OpenCV inverts the ratio, and the two quotients round differently.
  const double inverse = static_cast<double>(dst) / src;
  const double scale = 1.0 / inverse;
  std::vector<CubicTap> taps(dst);
  for (int d = 0; d < dst; ++d) {
    float x = static_cast<float>((d + 0.5) * scale - 0.5);
    const int first = static_cast<int>(std::floor(x));
    x -= static_cast<float>(first);
    CubicTap& tap = taps[d];
    tap.weight[0] = far_weight(x);
    tap.weight[1] = near_weight(x);
    tap.weight[2] = near_weight(1 - x);
    tap.weight[3] = 1 - tap.weight[0] - tap.weight[1] - tap.weight[2];
    for (int i = 0; i < 4; ++i) tap.index[i] = std::clamp(first - 1 + i, 0, src - 1);
  }
  return taps;
}

std::vector<int> opencv_nearest(int src, int dst) {
  const double inverse = static_cast<double>(dst) / src;
  const double scale = 1.0 / inverse;
  std::vector<int> index(dst);
  for (int d = 0; d < dst; ++d) index[d] = std::min(static_cast<int>(std::floor(d * scale)), src - 1);
  return index;
}

std::vector<int> torch_nearest(int src, int dst) {
  const float scale = static_cast<float>(src) / static_cast<float>(dst);
  std::vector<int> index(dst);
  for (int d = 0; d < dst; ++d) {
    index[d] = std::min(static_cast<int>(std::floor(static_cast<float>(d) * scale)), src - 1);
  }
  return index;
}

}  // namespace rgbd
