// SPDX-License-Identifier: Apache-2.0
// The closed form. Softmax over two keys is a sigmoid of the difference of the two scores, and the two output
// tokens are only ever summed. With d = rgb - depth, per head w = sigmoid(q_rgb . k_d) + sigmoid(q_depth .
// k_d) (key biases cancel; the scale is folded into q), the sum over both outputs before out_proj is
//     z = w v_rgb + (2 - w) v_depth = w (Wv d) + 2 (Wv depth + bv),
// and everything linear behind it folds into the head's projection P = [Pr | Pa]:
//     Pr rgb + (Pa Wo) (w * Wv d) + (2 Pa Wo Wv) depth + [bp + 2 Pa (bo + Wo bv)].
// 8 products of C x C become 4 and three of C x out_channels, and the softmax over length 2 disappears.
#include "core/cdm/fusion.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>

#include <cmath>

namespace rgbd::cdm {

Fusion::Fusion(const Weights& weights, int tap, const Backend& backend) : backend_(backend) {
  const auto attention = "crossAtts." + std::to_string(tap) + ".";
  const auto project = "depth_head_rgbd.projects." + std::to_string(tap) + ".";
  const auto in_weight = weights.get(attention + "in_proj_weight"),
             in_bias = weights.get(attention + "in_proj_bias");
  const auto out_weight = weights.get(attention + "out_proj.weight"),
             out_bias = weights.get(attention + "out_proj.bias");
  const auto project_weight = weights.get(project + "weight").flatten(1),
             project_bias = weights.get(project + "bias");

  if (!backend.optimize) {
    in_proj_ = Linear(in_weight, in_bias, backend);
    out_proj_ = Linear(out_weight, out_bias, backend);
    project_ = Linear(project_weight, project_bias, backend);
    return;
  }
  const auto c = weights.variant().channels;
  auto in = in_weight.to(at::kDouble), in_b = in_bias.to(at::kDouble);
  auto wo = out_weight.to(at::kDouble), bo = out_bias.to(at::kDouble);
  auto p = project_weight.to(at::kDouble);
  auto wv = in.slice(0, 2 * c), bv = in_b.slice(0, 2 * c);
  auto pr = p.slice(1, 0, c), pa = p.slice(1, c);
  const double scale = 1.0 / std::sqrt(static_cast<double>(c / kFusionHeads));
  auto linear = [&](const at::Tensor& weight, const at::Tensor& bias) {
    return Linear(weight.to(at::kFloat).contiguous(), bias.defined() ? bias.to(at::kFloat) : bias, backend);
  };
  query_ = linear(in.slice(0, 0, c) * scale, in_b.slice(0, 0, c) * scale);
  difference_ = linear(in.slice(0, c), {});
  auto pa_wo = at::matmul(pa, wo);
  from_attention_ = linear(pa_wo, {});
  from_depth_ = linear(2 * at::matmul(pa_wo, wv), {});
  from_rgb_ = linear(pr, project_bias.to(at::kDouble) + 2 * (at::matmul(pa, bo) + at::matmul(pa_wo, bv)));
}

at::Tensor Fusion::operator()(const at::Tensor& rgb, const at::Tensor& depth) const {
  return backend_.optimize ? closed_form(rgb, depth) : plain(rgb, depth);
}

at::Tensor Fusion::plain(const at::Tensor& rgb, const at::Tensor& depth) const {
  const auto batch = rgb.size(0), patches = rgb.size(1), c = rgb.size(2);
  auto pairs = at::stack({rgb, depth}, 2).view({batch * patches, 2, c});
  auto both = out_proj_(plain_attention(in_proj_(pairs), kFusionHeads));
  auto sum = both.view({batch, patches, 2, c}).sum(2);
  return project_(at::cat({rgb.to(sum.scalar_type()), sum}, 2));
}

at::Tensor Fusion::closed_form(const at::Tensor& rgb, const at::Tensor& depth) const {
  const auto batch = rgb.size(0), patches = rgb.size(1), c = rgb.size(2);
  auto by_head = [&](const at::Tensor& x) {
    return x.reshape({batch, patches, kFusionHeads, c / kFusionHeads});
  };
  auto difference = difference_(rgb - depth);
  auto keys = by_head(difference.slice(2, 0, c)), values = by_head(difference.slice(2, c));
  auto weight = [&](const at::Tensor& tokens) {
    return at::sigmoid((by_head(query_(tokens)) * keys).sum(-1, true));
  };
  auto weighted = (values * (weight(rgb) + weight(depth))).view({batch, patches, c});
  return from_rgb_(rgb).add_(from_depth_(depth)).add_(from_attention_(weighted));
}

}  // namespace rgbd::cdm
