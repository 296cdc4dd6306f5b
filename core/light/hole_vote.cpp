// SPDX-License-Identifier: Apache-2.0
#include "core/light/hole_vote.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

#include "core/light/finishing.h"
#include "core/recycled.h"

namespace rgbd::light {
namespace {

constexpr int64_t kGrain = 4096;  // holes
constexpr int64_t kGrainRows = 32;

/// y [B, h, w] enlarged to twice its size, then cut to that of `like`.
at::Tensor doubled(const at::Tensor& y, const at::Tensor& like) {
  return at::upsample_nearest2d(y.unsqueeze(1), {2 * y.size(1), 2 * y.size(2)})
      .squeeze(1)
      .slice(1, 0, like.size(1))
      .slice(2, 0, like.size(2));
}

/// Of half the size: > 0 where something is measured within `far` pixels in both directions. [B, ⌈h/2⌉,
/// ⌈w/2⌉]
at::Tensor near(const at::Tensor& x, int64_t far) {
  const auto measured = (x.slice(1, 3) > 0).to(at::kFloat);
  const auto half = at::max_pool2d(measured, 2, 2, 0, 1, /*ceil_mode=*/true);  // where halved(x) has depth
  const auto rows = at::max_pool2d(half, {2 * far + 1, 1}, 1, {far, 0});
  return at::max_pool2d(rows, {1, 2 * far + 1}, 1, {0, far}).squeeze(1);
}

/// Spreads the depths of q [B, h, w] into its holes along alike colours [B, 3, h, w]; beyond their reach
/// stays 0.
at::Tensor guided_fill(at::Tensor q, const at::Tensor& colour) {
  const auto height = q.size(1), width = q.size(2);
  for (const int64_t step : kVoteSteps) {
    const std::vector<int64_t> padding{step, step, step, step};
    const auto around = at::constant_pad_nd(q, padding), colours = at::constant_pad_nd(colour, padding);
    auto total = at::zeros_like(q), weight = at::zeros_like(q);
    for (int64_t dy = 0; dy <= 2; ++dy) {
      for (int64_t dx = 0; dx <= 2; ++dx) {
        auto seen = [&](const at::Tensor& map) {
          return map.narrow(-2, step * dy, height).narrow(-1, step * dx, width);
        };
        const auto value = seen(around);
        const auto unlike = (seen(colours) - colour).square().sum(1);
        const double beside = dy == 1 || dx == 1 ? kVoteBeside : 1;
        const auto alike = beside / (1 + kVoteContrast * unlike).square() * (value > 0);
        total = total + alike * value;
        weight = weight + alike;
      }
    }
    q = at::where((q <= 0).logical_and(weight > kVoteLeast), total / weight, q);
  }
  return q;
}

/// near() of one frame.
std::vector<uint8_t> near_cpu(const float* measured, int64_t height, int64_t width, int64_t far) {
  const int64_t rows = (height + 1) / 2, columns = (width + 1) / 2;
  std::vector<uint8_t> near(static_cast<size_t>(rows * columns));
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) near[y / 2 * columns + x / 2] |= measured[y * width + x] > 0;
  std::vector<uint8_t> seen(static_cast<size_t>(std::max(rows, columns)));
  // One line of `size` cells `step` apart: 1 within `far` cells of where it was 1.
  auto widen = [&](uint8_t* line, int64_t size, int64_t step) {
    for (int64_t i = 0; i < size; ++i) seen[i] = line[i * step];
    for (int64_t i = 0, since = far + 1; i < size; ++i) {
      since = seen[i] ? 0 : since + 1;
      line[i * step] = since <= far;
    }
    for (int64_t i = size - 1, since = far + 1; i >= 0; --i) {
      since = seen[i] ? 0 : since + 1;
      line[i * step] |= since <= far;
    }
  };
  for (int64_t y = 0; y < rows; ++y) widen(near.data() + y * columns, columns, 1);
  for (int64_t x = 0; x < columns; ++x) widen(near.data() + x, rows, columns);
  return near;
}

/// One frame for vote_cpu().
class Frame {
 public:
  Frame(const float* x, const float* y, int64_t height, int64_t width)
      : red_(x),
        green_(x + height * width),
        blue_(x + 2 * height * width),
        height_(height),
        width_(width),
        fill_(height * width) {
    const float* const measured = x + 3 * height * width;
    for (int64_t i = 0; i < height * width; ++i) {
      if (measured[i] > 0)
        fill_[i] = y[i];
      else
        holes_.push_back({static_cast<int>(i / width), static_cast<int>(i % width)});
    }
  }

  struct Pixel {
    int row, column;
  };
  const std::vector<Pixel>& holes() const { return holes_; }
  float fill(Pixel p) const { return fill_[index(p.row, p.column)]; }

