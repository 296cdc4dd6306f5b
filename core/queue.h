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

#include "core/device_frames.h"
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
  StreamMark image_ready, out_ready;              // of views in CUDA memory
  Size size;                                      // network input
  std::optional<std::vector<uint8_t>> left_open;  // holes.h, at `size`, once looked at; the worker's
  bool warm_up = false;                           // no frames: run the network on a made-up input of `size`
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
  /// Pairs that can run together, at most so many and of one size, or one warm-up.
  struct Batch {
    std::vector<JobPtr> jobs;
    Clock::time_point due;  // when it runs, however few they are; long ago for a full one and for a warm-up
  };

  void push(JobPtr job);
  /// What should run next: of the batches that are due, the one whose turn it is; where none is, the one that
  /// will be first, `patience` after its oldest pair was submitted. So nobody waits for a batch of others to
  /// fill, and where each of the `callers` there are has a pair in here already, nobody waits at all. Without
  /// jobs: nothing waits. Changes nothing, so that a batch can be left to fill.
  Batch next(size_t most, Clock::duration patience, size_t callers, Clock::time_point now) const;
  /// Takes the jobs that next() returned off the queue. They count as their callers' until released.
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
  std::vector<JobPtr> batch_of(const Lane& first, size_t most) const;

  std::vector<Lane> lanes_;  // in the order of the turns; the first is next
};

}  // namespace rgbd
