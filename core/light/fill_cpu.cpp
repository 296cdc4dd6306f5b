// SPDX-License-Identifier: Apache-2.0
#include "core/light/fill_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/recycled.h"

namespace rgbd::light {
namespace {

constexpr int64_t kGrainRows = 16;
constexpr float kLeast = 1e-4f, kLeastWeight = 1e-6f;

/// One frame's sums of measured depths and their number, both over 4^level; level 0 is the frame itself.
struct Level {
  int64_t height, width;
  std::vector<float> sums, weights;
};

struct Cell {
  float sum, weight;
};

/// fill = share of the mean, the rest of what is below.
float filled(const Cell& cell, float below) {
  const float share = std::min(4 * cell.weight, 1.0f);
  return share * (cell.sum / std::max(cell.weight, kLeastWeight)) + (1 - share) * below;
}

/// The level above `cells(row, column)` of height x width.
template <typename Cells>
Level halved(int64_t height, int64_t width, const Cells& cells) {
  Level out{height / 2, width / 2, {}, {}};
  out.sums.resize(static_cast<size_t>(out.height * out.width));
  out.weights.resize(out.sums.size());
  at::parallel_for(0, out.height, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      for (int64_t x = 0; x < out.width; ++x) {
        const Cell a = cells(2 * y, 2 * x), b = cells(2 * y, 2 * x + 1), c = cells(2 * y + 1, 2 * x),
                   d = cells(2 * y + 1, 2 * x + 1);
        out.sums[y * out.width + x] = (a.sum + b.sum + c.sum + d.sum) / 4;
        out.weights[y * out.width + x] = (a.weight + b.weight + c.weight + d.weight) / 4;
      }
    }
  });
  return out;
}

/// Two neighbours and how far it is from the first to the second, for pixel i of a map `factor` times as
/// large.
struct Between {
  int64_t first, second;
  float share;
};
Between between(int64_t i, int64_t factor, int64_t size) {
  const float at = std::max((static_cast<float>(i) + 0.5f) / static_cast<float>(factor) - 0.5f, 0.0f);
  const auto first = static_cast<int64_t>(at);
  return {first, std::min(first + 1, size - 1), at - static_cast<float>(first)};
}

/// Row y of a map enlarged bilinearly by `factor`; small [height, width], blended of `width`, out of
/// width * factor.
void enlarged_row(const float* small, int64_t height, int64_t width, int64_t factor, int64_t y,
                  float* blended, float* out) {
  const auto rows = between(y, factor, height);
  const float *const above = small + rows.first * width, *const below = small + rows.second * width;
  for (int64_t x = 0; x < width; ++x) blended[x] = above[x] + rows.share * (below[x] - above[x]);
  const int64_t half = factor / 2;
  for (int64_t x = 0; x < half; ++x) out[x] = blended[0];
  const float step = 1 / static_cast<float>(factor);
  for (int64_t cell = 0; cell + 1 < width; ++cell) {
    const float from = blended[cell], rise = (blended[cell + 1] - from) * step;
    float* const to = out + half + cell * factor;
    for (int64_t x = 0; x < factor; ++x) to[x] = from + (static_cast<float>(x) + 0.5f) * rise;
  }
  for (int64_t x = half + (width - 1) * factor; x < width * factor; ++x) out[x] = blended[width - 1];
}

/// to = fill enlarged by 2 where cells(row, column) have nothing.
template <typename Cells>
void pull(const float* small, int64_t height, int64_t width, const Cells& cells, float* to) {
  at::parallel_for(0, height, kGrainRows, [&](int64_t begin, int64_t end) {
    std::vector<float> blended(static_cast<size_t>(width / 2)), below(static_cast<size_t>(width));
    for (int64_t y = begin; y < end; ++y) {
      enlarged_row(small, height / 2, width / 2, 2, y, blended.data(), below.data());
      for (int64_t x = 0; x < width; ++x) to[y * width + x] = filled(cells(y, x), below[x]);
    }
  });
}

/// One frame's fills.
void push_pull(const float* q, int64_t height, int64_t width, int64_t levels,
               const std::vector<float*>& fills) {
  auto measured = [&](int64_t y, int64_t x) {
    const float depth = q[y * width + x];
    return depth > 0 ? Cell{depth, 1} : Cell{0, 0};
  };
  std::vector<Level> pyramid;  // from level 1 on
  auto cells_of = [](const Level& level) {
    return [&level](int64_t y, int64_t x) {
      return Cell{level.sums[y * level.width + x], level.weights[y * level.width + x]};
    };
  };
  for (int64_t level = 1; level <= levels; ++level)
    pyramid.push_back(level == 1
                          ? halved(height, width, measured)
                          : halved(pyramid.back().height, pyramid.back().width, cells_of(pyramid.back())));
  const auto& top = pyramid.back();
  double sum = 0, weight = 0;
  for (size_t i = 0; i < top.sums.size(); ++i) sum += top.sums[i], weight += top.weights[i];
  const auto cells = static_cast<double>(top.sums.size());
  const auto mean = static_cast<float>(sum / cells / std::max(weight / cells, 1e-6));
  for (size_t i = 0; i < top.sums.size(); ++i) fills[levels][i] = filled({top.sums[i], top.weights[i]}, mean);
  for (int64_t level = levels; level-- > 1;)
    pull(fills[level + 1], pyramid[level - 1].height, pyramid[level - 1].width, cells_of(pyramid[level - 1]),
         fills[level]);
  pull(fills[1], height, width, measured, fills[0]);
}

