// SPDX-License-Identifier: Apache-2.0
// The DPT head from projected taps to the map, channels last throughout. The plain form is core/cdm/head.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "core/cdm/weights.h"
#include "core/cuda/cdm/conv.h"
#include "core/cuda/linear.h"

namespace rgbd::cuda {

class Head {
 public:
  Head(const cdm::Weights& weights, Element element, at::Device device);

  /// projected[i] [B * rows * columns, out_channels[i]] plain; returns [B, rows * 14, columns * 14] float32,
  /// >= 0.
  at::Tensor operator()(const std::array<at::Tensor, 4>& projected, int64_t batch, int64_t rows,
                        int64_t columns) const;

 private:
  struct Level {
    Conv lateral;       // layer_rn
    Conv skip1, skip2;  // resConfUnit1, of what comes from the side; not at the deepest level
    Conv path1, path2;  // resConfUnit2
    Linear out;         // out_conv
  };
  at::Tensor operand(const at::Tensor& x) const;
  at::Tensor enlarged_by_weights(const Linear& linear, const at::Tensor& x, int64_t factor) const;

  Element element_;
  Linear up4_, up2_;  // resize_layers.0 and .1, transposed convolutions without overlap
  Conv down_;         // resize_layers.3
  std::array<Level, 4> levels_;
  Conv output1_, output2_;              // output_conv1, output_conv2.0
  at::Tensor last_weight_, last_bias_;  // output_conv2.2, [C] and [1] float32
};

}  // namespace rgbd::cuda
