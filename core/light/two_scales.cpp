// SPDX-License-Identifier: Apache-2.0
#include "core/light/two_scales.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/where.h>

#include <utility>

namespace rgbd::light {

at::Tensor halved(const at::Tensor& x) {
  const auto right = x.size(3) % 2, below = x.size(2) % 2;
  const auto even = right || below ? at::replication_pad2d(x, {0, right, 0, below}) : x;
  const auto means = at::avg_pool2d(even, 2);
  const auto share = at::avg_pool2d((even.slice(1, 3) > 0).to(at::kFloat), 2);
  const auto depth = at::where(share > 0, means.slice(1, 3) / share.clamp_min(0.25), 0.0);
  return at::cat({means.slice(1, 0, 3), depth}, 1);
}

TwoScales::TwoScales(std::unique_ptr<Network> network, int64_t far) : network_(std::move(network)), far_(far) {}

at::Tensor TwoScales::forward(const at::Tensor& x) {
  const auto y = network_->forward(x);
  const auto window = 2 * far_ + 1;
  // Where halved(x) has depth.
  auto near = at::max_pool2d((x.slice(1, 3) > 0).to(at::kFloat), 2, 2, 0, 1, /*ceil_mode=*/true);
  near = at::max_pool2d(near, {window, 1}, 1, {far_, 0});
  near = at::max_pool2d(near, {1, window}, 1, {0, far_});
  if (x.is_cpu() && (near > 0).all().item<bool>()) return y;
  auto coarser = network_->forward(halved(x)).unsqueeze(1) * (near == 0);
  coarser = at::upsample_nearest2d(coarser, {2 * coarser.size(2), 2 * coarser.size(3)})
                .squeeze(1)
                .slice(1, 0, y.size(1))
                .slice(2, 0, y.size(2));
  // Nothing where too little is measured in all, at either size.
  return at::where((coarser > 0).logical_and(y > 0), coarser, y);
}

}  // namespace rgbd::light
