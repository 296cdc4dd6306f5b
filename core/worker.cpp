// SPDX-License-Identifier: Apache-2.0
// See worker.h.
//
// Locks: the state's mutex (queue) and each job's (phase, output) are never held together. What decides
// between "finished" and "cancelled" is the job's mutex: output is written under it, and only while nobody
// cancelled.
#include "core/worker.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <optional>
#include <utility>

#include "core/device_frames.h"
#include "core/errors.h"
#include "core/frames.h"
#include "core/holes.h"
#include "core/in_torch.h"
#include "core/log.h"
#include "core/measured.h"
#include "core/openmp.h"

namespace rgbd {
namespace {

double ms(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// Lets go of the frames a job was made from. Deleters run here: no lock may be held.
void release_input(Job& job) {
  std::shared_ptr<const void> image, depth;
  std::lock_guard lock(job.mutex);  // unlocked before the two above are destroyed
  image.swap(job.image.owner);
  depth.swap(job.depth.owner);
}

void release_frames(Job& job) {
  release_input(job);
  std::shared_ptr<void> out;
  std::lock_guard lock(job.mutex);
  out.swap(job.out.owner);
}

void finish(Job& job, Job::Phase phase, std::exception_ptr error = {}) {
  release_frames(job);  // before wait() returns: the caller may want to write to its buffers again
  {
    std::lock_guard lock(job.mutex);
    if (job.phase != Job::Phase::kWaiting) return;
    job.phase = phase;
    job.error = std::move(error);
  }
  job.changed.notify_all();
}

bool cancelled(Job& job) {
  std::lock_guard lock(job.mutex);
  return job.phase == Job::Phase::kCancelled;
}

class Worker {
 public:
  Worker(WorkerState& state, const WorkerSetup& setup, Network& network, DeviceFrames* frames)
      : state_(state), device_(setup.network.device), network_(network), frames_(frames) {}

  void run(const std::vector<JobPtr>& batch) {
    try {
      run_together(batch);
    } catch (...) {
      for (const JobPtr& job : batch) fail(*job, "running the network");
    }
  }

 private:
  // A job whose input is made.
  struct Pair {
    JobPtr job;
    at::Tensor x;
    size_t slot;  // of frames_
  };

  void run_together(const std::vector<JobPtr>& batch) {
    std::vector<Pair> pairs;
    for (const JobPtr& job : batch) {
      if (cancelled(*job) || refused(*job)) continue;
      try {
        job->result.queue_ms = ms(Clock::now() - job->submitted);
        at::Tensor x = input(*job, pairs.size());
        if (!frames_) release_input(*job);  // the camera may have few buffers, and the network takes its time
        if (x.defined()) {
          pairs.push_back({job, std::move(x), pairs.size()});
        } else {
          deliver_nothing(*job);
        }
      } catch (...) {
        fail(*job, "preparing the frames");
      }
    }
    if (pairs.empty()) return;
    if (pairs.size() > 1) {
      try {
        return infer(pairs);
      } catch (...) {
        // One camera's trouble, or too little memory for so many, is not to be the others' trouble.
        const Error error = current_error("running the network");
        if (!take_for_lost(error)) {
          log(LogLevel::kWarning, "a batch of " + std::to_string(pairs.size()) +
                                      " pairs failed and is run pair by pair: " + error.what());
        }
      }
    }
    for (const Pair& pair : pairs) {
      if (refused(*pair.job)) continue;
      try {
        infer({pair});
      } catch (...) {
        fail(*pair.job, "running the network");
      }
    }
  }

  // Throws only before anything is delivered.
  void infer(const std::vector<Pair>& pairs) {
    const auto start = Clock::now();
    const at::Tensor y = forward(pairs);
    if (frames_) finish_on_device(pairs, y);
    const double inference_ms = ms(Clock::now() - start);
    for (size_t i = 0; i < pairs.size(); ++i) {
      Job& job = *pairs[i].job;
      Result& result = job.result;
      result.batch = static_cast<unsigned>(pairs.size());
      if (!frames_) {
        result.inference_ms = inference_ms;
        if (!device_.is_cpu()) {
          result.host_to_device_copies = result.device_to_host_copies = 1;
          result.host_to_device_bytes = pairs[i].x.nbytes();
          result.device_to_host_bytes = y.nbytes() / pairs.size();
        }
      }
      try {
        wait_for_output(job);
        deliver(job, [&] {
          return frames_ ? frames_->write(pairs[i].slot, job.out, result)
                         : postprocess(y[static_cast<int64_t>(i)], job.out, *job.left_open);
        });
      } catch (...) {
        fail(job, "writing the depth");
      }
    }
  }

  // A map per pair: on the CPU, or queued where frames_ are.
  at::Tensor forward(const std::vector<Pair>& pairs) const {
    const InTorch in_torch;
    at::Tensor x;
    if (pairs.size() == 1) {
      x = pairs.front().x.unsqueeze(0);
    } else {
      std::vector<at::Tensor> inputs;
      for (const Pair& pair : pairs) inputs.push_back(pair.x);
      x = at::stack(inputs);
    }
    at::Tensor y = network_.forward(x.to(device_));
    if (!frames_) y = y.to(at::kCPU);
    if (y.dim() != 3 || y.size(0) != x.size(0) || y.size(1) != x.size(2) || y.size(2) != x.size(3)) {
      throw Error(ErrorCode::kInternal, "the network answered with another shape than a map per pair");
    }
    return y;
  }

  // All of it is queued before anything is waited for, and the CPU's part of the work done meanwhile.
  void finish_on_device(const std::vector<Pair>& pairs, const at::Tensor& y) const {
    {
      const InTorch in_torch;
      for (size_t i = 0; i < pairs.size(); ++i) {
        Job& job = *pairs[i].job;
        if (job.warm_up) continue;
        look_for_holes(job);
        frames_->postprocess(pairs[i].slot, y[static_cast<int64_t>(i)], job.out, *job.left_open);
      }
      frames_->wait_until_read();
    }
    for (const Pair& pair : pairs) release_input(*pair.job);
    const InTorch in_torch;
    frames_->wait();
  }

  // The network's input; undefined where no depth pixel is valid (there is no scale to refine).
  at::Tensor input(Job& job, size_t slot) const {
    const InTorch in_torch;
    if (job.warm_up) {
      at::Tensor x = at::zeros({4, job.size.height, job.size.width}, at::kFloat);
      // A hole, which may take more of the network, over something measured.
      for (int row = job.size.height / 2; row < job.size.height; ++row) x[3][row].fill_(1.0);
      return x.to(device_);
    }
    const auto start = Clock::now();
    if (!any_measured(job.depth)) return {};
    if (frames_) {
      job.result.preprocess_ms = ms(Clock::now() - start);  // write() adds how long the rest took
      return frames_->preprocess(slot, job.image, job.image_ready, job.depth, job.size, state_.spec);
    }
    look_for_holes(job);
    at::Tensor x = preprocess(job.image, job.depth, job.size, state_.spec);
    job.result.preprocess_ms = ms(Clock::now() - start);
    return x;
  }

  void look_for_holes(Job& job) const {
    if (!job.left_open) job.left_open = large_holes(job.depth, count_measured(job.depth), job.size);
  }

  // Not in deliver(): cancelling must not have to wait for somebody's stream.
  void wait_for_output(const Job& job) const {
    if (job.out.memory == Memory::kHost || job.warm_up) return;
    const InTorch in_torch;
    frames_->wait_for(job.out_ready);
  }

  void deliver_nothing(Job& job) const {
    wait_for_output(job);
    deliver(job, [&] {
      if (job.out.memory == Memory::kHost) return postprocess(at::zeros({1, 1}, at::kFloat), job.out);
      frames_->clear(job.out);
      return InverseRange{};
    });
  }

  template <typename Write>
  void deliver(Job& job, Write&& write) const {
    if (!job.warm_up) {
      const InTorch in_torch;
      std::lock_guard lock(job.mutex);  // from here to the last pixel, nobody can cancel
      if (job.phase == Job::Phase::kCancelled) return;
      const auto start = Clock::now();
      const InverseRange range = write();
      job.result.min_inverse_depth = range.min;
      job.result.max_inverse_depth = range.max;
      job.result.postprocess_ms += ms(Clock::now() - start);
    }
    finish(job, Job::Phase::kDone);
  }

  // After a device is lost (or a kernel went astray) all that the process asks of it fails. The model then
  // answers nothing any more, for none of its users, and who opens it anew gets one that is loaded anew.
  bool take_for_lost(const Error& error) {
    if (error.code() != ErrorCode::kDevice || lost_) return lost_.has_value();
    try {
      if (frames_) return frames_->wait(), false;  // it still answers: one pair's trouble
    } catch (...) {
    }
    lost_ =
        Error(ErrorCode::kDevice, std::string(error.what()) +
                                      " (the model is lost with it: restart the pipeline; where that does "
                                      "not help, the program)");
    std::lock_guard lock(state_.mutex);
    return state_.lost = true;
  }

  bool refused(Job& job) const {
    if (lost_) finish(job, Job::Phase::kDone, std::make_exception_ptr(*lost_));
    return lost_.has_value();
  }

  // With the exception being handled.
  void fail(Job& job, const char* doing) {
    const Error error = current_error(doing);
    if (take_for_lost(error)) return (void)refused(job);
    try {
      if (frames_) frames_->wait();  // what is queued may read the frames
    } catch (...) {                  // the device does nothing any more
    }
    finish(job, Job::Phase::kDone, std::make_exception_ptr(error));
  }

  WorkerState& state_;
  const at::Device device_;
  Network& network_;
  DeviceFrames* const frames_;  // null = on the CPU
  std::optional<Error> lost_;   // why WorkerState::lost
};

// Waits for work, and for a batch to fill. Empty = stop.
std::vector<JobPtr> take_batch(WorkerState& state) {
  std::unique_lock lock(state.mutex);
  while (true) {
    state.wake.wait(lock, [&] { return state.stopping || !state.queue.empty(); });
    if (state.stopping) return {};
    const auto now = Clock::now();
    auto batch = state.queue.next(state.batch.size, state.batch.timeout, state.wishes.size(), now);
    if (batch.due <= now) {
      state.queue.take(batch.jobs);
      return std::move(batch.jobs);
    }
    state.wake.wait_until(lock, batch.due);
  }
}

void release(WorkerState& state, const std::vector<JobPtr>& jobs) {
  for (const JobPtr& job : jobs) release_frames(*job);
  {
    std::lock_guard lock(state.mutex);
    for (const JobPtr& job : jobs) state.queue.released(*job);
  }
  state.idle.notify_all();
}

}  // namespace

void run_worker(std::shared_ptr<WorkerState> state, WorkerSetup setup, std::promise<void> ready) {
  c10::InferenceMode inference;
  std::unique_ptr<DeviceFrames> frames;
  std::unique_ptr<Network> network;
  try {
    wait_at_exit();
    const InTorch in_torch;
    let_openmp_sleep();
    auto made = guarded("preparing the device", [&] { return setup.frames(); });
    auto loaded = guarded("loading the model", [&] { return setup.load(); });
    setup.loaded(*loaded);
    state->frames = made.get();
    frames = std::move(made);
    network = std::move(loaded);
  } catch (...) {
    ready.set_exception(std::current_exception());
    return;
  }
  wait_at_exit();
  ready.set_value();

  Worker worker(*state, setup, *network, frames.get());
  bool has_run = false;
  for (auto batch = take_batch(*state); !batch.empty(); batch = take_batch(*state)) {
    worker.run(batch);
    if (!std::exchange(has_run, true)) wait_at_exit();
    release(*state, batch);
  }

  std::vector<JobPtr> left;
  {
    std::lock_guard lock(state->mutex);
    while (!state->queue.empty()) {
      const auto jobs = state->queue.next(1, {}, 0, Clock::now()).jobs;
      state->queue.take(jobs);
      left.insert(left.end(), jobs.begin(), jobs.end());
    }
  }
  for (const JobPtr& job : left) finish(*job, Job::Phase::kCancelled);
  release(*state, left);
  try {
    const InTorch in_torch;
    network.reset();
    frames.reset();
  } catch (const Error&) {
    (void)network.release();  // the process ends, and what its memory goes back to may be gone
    (void)frames.release();
  }
}

void cancel(WorkerState& state, const JobPtr& job) noexcept {
  std::shared_ptr<void> out;
  {
    std::lock_guard lock(job->mutex);
    if (job->phase != Job::Phase::kWaiting) return;
    job->phase = Job::Phase::kCancelled;
    out.swap(job->out.owner);  // never written again
  }
  job->changed.notify_all();
  bool removed;
  {
    std::lock_guard lock(state.mutex);
    removed = state.queue.remove(*job);
  }
  if (removed) release(state, {job});
  state.wake.notify_all();  // a batch may be waiting for this pair's deadline
}

}  // namespace rgbd
