// SPDX-License-Identifier: Apache-2.0
// Where the time of one call goes, by torch's own profiler (Kineto).
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <string>
#include <vector>

namespace rgbd::bench {

struct Kernel {
  std::string name;
  int calls = 0;
  double us = 0;  // of all its calls
};

/// Longest first. On a GPU the kernels and copies that ran there; on the CPU torch's operations, each without
/// those that it calls itself.
std::vector<Kernel> profile(at::Device device, const std::function<void()>& call);

}  // namespace rgbd::bench
