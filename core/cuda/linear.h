// SPDX-License-Identifier: Apache-2.0
// Matrix products through cublasLt, with what torch's own calls leave to extra passes over memory: bias,
// GELU, the sum onto a float32 residual stream, and several products of one shape (the two encoders) in one
// launch.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "core/cuda/element.h"

namespace rgbd::cuda {

/// Rows in device memory; distances in elements.
struct Rows {
  void* data = nullptr;
  int64_t row = 0;    // from one row to the next
  int64_t group = 0;  // from one group's rows to the next group's
};

/// y = x Wᵀ + b, for each group.
class Linear {
 public:
  enum class To {
    kPlain,  // y of Plain<E> (core/cuda/element.cuh)
    kGelu,   // gelu(y), the tanh form (4.7e-4 off the erf form at most, a quarter of fp16's rounding); half
             // types
    kSum,    // added to y, float32
  };

  Linear() = default;
  /// weight [groups, N, K], bias [groups, N] or undefined, any float type, on the device; groups may be 1,
  /// for all. `segments`: K is that many segments of operands.
  Linear(const at::Tensor& weight, const at::Tensor& bias, Element element, To to, int64_t segments = 1);

  /// Queued on the current stream. x: `rows` rows of operands, in each group. Throws Error.
  void operator()(const Rows& x, const Rows& y, int64_t rows, int64_t groups) const;

  int64_t outputs() const { return weight_.size(1); }

 private:
  struct Part;
  using Plan = std::vector<std::shared_ptr<Part>>;
  std::shared_ptr<Part> part(const Rows& x, const Rows& y, int64_t rows, int64_t groups, int64_t first,
                             int64_t past) const;
  const Plan& plan(const Rows& x, const Rows& y, int64_t rows, int64_t groups) const;

  Element element_ = Element::kFp16;
  To to_ = To::kPlain;
  at::Tensor weight_;  // [groups, N, K * width]
  at::Tensor bias_;    // [groups, N], as y
  float scale_ = 1;    // of the product: weights of a half type are kept 1 / scale as large
  using Shape = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;
  mutable std::map<Shape, Plan> plans_;
};

/// The type of plain numbers.
at::ScalarType plain_type(Element element);

/// [..., n] as the weights' side of operands, [..., 3 n] for kTf32x3, split into `segments`.
at::Tensor weight_operand(const at::Tensor& weight, Element element, int64_t segments = 1);

}  // namespace rgbd::cuda
