// SPDX-License-Identifier: Apache-2.0
#include "core/cdm/head.h"

#include <ATen/ops/relu.h>
#include <ATen/ops/upsample_bilinear2d.h>

namespace rgbd::cdm {
namespace {

at::Tensor resize(const at::Tensor& x, int64_t height, int64_t width) {
  return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/true);
}

}  // namespace

Head::Head(const Weights& weights, const Backend& backend) : backend_(backend) {
  const std::string head = "depth_head_rgbd.", scratch = head + "scratch.";
  auto conv = [&](const std::string& key, int64_t stride, int64_t padding) {
    return Conv(weights.get(key + ".weight"), weights.get(key + ".bias"), stride, padding, backend);
  };
  up4_weight_ = backend.product(weights.get(head + "resize_layers.0.weight"));
  up4_bias_ = backend.product(weights.get(head + "resize_layers.0.bias"));
  up2_weight_ = backend.product(weights.get(head + "resize_layers.1.weight"));
  up2_bias_ = backend.product(weights.get(head + "resize_layers.1.bias"));
  down_ = conv(head + "resize_layers.3", 2, 1);
  for (int i = 0; i < 4; ++i) {
    const auto level = std::to_string(i + 1);
    layer_rn_[i] = Conv(weights.get(scratch + "layer" + level + "_rn.weight"), {}, 1, 1, backend);
    const auto block = scratch + "refinenet" + level + ".";
    auto unit = [&](const std::string& name) {
      return ResidualUnit{conv(block + name + ".conv1", 1, 1), conv(block + name + ".conv2", 1, 1)};
    };
    if (i < 3) refine_[i].unit1 = unit("resConfUnit1");  // the deepest block has no skip
    refine_[i].unit2 = unit("resConfUnit2");
    refine_[i].out_conv = conv(block + "out_conv", 1, 0);
  }
  output1_ = conv(scratch + "output_conv1", 1, 1);
  output2_ = conv(scratch + "output_conv2.0", 1, 1);
  output3_ = conv(scratch + "output_conv2.2", 1, 0);
}

at::Tensor Head::ResidualUnit::operator()(const at::Tensor& x) const {
  return conv2.plus(conv1.relu(at::relu(x)), x);
}

at::Tensor Head::refine(const RefineBlock& block, at::Tensor path, int64_t height, int64_t width) const {
  path = block.unit2(path);
  // A 1x1 convolution and a bilinear resize commute (the weights of the latter sum to one): do it on the
  // small map.
  if (backend_.optimize) return resize(block.out_conv(path), height, width);
  return block.out_conv(resize(path, height, width));
}

at::Tensor Head::operator()(const std::array<at::Tensor, 4>& projected, int64_t rows, int64_t columns) const {
  std::array<at::Tensor, 4> maps;
  for (int i = 0; i < 4; ++i) {
    // [B, P, C] is a channels-last map already; the published program transposes it.
    maps[i] = projected[i].view({projected[i].size(0), rows, columns, -1}).permute({0, 3, 1, 2});
    if (!backend_.optimize) maps[i] = maps[i].contiguous();
  }
  maps[0] = convolve(maps[0].to(backend_.dtype), up4_weight_, up4_bias_, 4, 0, true);
  maps[1] = convolve(maps[1].to(backend_.dtype), up2_weight_, up2_bias_, 2, 0, true);
  maps[3] = down_(maps[3]);
  for (int i = 0; i < 4; ++i) maps[i] = layer_rn_[i](maps[i]);

  auto path = maps[3];
  for (int i = 3; i >= 0; --i) {
    if (i < 3) path = path.add_(refine_[i].unit1(maps[i]));
    const auto height = i ? maps[i - 1].size(2) : 2 * path.size(2);
    const auto width = i ? maps[i - 1].size(3) : 2 * path.size(3);
    path = refine(refine_[i], path, height, width);
  }
  path = resize(output1_(path), rows * kPatch, columns * kPatch);
  path = output3_.relu(output2_.relu(path));
  return path.squeeze(1).to(at::kFloat).contiguous();
}

}  // namespace rgbd::cdm
