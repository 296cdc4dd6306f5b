// SPDX-License-Identifier: Apache-2.0
// 3x3 convolutions in steps of 1 on the CPU by Winograd's F(4x4, 3x3) (Lavin and Gray, "Fast algorithms for
// convolutional neural networks", 2015): 36 products a channel for 16 pixels in place of 144.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace rgbd {

class WinogradCpu {
 public:
  /// Whether weights [out, in, 3, 3] of this shape are taken, and were faster so than in oneDNN where it was
  /// tried: Zen 4, AVX2 and FMA, 24 to 224 channels, 8x10 to 240x320 (1.3 to 2.8 times). Intel's AVX-512 was
  /// not.
  static bool suits(const at::Tensor& weight);

  WinogradCpu() = default;
  /// weight [out, in, 3, 3], bias [out] or undefined; float32 on the CPU.
  WinogradCpu(const at::Tensor& weight, const at::Tensor& bias);

  /// y = conv(x) + bias + add, below 0 made 0 if `relu`. x [B, in, h, w] float32, padded with one pixel of 0;
  /// add undefined or as y. Returns [B, out, h, w], channels last. Within 4e-6 of y's largest value at 24
  /// inputs, 1e-5 at 256: ten times the direct form's error. What is no number, or infinite, makes the whole
  /// 4x4 tile NaN. Uses at::parallel_for; the same bits for any number of threads.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& add, bool relu) const;

  explicit operator bool() const { return out_ > 0; }

 private:
  int64_t in_ = 0, out_ = 0;
  std::vector<float> weight_;  // [36][columns / 24 or less][in][24 or less]
  std::vector<float> bias_;    // [out]
};

}  // namespace rgbd
