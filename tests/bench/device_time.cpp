// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/device_time.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/version.h>

#include <chrono>

#define RGBD_TORCH_TELLS_MEMORY (TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 9)
#if RGBD_TORCH_TELLS_MEMORY
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace rgbd::bench {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

c10::Stream current_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

}  // namespace

void synchronize(at::Device device) {
  if (!device.is_cpu()) current_stream(device).synchronize();
}

std::vector<double> time_each(at::Device device, const std::function<void()>& call, int warm_up,
                              int repeats) {
  for (int i = 0; i < warm_up; ++i) call();
  synchronize(device);
  std::vector<double> ms;
  if (device.is_cpu()) {
    for (int i = 0; i < repeats; ++i) {
      const auto start = Clock::now();
      call();
      ms.push_back(ms_since(start));
    }
    return ms;
  }
  const c10::Stream stream = current_stream(device);
  c10::Event begin(device.type(), c10::EventFlag::BACKEND_DEFAULT);  // torch's own default does not keep time
  c10::Event end(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  for (int i = 0; i < repeats; ++i) {
    begin.record(stream);
    call();
    end.record(stream);
    stream.synchronize();
    ms.push_back(begin.elapsedTime(end));
  }
  return ms;
}

double time_together(at::Device device, const std::function<void()>& call, int repeats) {
  synchronize(device);
  const auto start = Clock::now();
  for (int i = 0; i < repeats; ++i) call();
  synchronize(device);
  return ms_since(start) / repeats;
}

#if RGBD_TORCH_TELLS_MEMORY
std::optional<uint64_t> peak_bytes(at::Device device) {
  if (!device.is_cuda()) return {};
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  const auto all_pools = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<uint64_t>(stats.allocated_bytes[all_pools].peak);
}
void reset_peak(at::Device device) {
  if (device.is_cuda()) c10::getDeviceAllocator(device.type())->resetPeakStats(device.index());
}
#else
std::optional<uint64_t> peak_bytes(at::Device) {
  return {};
}
void reset_peak(at::Device) {}
#endif

}  // namespace rgbd::bench
