// SPDX-License-Identifier: Apache-2.0
// What librgbd-cuda.so adds to librgbd.so: the networks written for the chip. No header of CUDA here, since
// the core is built without it. The module sees inline and virtual functions of the core only; its other
// symbols are hidden.
#pragma once

#include <memory>
#include <string>

#include "core/device_frames.h"
#include "core/network.h"

namespace rgbd::cdm {
class Weights;
}
namespace rgbd::light {
class Weights;
}

namespace rgbd::cuda {

/// Changes with every change of this header: a file left over from another build is refused.
inline constexpr int kModuleVersion = 3;

class Module {
 public:
  /// How many CUDA devices there are; 0 without a driver.
  virtual int device_count() const noexcept = 0;
  /// Why device_count() is 0, to go on after "not available: ".
  virtual std::string why_no_device() const = 0;
  /// The optimised network on a CUDA device, after a first small frame; null where the generic form has to do
  /// (the sizes are not those of the family; with a warning, the chip lacks something). Worker thread only.
  /// Throws Error, c10::Error.
  virtual std::unique_ptr<Network> load_cdm(const cdm::Weights& weights,
                                            const NetworkOptions& options) const = 0;
  virtual std::unique_ptr<Network> load_light(const light::Weights& weights,
                                              const NetworkOptions& options) const = 0;
  /// On the worker's thread; see DeviceFrames.
  virtual std::unique_ptr<DeviceFrames> frames(at::Device device) const = 0;

 protected:
  ~Module() = default;
};

/// core/log.h's log(), which the module cannot see.
using Log = void (*)(LogLevel, const std::string&);

}  // namespace rgbd::cuda

/// The module's entry, for dlsym(). Null when `version` is not kModuleVersion. Never throws.
extern "C" RGBD_API const rgbd::cuda::Module* rgbd_cuda_module(int version, rgbd::cuda::Log log) noexcept;
