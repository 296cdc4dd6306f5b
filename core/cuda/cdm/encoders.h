// SPDX-License-Identifier: Apache-2.0
// Both DINOv2 encoders side by side: the same shapes, other weights, so that every launch does the work of
// two. The plain form is core/cdm/encoder.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <vector>

#include "core/cdm/weights.h"
#include "core/cuda/linear.h"

namespace rgbd::cuda {

class Encoders {
 public:
  Encoders(const cdm::Weights& weights, Element element, at::Device device);

  /// tokens [2, B, 1 + P, C] float32, colour first, not normalised; changes with the next block.
  using OnTap = std::function<void(int tap, const at::Tensor& tokens)>;
  /// x [B, 4, h, w] float32, sides multiples of 14. Queued on the current stream.
  void operator()(const at::Tensor& x, const OnTap& on_tap);

  /// Of the last norm, [2, C] float32.
  const at::Tensor& gain() const { return gain_; }
  const at::Tensor& offset() const { return offset_; }

 private:
  struct Block {
    Linear qkv, proj, ffn_in, ffn_out;
  };
  at::Tensor embed(const at::Tensor& x);
  void apply(const Block& block, const at::Tensor& tokens) const;
  const at::Tensor& start(int64_t rows, int64_t columns);

  cdm::Variant variant_;
  Element element_;
  at::Device device_;
  Linear patch_;
  std::vector<Block> blocks_;
  at::Tensor gain_, offset_;
  // Class tokens, position embeddings on the CPU, patch biases: what tokens are before the image comes in.
  at::Tensor cls_tokens_, pos_embeds_[2], patch_biases_;
  std::map<std::pair<int64_t, int64_t>, at::Tensor> starts_;  // by grid: [2, 1, 1 + P, C]
};

}  // namespace rgbd::cuda
