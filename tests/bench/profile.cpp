// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/bench/device_time.h"

namespace rgbd::bench {
namespace {

namespace kineto = torch::autograd::profiler;

struct Event {
  std::string name;
  uint64_t begin = 0, end = 0;  // ns
  uint64_t own = 0;
};

/// Takes from each event what those inside it took. One thread's.
void leave_out_inner(std::vector<Event>& events) {
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::vector<Event*> open;
  for (Event& event : events) {
    while (!open.empty() && open.back()->end <= event.begin) open.pop_back();
    if (!open.empty()) open.back()->own -= std::min(open.back()->own, event.own);
    open.push_back(&event);
  }
}

}  // namespace

std::vector<Kernel> profile(at::Device device, const std::function<void()>& call) {
  const kineto::ProfilerConfig config(kineto::ProfilerState::KINETO);
  std::set<kineto::ActivityType> activities{kineto::ActivityType::CPU};
  if (device.is_cuda()) activities.insert(kineto::ActivityType::CUDA);
  kineto::prepareProfiler(config, activities);
  kineto::enableProfiler(config, activities);
  call();
  synchronize(device);
  const auto result = kineto::disableProfiler();

  std::map<uint64_t, std::vector<Event>> by_thread;
  for (const auto& event : result->events()) {
    if (event.deviceType() != device.type()) continue;
    const uint64_t ns = event.durationNs();
    by_thread[device.is_cpu() ? event.startThreadId() : 0].push_back(
        {event.name(), event.startNs(), event.startNs() + ns, ns});
  }
  std::map<std::string, Kernel> kernels;
  for (auto& [thread, events] : by_thread) {
    if (device.is_cpu()) leave_out_inner(events);
    for (const Event& event : events) {
      Kernel& kernel = kernels[event.name];
      kernel.name = event.name;
      ++kernel.calls;
      kernel.us += static_cast<double>(event.own) / 1e3;
    }
  }
  std::vector<Kernel> out;
  for (auto& [name, kernel] : kernels) out.push_back(std::move(kernel));
  std::sort(out.begin(), out.end(), [](const Kernel& a, const Kernel& b) { return a.us > b.us; });
  return out;
}

}  // namespace rgbd::bench
