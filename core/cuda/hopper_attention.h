// SPDX-License-Identifier: Apache-2.0
// Attention written for Hopper's warpgroup matrix instructions. No torch here.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/cuda/element.h"

namespace rgbd::cuda {

/// Multi-head self attention, heads of 64, scale 1/8, over packed projections. qkv [batch, tokens, 3, heads,
/// 64], out [batch, tokens, heads, 64], device memory, contiguous, qkv on 16 bytes; fp16 or bf16. Queued on
/// the stream. Compute capability 9.0 only. Returns an error's text, or null.
const char* hopper_attention(const void* qkv, void* out, Element element, int64_t batch, int64_t tokens,
                             int64_t heads, cudaStream_t stream);

}  // namespace rgbd::cuda
