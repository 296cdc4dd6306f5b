// SPDX-License-Identifier: Apache-2.0
// librgbd-cuda.so: brings torch's CUDA half into the process. device.cpp opens it by name before the first
// ATen call, since torch caches its CUDA hooks then; that is all it takes for the networks to run there.
#include <c10/cuda/CUDAFunctions.h>

#include "core/rgbd.h"

/// How many CUDA devices there are; 0 without a driver. Never throws.
extern "C" RGBD_API int rgbd_cuda_device_count() noexcept { return c10::cuda::device_count(); }
