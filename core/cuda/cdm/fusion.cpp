// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/cdm/fusion.h"

#include <ATen/TensorOperators.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>

#include <cmath>

#include "core/cuda/cdm/token_kernels.h"

namespace rgbd::cuda {

Fusion::Fusion(const cdm::Weights& weights, int tap, Element element, at::Device device) : element_(element) {
  const auto attention = "crossAtts." + std::to_string(tap) + ".";
  const auto project = "depth_head_rgbd.projects." + std::to_string(tap) + ".";
  auto get = [&](const std::string& key) { return weights.get(key).to(device).to(at::kDouble); };
  const auto c = weights.variant().channels;
  const auto in = get(attention + "in_proj_weight"), in_bias = get(attention + "in_proj_bias");
  const auto wo = get(attention + "out_proj.weight"), bo = get(attention + "out_proj.bias");
  const auto p = get(project + "weight").flatten(1);
  const auto wv = in.slice(0, 2 * c), bv = in_bias.slice(0, 2 * c);
  const auto pr = p.slice(1, 0, c), pa_wo = at::matmul(p.slice(1, c), wo);
  const double scale = 1.0 / std::sqrt(static_cast<double>(c / cdm::kFusionHeads));
  auto linear = [&](const at::Tensor& weight, const at::Tensor& bias, int64_t segments) {
    return Linear(weight.to(at::kFloat).unsqueeze(0),
                  bias.defined() ? bias.to(at::kFloat).unsqueeze(0) : bias, element, Linear::To::kPlain,
                  segments);
  };
  query_ = linear(in.slice(0, 0, c) * scale, in_bias.slice(0, 0, c) * scale, 1);
  difference_ = linear(in.slice(0, c), {}, 1);
  project_ = linear(at::cat({pr, 2 * at::matmul(pa_wo, wv), pa_wo}, 1),
                    get(project + "bias") + 2 * (at::matmul(p.slice(1, c), bo) + at::matmul(pa_wo, bv)), 3);
}

at::Tensor Fusion::operator()(const at::Tensor& tokens, const at::Tensor& gain,
                              const at::Tensor& offset) const {
  const auto batch = tokens.size(1), patches = tokens.size(2) - 1, c = tokens.size(3), rows = batch * patches;
  const auto segment = c * width(element_);
  const auto stream = at::cuda::getCurrentCUDAStream();
  const auto plain = tokens.options().dtype(plain_type(element_));
  auto joined = at::empty({rows, 3, segment}, plain), difference = at::empty({rows, segment}, plain);
  tap(tokens.const_data_ptr<float>(), gain.const_data_ptr<float>(), offset.const_data_ptr<float>(),
      joined.mutable_data_ptr(), difference.mutable_data_ptr(), element_, batch, patches, c, stream);
  auto queries = at::empty({2, rows, c}, plain), keys_values = at::empty({rows, 2 * c}, plain);
  query_({joined.mutable_data_ptr(), 3 * segment, segment}, {queries.mutable_data_ptr(), c, rows * c}, rows,
         2);
  difference_({difference.mutable_data_ptr(), segment, 0}, {keys_values.mutable_data_ptr(), 2 * c, 0}, rows,
              1);
  weigh(queries.const_data_ptr(), keys_values.const_data_ptr(), joined.mutable_data_ptr(), element_, rows, c,
        static_cast<int>(cdm::kFusionHeads), stream);
  auto out = at::empty({rows, project_.outputs()}, plain);
  project_({joined.mutable_data_ptr(), 3 * segment, 0}, {out.mutable_data_ptr(), project_.outputs(), 0}, rows,
           1);
  return out;
}

}  // namespace rgbd::cuda
