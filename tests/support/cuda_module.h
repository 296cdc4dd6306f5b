// SPDX-License-Identifier: Apache-2.0
// The tools link the core's objects, so that beside them there is no librgbd-cuda.so to be found.
#pragma once

#include <cstdlib>

namespace rgbd::test {

/// Says where the build tree has it, unless RGBD_CUDA_LIBRARY says so already. Before the core's
/// load_cuda_module().
inline void use_built_cuda_module() {
  setenv("RGBD_CUDA_LIBRARY", RGBD_BUILT_CUDA_MODULE, 0);
}

}  // namespace rgbd::test
