// SPDX-License-Identifier: Apache-2.0
// What happens to the head's maps between convolutions. Device pointers; maps are channels last, [batch,
// height, width, channels], contiguous, channels multiples of 8; everything is queued on the stream.
// "Operand" and "plain": see core/cuda/element.h. No torch here.
#pragma once

#include <cuda_runtime_api.h>

#include "core/cuda/element.h"

namespace rgbd::cuda {

/// A transposed convolution's products spread out: x [batch, height, width, factor, factor, channels] plain
/// -> [batch, factor * height, factor * width, channels] plain.
void spread(const void* x, void* out, Element element, int64_t batch, int64_t height, int64_t width,
            int64_t factor, int64_t channels, cudaStream_t stream);

/// The sum of what is there, per number: small, enlarged bilinearly with aligned corners; map; skip; bias.
struct Combination {
  const void* small = nullptr;  // [batch, small_height, small_width, channels] plain
  int64_t small_height = 0, small_width = 0;
  const void* map = nullptr;    // [batch, height, width, channels] plain
  const void* skip = nullptr;   // alike
  const float* bias = nullptr;  // [channels]
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  void* sum = nullptr;      // where the sum goes, plain, if anywhere; may be `map` or `skip`…
  void* bent = nullptr;     // … and relu of it, plain; may be `map`…
  void* operand = nullptr;  // … and the sum as operands
};
void combine(const Combination& c, Element element, cudaStream_t stream);

/// The end of the network: relu(weight . relu(x + bias) + last_bias). x [pixels, channels] plain -> y
/// [pixels] float32; bias, weight [channels] and last_bias [1] float32.
void finish(const void* x, const float* bias, const float* weight, const float* last_bias, float* y,
            Element element, int64_t pixels, int64_t channels, cudaStream_t stream);

}  // namespace rgbd::cuda
