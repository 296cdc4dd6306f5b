// SPDX-License-Identifier: Apache-2.0
// What the engine calls of the core beyond itself, where there is no torch: one device, no checkpoints.
#include "core/device.h"
#include "core/network.h"
#include "core/openmp.h"

namespace rgbd {

void load_cuda_module() {}

void let_openmp_sleep() {}

DeviceChoice choose_device(const std::string& name, Precision precision) {
  if (name != "auto" && name != "cpu")
    throw Error(ErrorCode::kInvalidArgument, "unknown device '" + name + "'");
  return {at::kCPU, precision, {}};
}

std::unique_ptr<DeviceFrames> device_frames(at::Device) { return nullptr; }

void self_test(at::Device, const SelfTestFault&) {}

Checkpoint Checkpoint::open(const std::string& path) {
  throw Error(ErrorCode::kUnsupported, "no checkpoint can be read without torch: " + path);
}

std::unique_ptr<Network> load_network(const Checkpoint& checkpoint, const NetworkOptions&) {
  throw Error(ErrorCode::kUnsupported, "no network can be built without torch: " + checkpoint.path());
}

}  // namespace rgbd
