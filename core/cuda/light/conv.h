// SPDX-License-Identifier: Apache-2.0
// A layer of the light network: convolution, bias, what is added, ReLU.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/cuda/light/kernels.h"

namespace rgbd::cuda {

light_kernels::NumberType number_type(at::ScalarType type);

/// Channels are padded with zeros to multiples of 8. In half types on tensor cores (compute capability 8.0)
/// by an own kernel that does all of it, else by cuDNN and a kernel for the rest.
class LightConv {
 public:
  LightConv() = default;
  /// weight [out, in, k, k] with k 1 or 3, bias [out]; float32 on the CPU.
  LightConv(const at::Tensor& weight, const at::Tensor& bias, int stride, at::Device device,
            at::ScalarType type);

  /// x [B, in, h, w], other as the result or undefined; channels last, in the layer's type. Returns
  /// relu(convolution + bias + other), or the same without ReLU.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& other = {}, bool relu = true) const;

 private:
  light_kernels::Convolution shape_{};  // but for the frame's size
  bool own_ = false;
  at::Tensor weight_;  // as convolve() wants it, or as cuDNN does
  at::Tensor bias_;    // [out] float32
};

/// [B, channels, h, w] in channels-last layout, not initialised.
at::Tensor activations(int64_t batch, int64_t channels, int64_t height, int64_t width,
                       const at::TensorOptions& options);

}  // namespace rgbd::cuda
