// SPDX-License-Identifier: Apache-2.0
#include "core/light/fill.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_bilinear2d.h>

namespace rgbd::light {
namespace {

/// at::cat(maps, 1) in the order that convolutions read, channels last, in one pass instead of two.
at::Tensor side_by_side(const std::vector<at::Tensor>& maps) {
  constexpr int64_t kGrain = 8192;
  const int64_t frames = maps[0].size(0), height = maps[0].size(2), width = maps[0].size(3);
  const int64_t pixels = height * width;
  std::vector<at::Tensor> kept;
  int64_t channels = 0;
  for (const auto& map : maps) {
    kept.push_back(map.contiguous());
    channels += map.size(1);
  }
  auto out = at::empty({frames, channels, height, width},
                       maps[0].options().memory_format(at::MemoryFormat::ChannelsLast));
  float* const to = out.mutable_data_ptr<float>();
  std::vector<const float*> from(static_cast<size_t>(channels));
  for (int64_t b = 0; b < frames; ++b) {
    auto plane = from.begin();
    for (const auto& map : kept)
      for (int64_t c = 0; c < map.size(1); ++c)
        *plane++ = map.const_data_ptr<float>() + (b * map.size(1) + c) * pixels;
    at::parallel_for(0, pixels, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        for (int64_t c = 0; c < channels; ++c) to[(b * pixels + i) * channels + c] = from[c][i];
    });
  }
  return out;
}

}  // namespace

at::Tensor enlarged(const at::Tensor& x, int64_t factor) {
  return at::upsample_bilinear2d(x, {factor * x.size(2), factor * x.size(3)}, /*align_corners=*/false);
}

std::vector<at::Tensor> push_pull(const at::Tensor& q, const at::Tensor& mask, int64_t levels) {
  std::vector<at::Tensor> sums{q * mask}, weights{mask}, fills(levels + 1);
  for (int64_t level = 0; level < levels; ++level) {
    sums.push_back(at::avg_pool2d(sums.back(), 2));
    weights.push_back(at::avg_pool2d(weights.back(), 2));
  }
  auto fill = sums.back().mean({2, 3}, /*keepdim=*/true) /
              weights.back().mean({2, 3}, /*keepdim=*/true).clamp_min(1e-6);
  for (int64_t level = levels; level >= 0; --level) {
    if (level < levels) fill = enlarged(fill, 2);
    const auto mean = sums[level] / weights[level].clamp_min(1e-6);
    const auto share = (4 * weights[level]).clamp_max(1);
    fill = share * mean + (1 - share) * fill;
    fills[level] = fill;
  }
  return fills;
}

at::Tensor smooth(const std::vector<at::Tensor>& fills, int64_t level) {
  return enlarged(fills[level], int64_t{1} << level);
}

at::Tensor features(const at::Tensor& colour, const at::Tensor& mask, const std::vector<at::Tensor>& fills,
                    const std::vector<int64_t>& differences, const at::Tensor& borders, bool cpu_form) {
  const auto fine = fills[0].clamp_min(1e-4).log();
  std::vector<at::Tensor> out{colour, fine.clamp(-4, 4), mask};
  for (const auto level : differences) {
    const auto coarse = smooth(fills, level).clamp_min_(1e-4).log_();
    out.push_back((fine - coarse).mul_(8).clamp_(-1, 1).mul_(mask));
  }
  if (borders.defined()) out.push_back(borders);
  return cpu_form ? side_by_side(out) : at::cat(out, 1);
}

}  // namespace rgbd::light
