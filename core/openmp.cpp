// SPDX-License-Identifier: Apache-2.0
#include "core/openmp.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <cstdlib>
#include <exception>
#include <future>
#include <thread>

#include "core/log.h"

namespace rgbd {
namespace {

bool user_chose() {
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}) {
    const char* value = std::getenv(name);
    if (value && *value) return true;
  }
  return false;
}

/// A function of the OpenMP runtime that torch uses, whatever its file is called; others may be loaded too.
template <class Function>
Function* find(const char* name) {
  Dl_info torch{};
  if (!dladdr(reinterpret_cast<const void*>(&at::get_num_threads), &torch) || !torch.dli_fname)
    return nullptr;
  void* handle = dlopen(torch.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  return handle ? reinterpret_cast<Function*>(dlsym(handle, name)) : nullptr;
}

/// GNU's runtime has no function for it, but its threads spin for 100 rounds only where it has more of them
/// than CPUs (libgomp's gomp_throttled_spin_count_var, in wait.h). So one more than there are sleeps for
/// good.
void crowd_gnu_runtime() {
  auto* parallel = find<void(void (*)(void*), void*, unsigned, unsigned)>("GOMP_parallel");
  auto* count_cpus = find<int()>("omp_get_num_procs");
  if (!parallel || !count_cpus) return;
  const int cpus = count_cpus();
  // With far fewer threads than CPUs there is room to spin, and their number may have been limited for a
  // reason.
  if (at::get_num_threads() < 2 || 2 * at::get_num_threads() < cpus) return;
  try {
    std::thread([=] {
      parallel([](void*) {}, nullptr, static_cast<unsigned>(cpus) + 1, 0);
      std::promise<void> never;  // with its first thread the team would go
      never.get_future().wait();
    }).detach();
  } catch (const std::exception& error) {
    log(LogLevel::kWarning, std::string("OpenMP's threads will spin: ") + error.what());
  }
}

}  // namespace

void let_openmp_sleep() {
  if (user_chose()) return;
  // LLVM's and Intel's runtime: of the teams that the calling thread forms.
  if (auto* set_blocktime = find<void(int)>("kmp_set_blocktime")) return set_blocktime(0);
  static const bool once = (crowd_gnu_runtime(), true);
  static_cast<void>(once);
}

}  // namespace rgbd
