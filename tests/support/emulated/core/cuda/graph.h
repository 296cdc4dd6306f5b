// SPDX-License-Identifier: Apache-2.0
// In the place of core/cuda/graph.h where kernels run emulated.
#pragma once

#include <ATen/core/Tensor.h>

namespace rgbd::cuda {

struct GraphCache {
  template <class Forward>
  at::Tensor run(const at::Tensor& x, const Forward& forward) {
    return forward(x);
  }
};

}  // namespace rgbd::cuda