  void spread() {
    auto left = holes_;
    std::vector<float> found(left.size());
    for (const int step : kVoteSteps) {
      at::parallel_for(0, static_cast<int64_t>(left.size()), kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) found[i] = from_around(left[i], step);
      });
      size_t kept = 0;  // what is filled now counts in the next step only
      for (size_t i = 0; i < left.size(); ++i) {
        if (found[i] > 0)
          fill_[index(left[i].row, left[i].column)] = found[i];
        else
          left[kept++] = left[i];
      }
      left.resize(kept);
    }
  }

 private:
  int64_t index(int row, int column) const { return row * width_ + column; }

  float from_around(Pixel p, int step) const {
    const int64_t here = index(p.row, p.column);
    float total = 0, weight = 0;
    for (int row = p.row - step; row <= p.row + step; row += step) {
      if (row < 0 || row >= height_) continue;
      for (int column = p.column - step; column <= p.column + step; column += step) {
        if (column < 0 || column >= width_) continue;
        const int64_t there = index(row, column);
        if (!(fill_[there] > 0)) continue;
        const float r = red_[there] - red_[here], g = green_[there] - green_[here],
                    b = blue_[there] - blue_[here];
        const float unlike = 1 + kVoteContrast * (r * r + g * g + b * b);
        const float alike = (row == p.row || column == p.column ? kVoteBeside : 1) / (unlike * unlike);
        total += alike * fill_[there];
        weight += alike;
      }
    }
    return weight > kVoteLeast ? total / weight : 0;
  }

  const float *red_, *green_, *blue_;
  int64_t height_, width_;
  std::vector<float> fill_;  // 0: nothing yet
  std::vector<Pixel> holes_;
};

}  // namespace

at::Tensor halved(const at::Tensor& x) {
  const auto right = x.size(3) % 2, below = x.size(2) % 2;
  const auto even = right || below ? at::replication_pad2d(x, {0, right, 0, below}) : x;
  const auto means = at::avg_pool2d(even, 2);
  const auto share = at::avg_pool2d((even.slice(1, 3) > 0).to(at::kFloat), 2);
  const auto depth = at::where(share > 0, means.slice(1, 3) / share.clamp_min(0.25), 0.0);
  return at::cat({means.slice(1, 0, 3), depth}, 1);
}

at::Tensor halved_cpu(const at::Tensor& x) {
  const int64_t height = x.size(2), width = x.size(3), rows = (height + 1) / 2, columns = (width + 1) / 2;
  const auto maps = x.contiguous();
  const float* const from = maps.const_data_ptr<float>();
  auto out = recycled({x.size(0), 4, rows, columns});
  float* const to = out.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0) * 4 * rows, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t plane = i / rows, y = 2 * (i % rows);
      const float *const above = from + (plane * height + y) * width, *const below = y + 1 < height
                                                                                         ? above + width
                                                                                         : above;
      for (int64_t column = 0; column < columns; ++column) {
        const int64_t left = 2 * column, right = std::min(left + 1, width - 1);
        const float sum = above[left] + above[right] + below[left] + below[right];
        if (plane % 4 != 3) {
          to[i * columns + column] = sum / 4;
          continue;
        }
        const int measured = (above[left] > 0) + (above[right] > 0) + (below[left] > 0) + (below[right] > 0);
        to[i * columns + column] = measured ? sum / static_cast<float>(measured) : 0;
      }
    }
  });
  return out;
}

at::Tensor vote(const at::Tensor& x, const at::Tensor& y, const at::Tensor& coarse, int64_t far) {
  const auto measured = x.select(1, 3) > 0;
  const auto wide = doubled(coarse, y);
  auto guided = guided_fill(at::where(measured, y, 0.0), x.slice(1, 0, 3));
  const auto is_near = doubled(near(x, far), y) > 0;
  guided = at::where(guided > 0, guided, at::where(is_near, y, wide));
  const auto slack = at::where(is_near, 1.0, 1.0 + kFarSlack).to(at::kFloat);
  const auto middle =
      at::minimum(at::maximum(wide, at::minimum(y, guided) / slack), at::maximum(y, guided) * slack);
  return at::where(measured.logical_or(y <= 0).logical_or(wide <= 0), y, middle);
}

at::Tensor vote_cpu(const at::Tensor& x, const at::Tensor& y, const at::Tensor& coarse, int64_t far) {
  const int64_t height = y.size(1), width = y.size(2), pixels = height * width;
  const int64_t half_width = coarse.size(2), half_pixels = coarse.size(1) * half_width;
  const auto maps = x.contiguous(), wide = coarse.contiguous();
  auto out = y.clone(at::MemoryFormat::Contiguous);
  for (int64_t b = 0; b < y.size(0); ++b) {
    float* const to = out.mutable_data_ptr<float>() + b * pixels;
    Frame frame(maps.const_data_ptr<float>() + 4 * b * pixels, to, height, width);
    frame.spread();
    const float* const far_sighted = wide.const_data_ptr<float>() + b * half_pixels;
    const auto measured_near =
        near_cpu(maps.const_data_ptr<float>() + (4 * b + 3) * pixels, height, width, far);
    const auto& holes = frame.holes();
    at::parallel_for(0, static_cast<int64_t>(holes.size()), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto [row, column] = holes[i];
        const int64_t half = row / 2 * half_width + column / 2;
        float& depth = to[row * width + column];
        if (!(depth > 0) || !(far_sighted[half] > 0)) continue;
        const bool is_near = measured_near[half];
        const float fill = frame.fill(holes[i]), guided = fill > 0  ? fill
                                                          : is_near ? depth
                                                                    : far_sighted[half];
        const float slack = is_near ? 1 : 1 + kFarSlack;
        depth = std::min(std::max(far_sighted[half], std::min(depth, guided) / slack),
                         std::max(depth, guided) * slack);
      }
    });
  }
  return out;
}

}  // namespace rgbd::light
