// SPDX-License-Identifier: Apache-2.0
// Which attention runs on a CUDA device.
#pragma once

#include <ATen/core/Tensor.h>

namespace rgbd::cuda {

/// Multi-head self attention over packed projections, heads of 64, scale 1/8. qkv [B, T, 3C] contiguous, rows
/// q | k | v, heads side by side; returns [B, T, C] contiguous of the same type.
at::Tensor attention(const at::Tensor& qkv, int64_t heads);

}  // namespace rgbd::cuda
