// SPDX-License-Identifier: Apache-2.0
// librgbd-cuda.so: brings torch's CUDA half into the process, and the networks written for it. device.cpp
// opens it by name before the first ATen call, since torch caches its CUDA hooks then.
#include "core/cuda_module.h"

#include <ATen/ops/ones.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "core/cuda/cdm/cdm.h"
#include "core/cuda/frames.h"
#include "core/cuda/light/light.h"
#include "core/cuda/log.h"

namespace rgbd::cuda {
namespace {

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// What is missing, not what is broken or full.
bool says_chip_lacks(const std::string& text) {
  for (const char* sign : {"no kernel image", "not supported", "NOT_SUPPORTED", "no algorithm"})
    if (text.find(sign) != std::string::npos) return true;
  return false;
}

// A chip may lack what the kernels or cublasLt need; better known now, at a small size at least, than at the
// first frame. Waits for its own stream only: waiting for the device would break other workers' captures.
std::unique_ptr<Network> tried(std::unique_ptr<Network> network, at::Device device) {
  if (!network) return network;
  std::string problem;
  try {
    network->forward(at::ones({1, 4, 56, 56}, at::TensorOptions(device).dtype(at::kFloat)));
    c10::cuda::getCurrentCUDAStream(device.index()).synchronize();
    return network;
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
    if (!says_chip_lacks(problem)) throw;
  } catch (const Error& error) {
    problem = error.what();
    if (!says_chip_lacks(problem)) throw;
  }
  log(LogLevel::kWarning,
      "this GPU cannot run the optimised network; torch's own operations do, slower: " + problem);
  return nullptr;
}

class LoadedModule final : public Module {
 public:
  int device_count() const noexcept override { return c10::cuda::device_count(); }

  std::string why_no_device() const override {
    int driver = 0, runtime = 0, devices = 0;
    (void)cudaRuntimeGetVersion(&runtime);  // torch's
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver";
    const cudaError_t error = cudaGetDeviceCount(&devices);
    (void)cudaGetLastError();
    if (error == cudaErrorInsufficientDriver) {
      return "the NVIDIA driver is too old: it runs programs of CUDA " + version(driver) +
             ", and torch is made for CUDA " + version(runtime) + ". Install a newer driver";
    }
    return error == cudaSuccess ? "no NVIDIA GPU" : cudaGetErrorString(error);
  }

  std::unique_ptr<Network> load_cdm(const cdm::Weights& weights,
                                    const NetworkOptions& options) const override {
    return tried(cuda::load_cdm(weights, options), options.device);
  }
  std::unique_ptr<Network> load_light(const light::Weights& weights,
                                      const NetworkOptions& options) const override {
    return tried(cuda::load_light(weights, options), options.device);
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
