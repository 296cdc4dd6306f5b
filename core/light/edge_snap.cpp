// SPDX-License-Identifier: Apache-2.0
#include "core/light/edge_snap.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/light/finishing.h"
#include "core/recycled.h"

namespace rgbd::light {
namespace {

constexpr int64_t kGrainRows = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// One frame for snapped_cpu().
struct Frame {
  const float *y, *red, *green, *blue;
  int64_t height, width, reach;

  /// Least and greatest depth within `reach` pixels in the row, of rows begin..end.
  void along_rows(int64_t begin, int64_t end, float* low, float* high) const {
    std::vector<float> near(width + 2 * reach),
        far(width + 2 * reach, kInfinity);  // the row between margins; 0 = none
    for (int64_t row = begin; row < end; ++row) {
      const float* const from = y + row * width;
      for (int64_t x = 0; x < width; ++x) {
        near[reach + x] = from[x];
        far[reach + x] = from[x] > 0 ? from[x] : kInfinity;
      }
      float *const least = low + row * width, *const most = high + row * width;
      std::copy_n(far.data(), width, least);
      std::copy_n(near.data(), width, most);
      for (int64_t step = 1; step <= 2 * reach; ++step) {
        for (int64_t x = 0; x < width; ++x) {
          least[x] = std::min(least[x], far[step + x]);
          most[x] = std::max(most[x], near[step + x]);
        }
      }
    }
  }

  /// Rows begin..end of the result, from what along_rows() found in all.
  void snap_rows(int64_t begin, int64_t end, const float* low, const float* high, float* out) const {
    std::vector<float> least(width), most(width);
    for (int64_t row = begin; row < end; ++row) {
      std::fill(least.begin(), least.end(), kInfinity);
      std::fill(most.begin(), most.end(), 0.0f);
      for (int64_t other = std::max<int64_t>(row - reach, 0); other <= std::min(row + reach, height - 1);
           ++other) {
        for (int64_t x = 0; x < width; ++x) {
          least[x] = std::min(least[x], low[other * width + x]);
          most[x] = std::max(most[x], high[other * width + x]);
        }
      }
      for (int64_t x = 0; x < width; ++x) {
        const float depth = y[row * width + x];
        const bool edge = depth > 0 && most[x] > (1 + kSnapEdge) * least[x];
        out[row * width + x] = edge ? side(row, x, std::sqrt(least[x] * most[x])) : depth;
      }
    }
  }

  /// The pixel's depth, or that of the other side of the edge.
  float side(int64_t row, int64_t column, float middle) const {
    const int64_t here = row * width + column;
    float weights[2] = {}, totals[2] = {};  // near, far
    for (int64_t r = std::max<int64_t>(row - reach, 0); r <= std::min(row + reach, height - 1); ++r) {
      for (int64_t c = std::max<int64_t>(column - reach, 0); c <= std::min(column + reach, width - 1); ++c) {
        const int64_t there = r * width + c;
        const float depth = y[there];
        if (!(depth > 0)) continue;
        const float dr = red[there] - red[here], dg = green[there] - green[here],
                    db = blue[there] - blue[here];
        const float unlike = 1 + kSnapContrast * (dr * dr + dg * dg + db * db);
        const float alike = 1 / (unlike * unlike);
        const int of = depth >= middle ? 0 : 1;
        weights[of] += alike;
        totals[of] += alike * depth;
      }
    }
    const int mine = y[here] >= middle ? 0 : 1, other = 1 - mine;
    return weights[other] > kSnapMajority * weights[mine] ? totals[other] / weights[other] : y[here];
  }
};

}  // namespace

at::Tensor snapped(const at::Tensor& y, const at::Tensor& colour, int64_t reach) {
  const int64_t size = 2 * reach + 1, height = y.size(1), width = y.size(2);
  auto most = [&](const at::Tensor& map) {
    return at::max_pool2d(map.unsqueeze(1), {size, size}, 1, {reach, reach}).squeeze(1);
  };
  const auto high = most(y), low = -most(at::where(y > 0, -y, -static_cast<double>(kInfinity)));
  const auto middle = (low * high).sqrt();
  const std::vector<int64_t> padding(4, reach);
  const auto around = at::constant_pad_nd(y, padding), colours = at::constant_pad_nd(colour, padding);
  at::Tensor weights[2] = {at::zeros_like(y), at::zeros_like(y)},
             totals[2] = {weights[0], weights[0]};  // near, far
  for (int64_t dy = 0; dy < size; ++dy) {
    for (int64_t dx = 0; dx < size; ++dx) {
      auto seen = [&](const at::Tensor& map) { return map.narrow(-2, dy, height).narrow(-1, dx, width); };
      const auto depth = seen(around);
      const auto unlike = (seen(colours) - colour).square().sum(1);
      const auto alike = (depth > 0) / (1 + kSnapContrast * unlike).square();
      const at::Tensor there[2] = {alike * (depth >= middle), alike * (depth < middle)};
      for (int side = 0; side < 2; ++side) {
        weights[side] = weights[side] + there[side];
        totals[side] = totals[side] + there[side] * depth;
      }
    }
  }
  const auto near = y >= middle;
  const auto more =
      at::where(near, weights[1] > kSnapMajority * weights[0], weights[0] > kSnapMajority * weights[1]);
  const auto other = at::where(near, totals[1] / weights[1], totals[0] / weights[0]);
  return at::where((y > 0).logical_and(high > (1 + kSnapEdge) * low).logical_and(more), other, y);
}

at::Tensor snapped_cpu(const at::Tensor& y, const at::Tensor& colour, int64_t reach) {
  const int64_t height = y.size(1), width = y.size(2), pixels = height * width;
  const auto maps = y.contiguous(), colours = colour.contiguous();
  auto out = recycled(y.sizes());
  std::vector<float> low(pixels), high(pixels);
  for (int64_t b = 0; b < y.size(0); ++b) {
    const float* const red = colours.const_data_ptr<float>() + 3 * b * pixels;
    const Frame frame{
        maps.const_data_ptr<float>() + b * pixels, red, red + pixels, red + 2 * pixels, height, width, reach};
    float* const to = out.mutable_data_ptr<float>() + b * pixels;
    at::parallel_for(0, height, kGrainRows, [&](int64_t begin, int64_t end) {
      frame.along_rows(begin, end, low.data(), high.data());
    });
    at::parallel_for(0, height, kGrainRows, [&](int64_t begin, int64_t end) {
      frame.snap_rows(begin, end, low.data(), high.data(), to);
    });
  }
  return out;
}

}  // namespace rgbd::light
