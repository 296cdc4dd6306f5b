// SPDX-License-Identifier: Apache-2.0
#include "core/light/range.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace rgbd::light {

Range measured_range(const at::Tensor& depth) {
  const auto flat = depth.flatten(1), measured = flat > 0;
  const auto n = measured.sum(1);
  const auto sorted = std::get<0>(at::where(measured, flat, std::numeric_limits<double>::infinity()).sort(1));
  const auto last = (n - 1).clamp_min(0);
  // floor(share * last) in whole numbers: MPS has no float64.
  auto at_percent = [&](int64_t percent) {
    const auto index = at::div(last * percent, 100, "floor").unsqueeze(1);
    return at::where(n > 0, sorted.gather(1, index).squeeze(1), 0.0);
  };
  return {n, at_percent(1), at_percent(50), at_percent(99)};
}

Range measured_range_cpu(const at::Tensor& depth) {
  const int64_t batch = depth.size(0), pixels = depth[0].numel();
  const auto maps = depth.contiguous();
  auto frames = [&](at::ScalarType type) { return at::empty({batch}, maps.options().dtype(type)); };
  Range range{frames(at::kLong), frames(at::kFloat), frames(at::kFloat), frames(at::kFloat)};
  std::vector<float> measured(static_cast<size_t>(pixels));
  for (int64_t b = 0; b < batch; ++b) {
    const float* map = maps.const_data_ptr<float>() + b * pixels;
    const auto begin = measured.begin();
    auto end = begin;
    // Without a branch: what is measured and what is not follows no pattern.
    for (int64_t i = 0; i < pixels; ++i) *end = map[i], end += map[i] > 0;
    const int64_t n = end - begin, last = std::max<int64_t>(n - 1, 0);
    auto at_percent = [&](int64_t percent) { return begin + last * percent / 100; };
    // The median first: selecting below it and above it then leave each other alone.
    auto select = [&](auto first, auto at, auto past) {
      if (at != past) std::nth_element(first, at, past);
      return n > 0 ? *at : 0;
    };
    const auto middle = at_percent(50);
    range.n.mutable_data_ptr<int64_t>()[b] = n;
    range.median.mutable_data_ptr<float>()[b] = select(begin, middle, end);
    range.low.mutable_data_ptr<float>()[b] = select(begin, at_percent(1), middle);
    range.high.mutable_data_ptr<float>()[b] = select(middle, at_percent(99), end);
  }
  return range;
}

}  // namespace rgbd::light
