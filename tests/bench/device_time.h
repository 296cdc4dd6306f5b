// SPDX-License-Identifier: Apache-2.0
// Time and memory as the device itself tells them. Through torch's generic interfaces: a benchmark links
// nothing of CUDA.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace rgbd::bench {

/// Waits for all work of the current stream; nothing on the CPU.
void synchronize(at::Device device);

/// Milliseconds of each of `repeats` calls after `warm_up` ones, each alone: the device is idle when a call
/// begins, and is waited for. On a GPU between two events on the current stream, one before and one after the
/// call; on the CPU by the clock. The call need not wait for the device.
std::vector<double> time_each(at::Device device, const std::function<void()>& call, int warm_up, int repeats);

/// Milliseconds per call of `repeats` calls in a row, waited for once.
double time_together(at::Device device, const std::function<void()>& call, int repeats);

/// Most bytes that tensors on the device had at once since reset_peak(), what Python calls
/// torch.cuda.max_memory_allocated(). Nothing where torch does not tell (the CPU, torch before 2.9).
std::optional<uint64_t> peak_bytes(at::Device device);
void reset_peak(at::Device device);

}  // namespace rgbd::bench