/// 8 log(fill / mean) within ±1. Where it is not held, the quotient is near 1 and the series exact.
float difference(float fill, float mean) {
  fill = std::max(fill, kLeast), mean = std::max(mean, kLeast);
  const float z = (fill - mean) / (fill + mean), square = z * z;
  return std::clamp(16 * z * (1 + square * (1.0f / 3 + square * (1.0f / 5))), -1.0f, 1.0f);
}

}  // namespace

std::vector<at::Tensor> push_pull_cpu(const at::Tensor& q, int64_t levels) {
  const auto maps = q.contiguous();
  const int64_t height = q.size(2), width = q.size(3);
  std::vector<at::Tensor> fills;
  for (int64_t level = 0; level <= levels; ++level)
    fills.push_back(recycled({q.size(0), 1, height >> level, width >> level}));
  for (int64_t b = 0; b < q.size(0); ++b) {
    std::vector<float*> frame;
    for (auto& fill : fills) frame.push_back(fill.mutable_data_ptr<float>() + b * fill[0].numel());
    push_pull(maps.const_data_ptr<float>() + b * height * width, height, width, levels, frame);
  }
  return fills;
}

int64_t padded_channels(int64_t features) {
  return (4 * features + 7) / 8 * 8;
}

at::Tensor features_cpu(const at::Tensor& colour, const at::Tensor& q, const std::vector<at::Tensor>& fills,
                        const std::vector<int64_t>& differences, const at::Tensor& borders) {
  const int64_t height = q.size(2), width = q.size(3), pixels = height * width;
  const int64_t rays = borders.defined() ? borders.size(1) : 0;
  const auto planes = static_cast<int64_t>(5 + differences.size()) + rays;
  const auto colours = colour.contiguous(), measured = q.contiguous(),
             seen = rays ? borders.contiguous() : borders;
  const auto logs = fills[0].clamp_min(kLeast).log_().clamp_(-4, 4);
  const int64_t channels = padded_channels(planes);
  auto out = recycled({q.size(0), channels, height / 2, width / 2}, at::MemoryFormat::ChannelsLast);
  float* const to = out.mutable_data_ptr<float>();
  // Rows lie a little more than their width apart: planes of like addresses would share their places in the
  // cache.
  const int64_t stride = width + 20;
  at::parallel_for(0, q.size(0) * height / 2, kGrainRows / 2, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(static_cast<size_t>(2 * planes * stride)), blended(static_cast<size_t>(width));
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t b = 2 * pair / height;
      for (int64_t odd = 0; odd < 2; ++odd) {
        const int64_t y = 2 * pair % height + odd, row = b * pixels + y * width;
        float* plane = rows.data() + odd * stride;
        auto next = [&] {
          float* const here = plane;
          plane += 2 * stride;
          return here;
        };
        auto copy = [&](const at::Tensor& map, int64_t c, int64_t of) {
          std::copy_n(map.const_data_ptr<float>() + (b * of + c) * pixels + y * width, width, next());
        };
        for (int64_t c = 0; c < 3; ++c) copy(colours, c, 3);
        copy(logs, 0, 1);
        const float* const depth = measured.const_data_ptr<float>() + row;
        const float* const fill = fills[0].const_data_ptr<float>() + row;
        float* const mask = next();
        for (int64_t x = 0; x < width; ++x) mask[x] = depth[x] > 0;
        for (const auto level : differences) {
          const auto& small = fills[level];
          float* const mean = next();
          enlarged_row(small.const_data_ptr<float>() + b * small[0].numel(), small.size(2), small.size(3),
                       int64_t{1} << level, y, blended.data(), mean);
          for (int64_t x = 0; x < width; ++x) mean[x] = mask[x] * difference(fill[x], mean[x]);
        }
        for (int64_t c = 0; c < rays; ++c) copy(seen, c, rays);
      }
      float* pixel = to + pair * (width / 2) * channels;
      for (int64_t x = 0; x < width; x += 2, pixel += channels) {
        const float* above = rows.data() + x;
        for (int64_t c = 0; c < planes; ++c, above += 2 * stride) {
          std::memcpy(pixel + 4 * c, above, 2 * sizeof *above);
          std::memcpy(pixel + 4 * c + 2, above + stride, 2 * sizeof *above);
        }
        std::fill(pixel + 4 * planes, pixel + channels, 0.0f);
      }
    }
  });
  return out;
}

}  // namespace rgbd::light
