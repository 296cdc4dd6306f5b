// SPDX-License-Identifier: Apache-2.0
#include "core/light/rays.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "core/recycled.h"

namespace rgbd::light {
namespace {

constexpr int64_t kDirections = 4;
constexpr int64_t kGrainRows = 16, kGrainColumns = 64;
constexpr float kLeast = 1e-4f;  // of what a logarithm is taken

/// Along `dim`, from its start on or from its end. What lies up to 2^n - 1 pixels back is known after n
/// steps; operations that every device has (MPS has no running maximum).
at::Tensor nearest(at::Tensor q, int64_t dim, bool from_start) {
  const auto size = q.size(dim);
  for (int64_t step = 1; step < size; step *= 2) {
    std::vector<int64_t> padding(dim == 3 ? 2 : 4, 0);
    padding[padding.size() - (from_start ? 2 : 1)] = step;
    const auto kept = q.narrow(dim, from_start ? 0 : step, size - step);
    q = at::where(q > 0, q, at::constant_pad_nd(kept, padding));
  }
  return q;
}

/// One frame's rows begin..end, both ways.
void along_rows(const float* q, int64_t begin, int64_t end, int64_t width, float* left, float* right) {
  for (int64_t y = begin; y < end; ++y) {
    const int64_t row = y * width;
    float last = 0;
    for (int64_t x = row; x < row + width; ++x) left[x] = last = q[x] > 0 ? q[x] : last;
    last = 0;
    for (int64_t x = row + width - 1; x >= row; --x) right[x] = last = q[x] > 0 ? q[x] : last;
  }
}

/// One frame's columns begin..end, both ways, a piece of a row at a time.
void along_columns(const float* q, int64_t begin, int64_t end, int64_t height, int64_t width, float* above,
                   float* below) {
  auto piece = [&](const float* from, const float* before, float* to) {
    for (int64_t x = begin; x < end; ++x) to[x] = from[x] > 0 ? from[x] : before ? before[x] : 0;
  };
  for (int64_t y = 0; y < height; ++y)
    piece(q + y * width, y > 0 ? above + (y - 1) * width : nullptr, above + y * width);
  for (int64_t y = height; y-- > 0;)
    piece(q + y * width, y + 1 < height ? below + (y + 1) * width : nullptr, below + y * width);
}

}  // namespace

at::Tensor rays(const at::Tensor& q) {
  const auto measured = at::where(q > 0, q, 0.0);
  return at::cat({nearest(measured, 3, true), nearest(measured, 3, false), nearest(measured, 2, true),
                  nearest(measured, 2, false)},
                 1);
}

at::Tensor rays_cpu(const at::Tensor& q) {
  const auto maps = q.contiguous();
  const int64_t frames = q.size(0), height = q.size(2), width = q.size(3), pixels = height * width;
  auto out = recycled({frames, kDirections, height, width});
  for (int64_t b = 0; b < frames; ++b) {
    const float* from = maps.const_data_ptr<float>() + b * pixels;
    float* const to = out.mutable_data_ptr<float>() + b * kDirections * pixels;
    at::parallel_for(0, height, kGrainRows, [&](int64_t begin, int64_t end) {
      along_rows(from, begin, end, width, to, to + pixels);
    });
    at::parallel_for(0, width, kGrainColumns, [&](int64_t begin, int64_t end) {
      along_columns(from, begin, end, height, width, to + 2 * pixels, to + 3 * pixels);
    });
  }
  return out;
}

at::Tensor borders(const at::Tensor& rays, const at::Tensor& q, const at::Tensor& fill) {
  const auto log = rays.clamp_min(kLeast).log() - fill.clamp_min(kLeast).log();
  return at::where((rays > 0).logical_and(q <= 0), (2 * log).clamp(-1, 1), 0.0);
}

at::Tensor borders_cpu(const at::Tensor& rays, const at::Tensor& q, const at::Tensor& fill) {
  const auto maps = q.contiguous(), filled = fill.contiguous(), borders = rays.contiguous();
  const int64_t pixels = q.size(2) * q.size(3);
  auto out = recycled(borders.sizes()).zero_();
  for (int64_t b = 0; b < q.size(0); ++b) {
    const float* const from = borders.const_data_ptr<float>() + b * kDirections * pixels;
    const float* const measured = maps.const_data_ptr<float>() + b * pixels;
    const float* const under = filled.const_data_ptr<float>() + b * pixels;
    float* const to = out.mutable_data_ptr<float>() + b * kDirections * pixels;
    at::parallel_for(0, pixels, kGrainRows * q.size(3), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (measured[i] > 0) continue;
        const float base = std::max(under[i], kLeast);
        for (int64_t direction = 0; direction < kDirections; ++direction) {
          const float ray = from[direction * pixels + i];
          if (ray > 0)
            to[direction * pixels + i] = std::clamp(2 * std::log(std::max(ray, kLeast) / base), -1.0f, 1.0f);
        }
      }
    });
  }
  return out;
}

}  // namespace rgbd::light
