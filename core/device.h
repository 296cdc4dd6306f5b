// SPDX-License-Identifier: Apache-2.0
// Which device and precision a request becomes; loads the CUDA module. Nothing else asks these questions.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/device_frames.h"
#include "core/rgbd.h"

namespace rgbd {

namespace cuda {
class Module;
}

struct DeviceChoice {
  at::Device device = at::kCPU;
  Precision precision = Precision::kFp32;
  std::vector<std::string> warnings;  // fall-backs, word for word as the original program says them
};

/// Opens librgbd-cuda.so ($RGBD_CUDA_LIBRARY, else beside librgbd.so), once. Must run before the first ATen
/// call of the process: torch caches its CUDA hooks then. Absent is no error (one INFO line). Never throws.
void load_cuda_module();
/// What it offers; null without it. Opens it first.
const cuda::Module* cuda_module();

/// What makes frames into network input on `device`, for the calling thread; null = the CPU does it.
std::unique_ptr<DeviceFrames> device_frames(at::Device device);

/// "auto" = cuda, then mps, then cpu. Throws Error{kDevice} for an explicit device that is missing,
/// Error{kInvalidArgument} for a name it does not know.
DeviceChoice choose_device(const std::string& name, Precision precision);

/// What choose_device() asks of the machine, for tests to answer otherwise.
struct Machine {
  int cuda_devices = 0;
  bool mps = false;
  std::function<bool(at::Device)> has_bf16 = [](at::Device) {
    return true;
  };                                // asked about CUDA devices only
  std::string why_no_cuda;          // for the error of an explicit "cuda"
  bool cuda_came_too_late = false;  // torch was in use before the CUDA module was opened
};
Machine this_machine();
DeviceChoice choose_device(const std::string& name, Precision precision, const Machine& machine);

/// Changes what an operation answered on the device under test; tests break it on purpose with this.
using SelfTestFault = std::function<at::Tensor(const std::string& operation, at::Tensor result)>;

/// Compares the operations the networks are made of with the CPU on tiny tensors (attention and resizing are
/// what torch's MPS has got silently wrong before). Throws Error{kDevice} naming the operation that differs.
void self_test(at::Device device, const SelfTestFault& fault = {});

}  // namespace rgbd
