// SPDX-License-Identifier: Apache-2.0
// Colour and depth tokens of the same patch meet: attention over a sequence of two. Mirrors rgbddepth's
// dpt.py, `crossAtts` and the `projects` of its head.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/cdm/weights.h"
#include "core/ops.h"

namespace rgbd::cdm {

/// One tap's fusion and the head's 1x1 projection behind it.
class Fusion {
 public:
  Fusion(const Weights& weights, int tap, const Backend& backend);

  /// rgb, depth [B, P, C]; returns [B, P, out_channels].
  at::Tensor operator()(const at::Tensor& rgb, const at::Tensor& depth) const;

 private:
  at::Tensor plain(const at::Tensor& rgb, const at::Tensor& depth) const;
  at::Tensor closed_form(const at::Tensor& rgb, const at::Tensor& depth) const;

  Backend backend_;
  // Plain: the sequence [rgb, depth] through nn.MultiheadAttention, both outputs summed, joined with rgb,
  // projected.
  Linear in_proj_, out_proj_, project_;
  // Closed form; see fusion.cpp for the algebra.
  Linear query_;                                   // C -> C
  Linear difference_;                              // C -> 2C: keys and values of rgb - depth
  Linear from_rgb_, from_depth_, from_attention_;  // C -> out_channels
};

}  // namespace rgbd::cdm
