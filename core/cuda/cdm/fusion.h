// SPDX-License-Identifier: Apache-2.0
// Colour and depth tokens of the same patch meet, in the closed form that core/cdm/fusion.cpp derives.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/cdm/weights.h"
#include "core/cuda/linear.h"

namespace rgbd::cuda {

/// One tap's fusion and the head's 1x1 projection behind it.
class Fusion {
 public:
  Fusion(const cdm::Weights& weights, int tap, Element element, at::Device device);

  /// tokens [2, B, 1 + P, C] float32 of both encoders; gain, offset [2, C] of the last norm. Returns [B * P,
  /// out_channels] plain.
  at::Tensor operator()(const at::Tensor& tokens, const at::Tensor& gain, const at::Tensor& offset) const;

 private:
  Element element_;
  Linear query_;       // C -> C, for both
  Linear difference_;  // C -> 2C: keys and values of rgb - depth
  Linear project_;     // rgb | depth | attention -> out_channels
};

}  // namespace rgbd::cuda
