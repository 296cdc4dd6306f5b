// SPDX-License-Identifier: Apache-2.0
#include "core/in_torch.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "core/rgbd.h"

namespace rgbd {
namespace {

struct Gate {
  std::mutex mutex;
  std::condition_variable left;
  int inside = 0;
  bool ending = false;
};

Gate& gate() {
  static Gate& gate = *new Gate;  // never destroyed: threads come here while statics are
  return gate;
}

thread_local int own = 0;  // of `inside`; exit() may be called in there

std::atomic<pid_t> owner = 0;  // of the threads; a forked child has none of them, and nothing to wait for

void wait_for_all() {
  if (getpid() != owner) return;
  std::unique_lock lock(gate().mutex);
  gate().ending = true;
  gate().left.wait(lock, [] { return gate().inside == own; });
}

[[noreturn]] void throw_ending() {
  throw Error(ErrorCode::kUnsupported, "the program is ending: no model runs any more");
}

}  // namespace

InTorch::InTorch() {
  std::lock_guard lock(gate().mutex);
  if (gate().ending && own == 0) throw_ending();
  ++gate().inside;
  ++own;
}

InTorch::~InTorch() {
  {
    std::lock_guard lock(gate().mutex);
    --gate().inside;
    --own;
  }
  gate().left.notify_all();
}

void throw_if_ending() {
  std::lock_guard lock(gate().mutex);
  if (gate().ending) throw_ending();
}

void wait_at_exit() noexcept {
  std::lock_guard lock(gate().mutex);
  owner = getpid();
  std::atexit(wait_for_all);
}

}  // namespace rgbd
