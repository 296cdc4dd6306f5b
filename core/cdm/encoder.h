// SPDX-License-Identifier: Apache-2.0
// A DINOv2 vision transformer, tapped at four depths. Mirrors rgbddepth's dinov2.py,
// `get_intermediate_layers`.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/cdm/weights.h"
#include "core/ops.h"

namespace rgbd::cdm {

/// Patch tokens [B, P, C] float32 after each tapped block, normalised, without the class token.
using Taps = std::array<at::Tensor, 4>;

class Encoder {
 public:
  /// `prefix`: "pretrained" for colour, "depth_pretrained" for depth (one input channel, which the published
  /// program repeats to three; here the weights are summed over them instead, unless backend.optimize is
  /// off).
  Encoder(const Weights& weights, const std::string& prefix, bool single_channel, const Backend& backend);

  /// image [B, 3, h, w] or [B, 1, h, w] float32, sides multiples of 14.
  Taps operator()(const at::Tensor& image);

  /// Class token and position embedding for a grid of patches: [1, 1 + P, C]. Depends on the size only.
  at::Tensor position_embedding(int64_t rows, int64_t columns) const;

 private:
  struct Block {
    LayerNorm norm1, norm2;
    Linear qkv, proj;
    Linear ffn_in, ffn_out;  // fc1, fc2; or w12, w3 when gated
    at::Tensor ls1, ls2;     // LayerScale [C]; undefined when folded into proj and ffn_out
  };
  void apply(const Block& block, at::Tensor& tokens) const;
  at::Tensor feed_forward(const Block& block, const at::Tensor& x) const;
  at::Tensor embed(const at::Tensor& image);

  Variant variant_;
  Backend backend_;
  Conv patch_;
  at::Tensor cls_token_;  // [1, 1, C]
  at::Tensor pos_embed_;  // [1, 1 + 37 * 37, C], on the CPU: no device but it has every bicubic
  std::vector<Block> blocks_;
  LayerNorm norm_;
  bool single_channel_;
  std::map<std::pair<int64_t, int64_t>, at::Tensor> embeddings_;  // by grid; optimised form only
};

}  // namespace rgbd::cdm
