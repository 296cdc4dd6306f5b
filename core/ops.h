// SPDX-License-Identifier: Apache-2.0
// The primitives the networks are written in, and where they run. Any device that ATen knows works; the
// CPU has faster forms of its own, used when `optimize` is on.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/network.h"
#include "core/winograd_cpu.h"

namespace rgbd {

/// How a network's operations run.
struct Backend {
  explicit Backend(const NetworkOptions& options);

  /// `tensor` on the device, in the precision of matrix products and convolutions.
  at::Tensor product(const at::Tensor& tensor) const;
  /// `tensor` on the device, float32: norms, position embedding, residual stream.
  at::Tensor exact(const at::Tensor& tensor) const;

  at::Device device;
  at::ScalarType dtype;  // of products; everything between them stays float32
  bool optimize;         // false: the published program's plain operations
  bool cpu_forms;        // oneDNN's packed linears, own attention and 3x3 convolutions: float32 on the CPU,
                         // optimised
};

/// y = x Wᵀ + b.
class Linear {
 public:
  Linear() = default;
  /// weight [N, K], bias [N] or undefined; float32 on the CPU. With cpu_forms the weight is repacked by
  /// oneDNN (69-71 GFLOP/s against 66-67 of at::linear on 2 AVX2 cores, GELU almost free).
  Linear(at::Tensor weight, at::Tensor bias, const Backend& backend);

  /// x [..., K] of any float type; returns [..., N] in the backend's dtype.
  at::Tensor operator()(const at::Tensor& x) const { return apply(x, false); }
  /// gelu(y), the erf form (the tanh form moves the output by 2.8e-4).
  at::Tensor gelu(const at::Tensor& x) const { return apply(x, true); }

  bool packed() const { return packed_; }

 private:
  at::Tensor apply(const at::Tensor& x, bool gelu) const;

  at::Tensor weight_;  // [N, K], opaque when packed
  at::Tensor bias_;
  bool packed_ = false;
};

/// Normalisation over the last dimension, float32 in and out; eps 1e-6 as DINOv2 has it.
struct LayerNorm {
  LayerNorm() = default;
  LayerNorm(const at::Tensor& weight, const at::Tensor& bias, const Backend& backend);
  at::Tensor operator()(const at::Tensor& x) const;

  at::Tensor weight, bias;  // [C]
};

/// Convolution with square kernel and symmetric padding.
class Conv {
 public:
  Conv() = default;
  /// weight [out, in, k, k], bias [out] or undefined; float32 on the CPU.
  Conv(const at::Tensor& weight, const at::Tensor& bias, int64_t stride, int64_t padding,
       const Backend& backend);
  /// x [B, in, h, w] of any float type; returns the backend's dtype, a map of its own.
  at::Tensor operator()(const at::Tensor& x) const { return apply(x, {}, false); }
  /// The same + add, a map like the result.
  at::Tensor plus(const at::Tensor& x, const at::Tensor& add) const { return apply(x, add, false); }
  /// relu(the same), relu(the same + add).
  at::Tensor relu(const at::Tensor& x, const at::Tensor& add = {}) const { return apply(x, add, true); }

 private:
  at::Tensor apply(const at::Tensor& x, const at::Tensor& add, bool relu) const;

  at::Tensor weight_, bias_;
  int64_t stride_ = 1, padding_ = 0;
  WinogradCpu winograd_;  // in place of the weights, where it is faster
};

/// at::conv2d or at::conv_transpose2d, in whole float32: what torch calls float32 is TF32 in cuDNN's
/// convolutions unless the whole process is told otherwise, and a plugin must not tell it.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                    int64_t padding, bool transposed);

/// Multi-head self attention over packed projections, scale head_dim^-0.5.
/// qkv [B, T, 3C] contiguous, rows q | k | v, heads side by side; returns [B, T, C] contiguous.
at::Tensor attention(const at::Tensor& qkv, int64_t heads, const Backend& backend);
/// The same as the published program writes it: product, softmax, product.
at::Tensor plain_attention(const at::Tensor& qkv, int64_t heads);

}  // namespace rgbd
