// SPDX-License-Identifier: Apache-2.0
// Memory for maps that come and go with every frame. What is given back to the system comes anew as pages of
// zeros, one fault for 4 KiB: 13 % of a frame of the embedded model on a core.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>

namespace rgbd {

/// As at::empty() of float32 on the CPU. The memory of a map that is gone serves the next one of its size
/// made by the same thread, which keeps 256 MiB of it at most, until it ends. The map itself may go on any
/// thread.
at::Tensor recycled(at::IntArrayRef sizes, at::MemoryFormat format = at::MemoryFormat::Contiguous);

/// What this thread keeps now.
size_t recycled_bytes();

}  // namespace rgbd
