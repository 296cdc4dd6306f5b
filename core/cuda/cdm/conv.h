// SPDX-License-Identifier: Apache-2.0
// Convolutions through cuDNN, of maps that lie channels last.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/cuda/element.h"

namespace rgbd::cuda {

/// Square kernel, symmetric padding. Maps are [B, h, w, C] contiguous, of plain numbers
/// (core/cuda/element.cuh). float32 is whole: three TF32 convolutions would take half the time, but tensor
/// cores cut off what does not fit when they add, which moves the network's output by 2e-5 on average.
class Conv {
 public:
  Conv() = default;
  /// weight [out, in, k, k], bias [out] or undefined, any float type, on the device.
  Conv(const at::Tensor& weight, const at::Tensor& bias, int64_t stride, int64_t padding, Element element);

  /// Returns y without the bias.
  at::Tensor operator()(const at::Tensor& x) const;
  /// relu(y + bias).
  at::Tensor relu(const at::Tensor& x) const;

  /// [out] float32, or undefined.
  const at::Tensor& bias() const { return bias_; }

 private:
  Element element_ = Element::kFp16;
  int64_t stride_ = 1, padding_ = 0;
  // Turned for cuDNN and back: for float32 from 64 to 64 channels (the head of vits) cuDNN 9.19 takes 2807 us
  // channels last at 148x196, 70 channels first, and 18 to turn each way; to 32 and from 128 on the two are
  // alike (H100). From other numbers to 64: vits went from 22.4 to 10.0 ms, vitb stayed.
  bool channels_first_ = false;
  at::Tensor weight_, bias_, plain_bias_;
};

}  // namespace rgbd::cuda
