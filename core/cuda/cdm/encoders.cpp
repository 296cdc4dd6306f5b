// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/cdm/encoders.h"

#include <ATen/TensorOperators.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include "core/cdm/positions.h"
#include "core/cuda/attention.h"
#include "core/cuda/cdm/token_kernels.h"

namespace rgbd::cuda {
namespace {

constexpr const char* kPrefixes[] = {"pretrained.", "depth_pretrained."};
constexpr int64_t kColumns = 592;  // of a patch: 3 x 14 x 14, rounded up to a multiple of 16

int64_t numbers_of(const at::Tensor& tensor) {
  return tensor.size(-1);
}

}  // namespace

Encoders::Encoders(const cdm::Weights& weights, Element element, at::Device device)
    : variant_(weights.variant()), element_(element), device_(device) {
  // Folded in double, on the device.
  auto both = [&](const std::string& key) {
    std::vector<at::Tensor> parts;
    for (const std::string prefix : kPrefixes)
      parts.push_back(weights.get(prefix + key).to(device).to(at::kDouble));
    return at::stack(parts);
  };
  // What a norm multiplies by and adds goes into the product behind it.
  auto behind_norm = [&](const std::string& key, const std::string& norm, Linear::To to) {
    const auto weight = both(key + ".weight"), gain = both(norm + ".weight"), offset = both(norm + ".bias");
    const auto bias = both(key + ".bias") + (weight * offset.unsqueeze(1)).sum(2);
    return Linear((weight * gain.unsqueeze(1)).to(at::kFloat), bias.to(at::kFloat), element, to);
  };
  auto onto_stream = [&](const std::string& key, const std::string& gamma) {
    const auto scale = both(gamma);
    return Linear((both(key + ".weight") * scale.unsqueeze(2)).to(at::kFloat),
                  (both(key + ".bias") * scale).to(at::kFloat), element, Linear::To::kSum);
  };
  const bool whole = element == Element::kTf32x3;
  for (int64_t b = 0; b < variant_.blocks; ++b) {
    const auto name = "blocks." + std::to_string(b) + ".";
    Block block;
    block.qkv = behind_norm(name + "attn.qkv", name + "norm1", Linear::To::kPlain);
    block.proj = onto_stream(name + "attn.proj", name + "ls1.gamma");
    block.ffn_in = behind_norm(name + (variant_.swiglu ? "mlp.w12" : "mlp.fc1"), name + "norm2",
                               variant_.swiglu || whole ? Linear::To::kPlain : Linear::To::kGelu);
    block.ffn_out = onto_stream(name + (variant_.swiglu ? "mlp.w3" : "mlp.fc2"), name + "ls2.gamma");
    blocks_.push_back(std::move(block));
  }
  gain_ = both("norm.weight").to(at::kFloat);
  offset_ = both("norm.bias").to(at::kFloat);

  // The published program repeats depth to three channels: one, with the sum of the weights, is the same.
  const auto patch = both("patch_embed.proj.weight");  // [2, C, 3, 14, 14]
  const auto padded = [](const at::Tensor& w) { return at::constant_pad_nd(w, {0, kColumns - w.size(1)}); };
  patch_ = Linear(at::stack({padded(patch[0].flatten(1)), padded(patch[1].sum(1).flatten(1))}).to(at::kFloat),
                  {}, element, Linear::To::kSum);
  patch_biases_ = both("patch_embed.proj.bias").to(at::kFloat);
  cls_tokens_ = both("cls_token").to(at::kFloat).view({2, 1, variant_.channels});
  for (int e = 0; e < 2; ++e) pos_embeds_[e] = weights.get(kPrefixes[e] + std::string("pos_embed"));
}

const at::Tensor& Encoders::start(int64_t rows, int64_t columns) {
  auto& start = starts_[{rows, columns}];
  if (start.defined()) return start;
  std::vector<at::Tensor> parts;
  for (int e = 0; e < 2; ++e) {
    const auto positions = cdm::resized_positions(pos_embeds_[e], rows, columns).to(device_).squeeze(0);
    parts.push_back(
        at::cat({positions.slice(0, 0, 1) + cls_tokens_[e], positions.slice(0, 1) + patch_biases_[e]}));
  }
  return start = at::stack(parts).unsqueeze(1);
}

at::Tensor Encoders::embed(const at::Tensor& x) {
  const auto batch = x.size(0), rows = x.size(2) / cdm::kPatch, columns = x.size(3) / cdm::kPatch;
  const auto patches = rows * columns, c = variant_.channels, tokens = 1 + patches;
  const auto stream = at::cuda::getCurrentCUDAStream();
  auto options = x.options();
  auto images =
      at::empty({2, batch, patches, kColumns * width(element_)}, options.dtype(plain_type(element_)));
  cuda::patches(x.const_data_ptr<float>(), images.mutable_data_ptr(), element_, batch, x.size(2), x.size(3),
                kColumns, stream);
  const auto out = start(rows, columns).expand({2, batch, tokens, c}).clone(at::MemoryFormat::Contiguous);
  for (int64_t b = 0; b < batch; ++b) {
    const auto from = images.select(1, b), to = out.select(1, b).slice(1, 1);
    patch_({from.mutable_data_ptr(), from.stride(1), from.stride(0)},
           {to.mutable_data_ptr(), to.stride(1), to.stride(0)}, patches, 2);
  }
  return out;
}

void Encoders::apply(const Block& block, const at::Tensor& tokens) const {
  const auto batch = tokens.size(1), rows = batch * tokens.size(2), c = variant_.channels,
             w = width(element_);
  const auto stream = at::cuda::getCurrentCUDAStream();
  const auto plain = tokens.options().dtype(plain_type(element_));
  auto of = [rows](const at::Tensor& t) {
    return Rows{t.mutable_data_ptr(), numbers_of(t), rows * numbers_of(t)};
  };
  auto product = [&](const Linear& linear, const at::Tensor& x) {
    auto y = at::empty({2, rows, linear.outputs()}, plain);
    linear(of(x), of(y), rows, 2);
    return y;
  };
  auto normed = at::empty({2, rows, c * w}, plain);
  normalise(tokens.const_data_ptr<float>(), normed.mutable_data_ptr(), element_, 2 * rows, c, stream);
  auto qkv = product(block.qkv, normed);
  auto mixed = attention(qkv.view({2 * batch, tokens.size(2), 3 * c}), variant_.heads());
  if (w > 1) {
    split(mixed.const_data_ptr<float>(), normed.mutable_data_ptr(), 2 * rows, c, stream);
    mixed = normed;
  }
  block.proj(of(mixed.view({2, rows, c * w})), of(tokens), rows, 2);

  normalise(tokens.const_data_ptr<float>(), normed.mutable_data_ptr(), element_, 2 * rows, c, stream);
  auto inside = product(block.ffn_in, normed);
  const auto hidden = variant_.hidden;
  if (variant_.swiglu) {
    auto gated = at::empty({2, rows, hidden * w}, plain);
    swiglu(inside.const_data_ptr(), gated.mutable_data_ptr(), element_, 2 * rows, hidden, stream);
    inside = gated;
  } else if (w > 1) {
    auto bent = at::empty({2, rows, hidden * w}, plain);
    gelu(inside.const_data_ptr<float>(), bent.mutable_data_ptr(), element_, 2 * rows, hidden, stream);
    inside = bent;
  }
  block.ffn_out(of(inside), of(tokens), rows, 2);
}

void Encoders::operator()(const at::Tensor& x, const OnTap& on_tap) {
  const auto tokens = embed(x);
  for (int64_t b = 0, tap = 0; b < variant_.blocks; ++b) {
    apply(blocks_[b], tokens);
    if (b == variant_.taps[tap]) on_tap(static_cast<int>(tap++), tokens);
  }
}

}  // namespace rgbd::cuda
