// SPDX-License-Identifier: Apache-2.0
// The Camera Depth Model on a CUDA device: what core/cdm computes, both encoders at once, in one graph.
#pragma once

#include <memory>

#include "core/cdm/weights.h"
#include "core/network.h"

namespace rgbd::cuda {

/// Null where the device or the sizes are not for it.
std::unique_ptr<Network> load_cdm(const cdm::Weights& weights, const NetworkOptions& options);

}  // namespace rgbd::cuda
