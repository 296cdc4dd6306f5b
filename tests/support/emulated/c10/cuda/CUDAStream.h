// SPDX-License-Identifier: Apache-2.0
// In the place of torch's headers where kernels run emulated: a device of compute capability 9.0.
#pragma once

#include <c10/core/Device.h>
#include <cuda_runtime_api.h>

namespace c10::cuda {

inline cudaStream_t getCurrentCUDAStream(DeviceIndex = -1) {
  return nullptr;
}
inline DeviceIndex current_device() {
  return 0;
}

}  // namespace c10::cuda

inline cudaError_t emulated_attribute(int* value, cudaDeviceAttr, int) {
  *value = 9;
  return cudaSuccess;
}
#define cudaDeviceGetAttribute emulated_attribute
#define cudaGetLastError() cudaSuccess
#define C10_CUDA_CHECK(call) static_cast<void>(call)
