// SPDX-License-Identifier: Apache-2.0
// What happens to tokens between matrix products. Device pointers, rows contiguous, channels multiples of 8;
// everything is queued on the stream. "Operand" and "plain": see core/cuda/element.h; a plain number of
// kTf32x3 is a float. No torch here.
#pragma once

#include <cuda_runtime_api.h>

#include "core/cuda/element.h"

namespace rgbd::cuda {

/// Widest token these kernels take.
inline constexpr int64_t kMostChannels = 1536;

/// x [batch, 4, height, width] float32 -> operands [2, batch, patches, columns], columns >= 588 of which the
/// rest is 0: the colour patches as [3, 14, 14], the depth patches as [14, 14].
void patches(const float* x, void* out, Element element, int64_t batch, int64_t height, int64_t width,
             int64_t columns, cudaStream_t stream);

/// (x - mean) / deviation over a row, eps 1e-6: x [rows, channels] float32 -> operands. Gain and offset are
/// in the weights behind.
void normalise(const float* x, void* out, Element element, int64_t rows, int64_t channels,
               cudaStream_t stream);

/// The erf form: x [rows, channels] float32 -> operands.
void gelu(const float* x, void* out, Element element, int64_t rows, int64_t channels, cudaStream_t stream);

/// silu(a) * b: x [rows, 2 * channels] plain, a | b -> operands [rows, channels].
void swiglu(const void* x, void* out, Element element, int64_t rows, int64_t channels, cudaStream_t stream);

/// Plain numbers as operands, [rows, channels]. For kTf32x3; half types are operands as they are.
void split(const float* x, void* out, int64_t rows, int64_t channels, cudaStream_t stream);

/// A tap of both encoders, tokens [2, batch, 1 + patches, channels] float32, normalised with gain and offset
/// [2, channels]: colour and depth go into the first two of the three segments of joined [batch * patches, 3,
/// channels], their difference into difference [batch * patches, channels]; operands.
void tap(const float* tokens, const float* gain, const float* offset, void* joined, void* difference,
         Element element, int64_t batch, int64_t patches, int64_t channels, cudaStream_t stream);

/// The two-token attention's closed form (core/cdm/fusion.cpp): queries [2, rows, channels], keys_values
/// [rows, 2 * channels] plain; writes w * values into the last segment of joined [rows, 3, channels],
/// operands.
void weigh(const void* queries, const void* keys_values, void* joined, Element element, int64_t rows,
           int64_t channels, int heads, cudaStream_t stream);

}  // namespace rgbd::cuda
