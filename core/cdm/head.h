// SPDX-License-Identifier: Apache-2.0
// The DPT head from projected taps to the map. Mirrors rgbddepth's dpt.py, `DPTHead.forward`, and
// util/blocks.py.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "core/cdm/weights.h"
#include "core/ops.h"

namespace rgbd::cdm {

class Head {
 public:
  Head(const Weights& weights, const Backend& backend);

  /// projected[i] [B, P, out_channels[i]], P = rows * columns; returns [B, rows * 14, columns * 14] float32,
  /// >= 0.
  at::Tensor operator()(const std::array<at::Tensor, 4>& projected, int64_t rows, int64_t columns) const;

 private:
  struct ResidualUnit {
    Conv conv1, conv2;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct RefineBlock {
    ResidualUnit unit1, unit2;
    Conv out_conv;
  };
  at::Tensor refine(const RefineBlock& block, at::Tensor path, int64_t height, int64_t width) const;

  Backend backend_;
  at::Tensor up4_weight_, up4_bias_, up2_weight_,
      up2_bias_;  // resize_layers.0 and .1, transposed convolutions
  Conv down_;     // resize_layers.3
  std::array<Conv, 4> layer_rn_;
  std::array<RefineBlock, 4> refine_;
  Conv output1_, output2_, output3_;  // output_conv1, output_conv2.0, output_conv2.2
};

}  // namespace rgbd::cdm
