// SPDX-License-Identifier: Apache-2.0
// The convolutional U-Net: residual blocks without norms, additive skips.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/light/weights.h"
#include "core/ops.h"

namespace rgbd::light {

class Unet {
 public:
  Unet(const Weights& weights, const Backend& backend);

  struct Output {
    at::Tensor coarse;  // [B, 1, H/4, W/4], log correction of the fill
    at::Tensor last;    // [B, widths[0], H/2, W/2], what the head sees
  };
  /// What features() returns, any float type, or with cpu_forms what features_cpu() does; of maps with sides
  /// that are multiples of the padding. Returns the backend's type.
  Output operator()(const at::Tensor& features) const;

 private:
  /// relu(x + conv2(relu(conv1(x))))
  struct Block {
    Conv conv1, conv2;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Encoder {  // halves the size
    Conv down;
    std::vector<Block> blocks;
  };
  struct Decoder {  // doubles it
    Conv lateral;
    Block block;
  };

  bool channels_last_, cpu_forms_;
  Conv stem_[2];
  std::vector<Encoder> encoder_;
  std::vector<Decoder> decoder_;
  Conv coarse_;
};

}  // namespace rgbd::light
