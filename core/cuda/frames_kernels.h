// SPDX-License-Identifier: Apache-2.0
// The kernels of frames.cpp. Each is queued on `stream` and returns what launching it gave; every pointer is
// one that the device can read.
#pragma once

#include <cuda_runtime_api.h>

#include "core/cuda/frames_pixels.h"

namespace rgbd::cuda {

cudaError_t launch(const Preprocess& work, cudaStream_t stream);
cudaError_t launch(const Postprocess& work, cudaStream_t stream);

}  // namespace rgbd::cuda
