// SPDX-License-Identifier: Apache-2.0
// librgbd-cuda.so: brings torch's CUDA half into the process, and the networks written for it. device.cpp
// opens it by name before the first ATen call, since torch caches its CUDA hooks then.
#include "core/cuda_module.h"

#include <c10/cuda/CUDAFunctions.h>

#include "core/cuda/cdm/cdm.h"
#include "core/cuda/frames.h"
#include "core/cuda/light/light.h"
#include "core/cuda/log.h"

namespace rgbd::cuda {
namespace {

class LoadedModule final : public Module {
 public:
  int device_count() const noexcept override { return c10::cuda::device_count(); }

  std::unique_ptr<Network> load_cdm(const cdm::Weights& weights,
                                    const NetworkOptions& options) const override {
    return cuda::load_cdm(weights, options);
  }
  std::unique_ptr<Network> load_light(const light::Weights& weights,
                                      const NetworkOptions& options) const override {
    return cuda::load_light(weights, options);
  }
  std::unique_ptr<DeviceFrames> frames(at::Device device) const override { return make_frames(device); }
};

Log the_log = nullptr;

}  // namespace

void log(LogLevel level, const std::string& text) {
  the_log(level, text);
}

}  // namespace rgbd::cuda

extern "C" const rgbd::cuda::Module* rgbd_cuda_module(int version, rgbd::cuda::Log log) noexcept {
  if (version != rgbd::cuda::kModuleVersion) return nullptr;
  rgbd::cuda::the_log = log;
  static const rgbd::cuda::LoadedModule module;
  return &module;
}
