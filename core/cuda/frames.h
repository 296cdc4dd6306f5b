// SPDX-License-Identifier: Apache-2.0
// Frames to network input and back on a CUDA device; see core/device_frames.h for the contract.
#pragma once

#include <memory>

#include "core/device_frames.h"

namespace rgbd::cuda {

/// Makes a stream of its own, and `device`, the calling thread's current ones until it is destroyed.
std::unique_ptr<DeviceFrames> make_frames(at::Device device);

}  // namespace rgbd::cuda
