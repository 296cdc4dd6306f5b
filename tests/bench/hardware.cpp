// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/hardware.h"

#include <dlfcn.h>

#include <cstdlib>
#include <fstream>

namespace rgbd::bench {
namespace {

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

// The driver's functions have been the same since its first versions; no header of CUDA is needed for them.
std::string gpu_name(int index) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (!driver) return "unknown";
  auto* init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  auto* get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  auto* name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  int device = 0;
  char text[256] = "";
  if (!init || !get || !name || init(0) || get(&device, index) || name(text, sizeof text - 1, device))
    return "unknown";
  return text;
}

}  // namespace

std::string hardware_name(const std::string& device) {
  if (device.starts_with("cuda")) return gpu_name(device.size() > 5 ? std::atoi(device.c_str() + 5) : 0);
  return processor_name();
}

}  // namespace rgbd::bench
