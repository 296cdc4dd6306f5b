// SPDX-License-Identifier: Apache-2.0
// The head's last step: every pixel chooses among the measured depths around it, coarse depths around it,
// means, depths at the borders of holes and one free depth, and is held within what was measured. All depths
// are inverse, over the frame's median; float32.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/light/weights.h"
#include "core/ops.h"

namespace rgbd::light {

/// What the choice is made from.
struct Evidence {
  at::Tensor q;                    // [B, 1, H, W] measured, 0 = hole
  at::Tensor fill;                 // [B, 1, H, W]
  at::Tensor fill4;                // [B, 1, H/4, W/4]
  std::vector<at::Tensor> smooth;  // [B, 1, H, W] each, Settings::smooth
  at::Tensor rays;                 // [B, 4, H, W], or undefined where Settings::rays is 0
  at::Tensor coarse;               // [B, 1, H/4, W/4] log correction of fill4, any float type
  at::Tensor last;                 // [B, C, H/2, W/2] the U-Net's features, any float type
  at::Tensor low, high;            // [B, 1, 1, 1] limits of filled pixels
};

class Choice {
 public:
  Choice(const Weights& weights, const Backend& backend);

  /// [B, 1, H, W], > 0 if anything was measured.
  at::Tensor operator()(const Evidence& evidence) const;

 private:
  at::Tensor plain(const Evidence& evidence) const;
  at::Tensor fused(const Evidence& evidence) const;

  Settings settings_;
  // To the logits of four pixels and their log correction of the fill, as pixel_shuffle takes them.
  Conv head_;
  at::Tensor fused_weight_, fused_bias_;  // the head's; undefined where it is not fused
};

/// fill * e^(s held softly within ±limit).
at::Tensor corrected(const at::Tensor& fill, const at::Tensor& s, double limit);

/// The farthest of some offsets in any direction, pixels.
int64_t reach(const std::vector<Offset>& offsets);

}  // namespace rgbd::light
