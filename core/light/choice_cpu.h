// SPDX-License-Identifier: Apache-2.0
// The choice in one pass over the pixels, for the CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/light/settings.h"

namespace rgbd::light {

inline constexpr float kNever = -1e4f;  // logit of a candidate without depth

/// What choose_cpu() reads: float32, contiguous, CPU. W is a multiple of 8.
struct FusedChoice {
  at::Tensor weight;               // [4 (candidates + 1), C] of the head
  at::Tensor bias;                 // [4 (candidates + 1)]
  at::Tensor last;                 // [B, H/2, W/2, C] what the head sees
  at::Tensor raw;                  // [B, 1, H + 2 margin, W + 2 margin] measured depths, 0 outside the frame
  int64_t margin = 0;              // fused_margin()
  at::Tensor coarse;               // [B, 1, H + 2 border, W + 2 border]
  int64_t border = 0;              // >= reach(settings.coarse)
  std::vector<at::Tensor> smooth;  // [B, 1, H, W] each
  at::Tensor rays;                 // [B, settings.rays, H, W]; undefined without any
  at::Tensor fill;                 // [B, 1, H, W]
  at::Tensor low, high;            // [B, 1, 1, 1]
};

/// The margin that offsets and window need, a multiple of 4.
int64_t fused_margin(const Settings& settings);

/// [B, 1, H, W]; the plain form's result to float rounding (a softmax's sum cancels, so it is not divided
/// by). On one thread 21 ms at 640x480 where head and plain operations take 200. Deterministic.
at::Tensor choose_cpu(const FusedChoice& in, const Settings& settings);

}  // namespace rgbd::light
