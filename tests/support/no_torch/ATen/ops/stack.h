// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ATen/core/Tensor.h"

namespace at {
inline Tensor stack(const std::vector<Tensor>& tensors) {
  Shape sizes = tensors.front().sizes();
  sizes.insert(sizes.begin(), static_cast<int64_t>(tensors.size()));
  Tensor all(std::move(sizes));
  for (size_t i = 0; i < tensors.size(); ++i) all[static_cast<int64_t>(i)].copy_from(tensors[i]);
  return all;
}
}  // namespace at
