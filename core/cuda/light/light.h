// SPDX-License-Identifier: Apache-2.0
// The embedded model's network in kernels of its own; the same results as core/light/ but for rounding.
#pragma once

#include <memory>

#include "core/light/weights.h"
#include "core/network.h"

namespace rgbd::cuda {

/// For options.device, which is a CUDA device. Null where the kernels cannot take the model's settings (a
/// pyramid of more than 5 levels; offsets and windows so wide that shared memory does not hold what a block
/// looks at) or `optimize` is off: core/light/ then does it. Throws what weights.get() throws.
std::unique_ptr<Network> load_light(const light::Weights& weights, const NetworkOptions& options);

}  // namespace rgbd::cuda
