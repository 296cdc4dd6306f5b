// SPDX-License-Identifier: Apache-2.0
// Softmax attention for heads of 64 channels on CPUs with AVX2 and FMA.
#pragma once

#include <ATen/core/Tensor.h>

namespace rgbd {

/// True when this CPU has AVX2 and FMA, and heads are 64 wide.
bool attention_cpu_supports(int64_t head_dim);

/// True where it is known to beat torch's: AVX2 alone (1.16 times) and AMD with AVX-512 (Zen 4: 1.3 times at
/// 1814 tokens on two threads; 512-bit vectors brought it 2 % more, not worth a second kernel). Intel's
/// AVX-512 was never measured.
bool attention_cpu_preferred();

/// qkv [B, T, 3C] contiguous float32, rows q | k | v, heads of 64 side by side; returns [B, T, C].
/// Error against double arithmetic below 1e-6 of the largest value. Uses at::parallel_for; deterministic.
at::Tensor attention_cpu(const at::Tensor& qkv, int64_t heads);

}  // namespace rgbd
