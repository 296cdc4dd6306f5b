// SPDX-License-Identifier: Apache-2.0
#include "core/light/fill.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bilinear2d.h>

namespace rgbd::light {
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
                    const std::vector<int64_t>& differences, const at::Tensor& borders) {
  const auto fine = fills[0].clamp_min(1e-4).log();
  std::vector<at::Tensor> out{colour, fine.clamp(-4, 4), mask};
  for (const auto level : differences) {
    const auto coarse = smooth(fills, level).clamp_min_(1e-4).log_();
    out.push_back((fine - coarse).mul_(8).clamp_(-1, 1).mul_(mask));
  }
  if (borders.defined()) out.push_back(borders);
  return at::cat(out, 1);
}

}  // namespace rgbd::light
