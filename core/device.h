// SPDX-License-Identifier: Apache-2.0
// Which device and precision a request becomes; loads the CUDA module. Nothing else asks these questions.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/rgbd.h"

namespace rgbd {

struct DeviceChoice {
  at::Device device = at::kCPU;
  Precision precision = Precision::kFp32;
  std::vector<std::string> warnings;  // fall-backs, word for word as the original program says them
};

/// Opens librgbd-cuda.so beside librgbd.so, once. Must run before the first ATen call of the process:
/// torch caches its CUDA hooks then. Absent is no error (one INFO line). Never throws.
void load_cuda_module();

/// "auto" = cuda, then mps, then cpu. Throws Error{kDevice} for an explicit device that is missing,
/// Error{kInvalidArgument} for a name it does not know.
DeviceChoice choose_device(const std::string& name, Precision precision);

/// Compares attention, convolution and resizing on `device` with the CPU on tiny tensors (what torch's MPS
/// has got silently wrong before). Throws Error{kDevice} naming the operation that differs.
void self_test(at::Device device);

}  // namespace rgbd
