// SPDX-License-Identifier: Apache-2.0
// The pairs that wait for one model: in order per caller, callers in turn, some of them together in a batch.
// No locks and no threads in here; the engine's mutex guards it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/frames.h"
#include "core/rgbd.h"

namespace rgbd {

using Clock = std::chrono::steady_clock;

/// One submitted pair. `mutex` guards `phase`, `result`, `error` and the right to write to `out`.
struct Job {
  const void* caller = nullptr;
  ImageView image;
  DepthView depth;
  DepthOut out;
  Size size;             // network input
  bool warm_up = false;  // no frames: run the network on a made-up input of `size`
  Clock::time_point submitted;

  enum class Phase { kWaiting, kDone, kCancelled };
  std::mutex mutex;
  std::condition_variable changed;
  Phase phase = Phase::kWaiting;
  Result result;
  std::exception_ptr error;  // kDone: set instead of the result
};
using JobPtr = std::shared_ptr<Job>;

class FairQueue {
 public:
  void push(JobPtr job);
  /// What should run next, first the job whose turn it is, then up to `most` in all that share its size,
  /// taken in turn from every caller. Changes nothing, so that a batch can be left to fill.
  std::vector<JobPtr> next(size_t most) const;
  /// Takes exactly what next() returned off the queue. They count as their callers' until released.
  void take(const std::vector<JobPtr>& jobs);
  /// The engine is done with a job that was taken.
  void released(const Job& job);
  /// Takes a waiting job off the queue, which counts until released too; false = it is not waiting.
  bool remove(const Job& job);

  bool empty() const;
  /// Pairs of this caller: waiting, and taken but not yet released.
  size_t waiting(const void* caller) const;
  size_t held(const void* caller) const;

 private:
  struct Lane {
    const void* caller;
    std::deque<JobPtr> jobs;
    size_t taken = 0;
  };
  const Lane* find(const void* caller) const;

  std::vector<Lane> lanes_;  // in the order of the turns; the first is next
};

}  // namespace rgbd
