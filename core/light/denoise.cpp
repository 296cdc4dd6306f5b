// SPDX-License-Identifier: Apache-2.0
// The CPU's form takes eight pixels side by side.
#include "core/light/denoise.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/lanes.h"
#include "core/light/finishing.h"
#include "core/recycled.h"

namespace rgbd::light {
namespace {

/// [B, 1, 1]
at::Tensor noise(const at::Tensor& y, const at::Tensor& measured) {
  const auto seen = measured > 0;
  const auto away = at::abs(measured / y - 1);
  const auto moved = at::where(seen, at::where(away < kMostNoise, away, kMostNoise), 0.0);
  const auto count = seen.sum({1, 2}, /*keepdim=*/true).clamp_min(1);
  return (moved.sum({1, 2}, /*keepdim=*/true) / count).to(at::kFloat);
}

constexpr int64_t kGrainRows = 16;
constexpr int64_t kMargin = 8;  // of zeros on both sides of a row: the farthest step
static_assert(kDenoiseSteps.back() <= kMargin);

RGBD_INLINE void add_alike(const float* from, const Lanes& y, const Lanes& scale, Lanes& total,
                           Lanes& weight) {
  Lanes other;
  load(from, other);
  const Lanes away = (other - y) * scale;
  Lanes alike = 1.0f - away * away;
  const auto is_alike = alike > 0.0f;  // not where both are 0
  alike = is_alike ? alike * alike : Lanes{};
  other = is_alike ? other : Lanes{};  // what is no number stays where it is
  total += alike * other;
  weight += alike;
}

/// One row of `width` pixels, a multiple of kLanes, with those before and behind each.
RGBD_INLINE void average_row(const float* before, const float* row, const float* behind, int64_t width,
                             float tolerance, float* out) {
  for (int64_t x = 0; x < width; x += kLanes) {
    Lanes y;
    load(row + x, y);
    const Lanes scale = 1.0f / (tolerance * y);
    Lanes total = 2.0f * y, weight = Lanes{} + 2.0f;
    add_alike(before + x, y, scale, total, weight);
    add_alike(behind + x, y, scale, total, weight);
    y = total / weight;
    store(y, out + x);
  }
}

void average_row_anywhere(const float* before, const float* row, const float* behind, int64_t width,
                          float tolerance, float* out) {
  average_row(before, row, behind, width, tolerance, out);
}
#ifdef RGBD_AVX2
RGBD_AVX2 void average_row_avx2(const float* before, const float* row, const float* behind, int64_t width,
                                float tolerance, float* out) {
  average_row(before, row, behind, width, tolerance, out);
}
#endif

/// One frame's. Row by row, so that it is the same for any number of threads.
float noise_cpu(const float* y, const float* measured, int64_t height, int64_t width) {
  std::vector<double> moved(height), seen(height);
  at::parallel_for(0, height, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float sum = 0;
      int count = 0;
      for (int64_t i = row * width; i < (row + 1) * width; ++i) {
        const bool there = measured[i] > 0;
        sum += there ? std::min(kMostNoise, std::abs(measured[i] / y[i] - 1)) : 0;
        count += there;
      }
      moved[row] = sum, seen[row] = count;
    }
  });
  const double all = std::accumulate(seen.begin(), seen.end(), 0.0);
  return static_cast<float>(std::accumulate(moved.begin(), moved.end(), 0.0) / std::max(all, 1.0));
}

auto* row_function() {
#ifdef RGBD_AVX2
  if (has_avx2()) return average_row_avx2;
#endif
  return average_row_anywhere;
}

}  // namespace

at::Tensor denoised(const at::Tensor& y, const at::Tensor& measured, double strength) {
  const auto tolerance = strength * noise(y, measured);
  auto out = y;
  for (const int64_t step : kDenoiseSteps) {
    for (const int64_t dim : {2, 1}) {
      const auto scale = 1 / (tolerance * out);
      auto total = 2 * out, weight = at::full_like(out, 2);
      const auto around = at::constant_pad_nd(
          out, dim == 2 ? std::vector<int64_t>{step, step} : std::vector<int64_t>{0, 0, step, step});
      for (const int64_t start : {int64_t{0}, 2 * step}) {
        const auto other = around.narrow(dim, start, out.size(dim));
        const auto alike = 1 - ((other - out) * scale).square();
        const auto is_alike = alike > 0;  // not where both are 0
        total = total + at::where(is_alike, alike.square() * other, 0.0);
        weight = weight + at::where(is_alike, alike.square(), 0.0);
      }
      out = total / weight;
    }
  }
  return out;
}

at::Tensor denoised_cpu(const at::Tensor& y, const at::Tensor& measured, double strength) {
  const auto maps = y.contiguous(), depths = measured.contiguous();
  auto* const average = row_function();
  const int64_t height = y.size(1), width = y.size(2), lanes = (width + kLanes - 1) / kLanes * kLanes;
  const int64_t stride = lanes + 2 * kMargin;
  auto out = recycled(y.sizes());
  const std::vector<float> none(stride);
  std::vector<float> one(height * stride), other(height * stride);  // rows between margins
  for (int64_t b = 0; b < y.size(0); ++b) {
    const float* const from = maps.const_data_ptr<float>() + b * height * width;
    float* const to = out.mutable_data_ptr<float>() + b * height * width;
    const float tolerance =
        static_cast<float>(strength) *
        noise_cpu(from, depths.const_data_ptr<float>() + b * height * width, height, width);
    auto pass = [&](auto&& row) {
      at::parallel_for(0, height, kGrainRows, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) row(i);
      });
    };
    auto line = [&](const std::vector<float>& map, int64_t row) {
      return (row < 0 || row >= height ? none.data() : map.data() + row * stride) + kMargin;
    };
    pass([&](int64_t i) { std::copy_n(from + i * width, width, one.data() + i * stride + kMargin); });
    for (const int64_t step : kDenoiseSteps) {
      pass([&](int64_t i) {
        const float* const row = line(one, i);
        average(row - step, row, row + step, lanes, tolerance, other.data() + i * stride + kMargin);
      });
      pass([&](int64_t i) {
        average(line(other, i - step), line(other, i), line(other, i + step), lanes, tolerance,
                one.data() + i * stride + kMargin);
      });
    }
    pass([&](int64_t i) { std::copy_n(line(one, i), width, to + i * width); });
  }
  return out;
}

}  // namespace rgbd::light
