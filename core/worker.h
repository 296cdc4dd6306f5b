// SPDX-License-Identifier: Apache-2.0
// The engine's thread: loads the network, runs batches, unloads. See engine.h for why there is one.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "core/device.h"
#include "core/device_frames.h"
#include "core/network.h"
#include "core/queue.h"

namespace rgbd {

/// What one opener of the model asked for.
struct BatchWish {
  size_t size = 1;
  std::chrono::nanoseconds timeout{0};
  bool operator==(const BatchWish&) const = default;
};

/// What the worker shares with callers. It outlives the Engine where the worker itself lets go of the last
/// handle, and is kept by every Pending.
struct WorkerState {
  std::mutex mutex;              // guards queue to batch; never held while running or releasing a job
  std::condition_variable wake;  // something to do
  std::condition_variable idle;  // a job was released
  FairQueue queue;
  bool stopping = false;
  std::vector<BatchWish> wishes;  // of everyone who has the model open
  BatchWish batch;                // the largest of them
  bool lost = false;              // the device failed: nothing more comes of this model

  // Written by the worker before `loaded`, constant after.
  InputSpec spec;
  Info info;
  const DeviceFrames* frames = nullptr;  // the worker's; null = frames are made on the CPU
};

struct WorkerSetup {
  NetworkOptions network;
  std::function<std::unique_ptr<DeviceFrames>()> frames;  // null = on the CPU
  std::function<std::unique_ptr<Network>()> load;
  std::function<void(const Network&)> loaded;  // fills the state's constants
};

/// The thread's body. `ready` gets a value once the network is there, or the Error. Returns when the state
/// says stopping; pairs that still wait are then cancelled.
void run_worker(std::shared_ptr<WorkerState> state, WorkerSetup setup, std::promise<void> ready);

/// Cancels at once: a waiting pair leaves the queue, a running one loses its output.
void cancel(WorkerState& state, const JobPtr& job) noexcept;

}  // namespace rgbd
