// SPDX-License-Identifier: Apache-2.0
// Softmax attention for heads of 64 channels on CPUs with AVX2 and FMA.
#pragma once

#include <ATen/core/Tensor.h>

namespace rgbd {

/// True when this CPU has AVX2 and FMA but not AVX-512 (there torch's own attention has wider vectors), and
/// heads are 64 wide.
bool attention_cpu_supports(int64_t head_dim);

/// qkv [B, T, 3C] contiguous float32, rows q | k | v, heads of 64 side by side; returns [B, T, C].
/// Error against double arithmetic below 1e-6 of the largest value. Uses at::parallel_for; deterministic.
at::Tensor attention_cpu(const at::Tensor& qkv, int64_t heads);

}  // namespace rgbd
