// SPDX-License-Identifier: Apache-2.0
// A step of the U-Net's decoder in one pass, for the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace rgbd::light {

/// relu(skip + x enlarged bilinearly by 2, corners not aligned), in place of skip; to float rounding. x
/// [B, C, h, w], skip [B, C, 2h, 2w]; float32, channels last, C a multiple of 8.
at::Tensor enlarge_add_cpu(const at::Tensor& x, at::Tensor skip);

}  // namespace rgbd::light
