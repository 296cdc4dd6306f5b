// SPDX-License-Identifier: Apache-2.0
#include "core/cdm/encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>

#include "core/cdm/positions.h"

namespace rgbd::cdm {
namespace {

/// gamma * (W x + b) as one linear. Folded in double.
Linear scaled_linear(const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& gamma,
                     const Backend& backend) {
  const auto scale = gamma.to(at::kDouble);
  return Linear((weight.to(at::kDouble) * scale.unsqueeze(1)).to(at::kFloat),
                (bias.to(at::kDouble) * scale).to(at::kFloat), backend);
}

}  // namespace

Encoder::Encoder(const Weights& weights, const std::string& prefix, bool single_channel,
                 const Backend& backend)
    : variant_(weights.variant()), backend_(backend), single_channel_(single_channel) {
  auto get = [&](const std::string& key) { return weights.get(prefix + "." + key); };
  auto norm = [&](const std::string& key) {
    return LayerNorm(get(key + ".weight"), get(key + ".bias"), backend);
  };

  auto patch = get("patch_embed.proj.weight");
  if (single_channel && backend.optimize)
    patch = patch.to(at::kDouble).sum(1, /*keepdim=*/true).to(at::kFloat);
  patch_ = Conv(patch, get("patch_embed.proj.bias"), kPatch, 0, backend);
  cls_token_ = backend.exact(get("cls_token"));
  pos_embed_ = get("pos_embed");

  // Small gammas would leave fp16's normal range if folded.
  const bool fold = backend.optimize && backend.dtype == at::kFloat;
  for (int64_t b = 0; b < variant_.blocks; ++b) {
    const auto name = "blocks." + std::to_string(b) + ".";
    auto linear = [&](const std::string& key) {
      return Linear(get(name + key + ".weight"), get(name + key + ".bias"), backend);
    };
    auto residual = [&](const std::string& key, const std::string& gamma, at::Tensor& scale) {
      if (!fold) {
        scale = backend.exact(get(name + gamma));
        return linear(key);
      }
      return scaled_linear(get(name + key + ".weight"), get(name + key + ".bias"), get(name + gamma),
                           backend);
    };
    Block block;
    block.norm1 = norm(name + "norm1");
    block.qkv = linear("attn.qkv");
    block.proj = residual("attn.proj", "ls1.gamma", block.ls1);
    block.norm2 = norm(name + "norm2");
    block.ffn_in = linear(variant_.swiglu ? "mlp.w12" : "mlp.fc1");
    block.ffn_out = residual(variant_.swiglu ? "mlp.w3" : "mlp.fc2", "ls2.gamma", block.ls2);
    blocks_.push_back(std::move(block));
  }
  norm_ = norm("norm");
}

at::Tensor Encoder::position_embedding(int64_t rows, int64_t columns) const {
  return backend_.exact(resized_positions(pos_embed_, rows, columns));
}

at::Tensor Encoder::embed(const at::Tensor& image) {
  const auto batch = image.size(0), rows = image.size(2) / kPatch, columns = image.size(3) / kPatch;
  const bool repeat = single_channel_ && !backend_.optimize;
  auto patches = patch_(repeat ? image.repeat({1, 3, 1, 1}) : image).flatten(2).transpose(1, 2);
  auto tokens = at::cat({cls_token_.expand({batch, 1, variant_.channels}), patches.to(at::kFloat)}, 1);
  if (!backend_.optimize) return tokens + position_embedding(rows, columns);
  // Resizing the embedding costs 15 ms on a GPU machine, as much as half the network there.
  auto& cached = embeddings_[{rows, columns}];
  if (!cached.defined()) cached = position_embedding(rows, columns);
  return tokens.add_(cached);
}

at::Tensor Encoder::feed_forward(const Block& block, const at::Tensor& x) const {
  if (!variant_.swiglu) return block.ffn_out(block.ffn_in.gelu(x));
  auto halves = block.ffn_in(x).chunk(2, -1);
  return block.ffn_out(at::silu(halves[0]) * halves[1]);
}

void Encoder::apply(const Block& block, at::Tensor& tokens) const {
  auto qkv = block.qkv(block.norm1(tokens));
  auto mixed =
      backend_.optimize ? attention(qkv, variant_.heads(), backend_) : plain_attention(qkv, variant_.heads());
  auto update = block.proj(mixed);
  tokens.add_(block.ls1.defined() ? update * block.ls1 : update);
  update = feed_forward(block, block.norm2(tokens));
  tokens.add_(block.ls2.defined() ? update * block.ls2 : update);
}

Taps Encoder::operator()(const at::Tensor& image) {
  Taps taps;
  auto tokens = embed(image);
  for (int64_t b = 0, tap = 0; b < variant_.blocks; ++b) {
    apply(blocks_[b], tokens);
    if (b == variant_.taps[tap]) taps[tap++] = norm_(tokens.slice(1, 1));
  }
  return taps;
}

}  // namespace rgbd::cdm
