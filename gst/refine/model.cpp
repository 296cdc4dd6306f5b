// SPDX-License-Identifier: Apache-2.0
// Opening and swapping models, see model.h. No lock is held while the core loads or lets go.
#include "gst/refine/model.h"

#include <thread>
#include <utility>

namespace rgbd::refine {
namespace {

/// Gives a handle back on a thread of its own: that waits for a cancelled pair which the engine still works
/// on, and neither a state change nor the next frame may. What the pair writes to is kept alive by its views.
/// The next start may ask for other options at once.
void let_go(std::shared_ptr<Refiner> model) {
  if (!model) return;
  model->retire();
  try {
    std::thread([model = std::move(model)]() mutable { model.reset(); }).detach();
  } catch (const std::exception&) {
    // No thread or no memory to be had: here, then, as `model` goes out of scope.
  }
}

}  // namespace

void Model::open(Runtime* runtime, const Options& options) {
  std::shared_ptr<Refiner> opened = runtime->open(options);
  std::lock_guard lock(mutex_);
  running_ = std::move(opened);
  options_ = options;
}

void Model::close() {
  std::shared_ptr<Refiner> running, swapped;
  {
    std::lock_guard lock(mutex_);
    ++swap_;
    running = std::exchange(running_, nullptr);
    swapped = std::exchange(swapped_, nullptr);
    frame_size_ = {};
  }
  let_go(std::move(running));
  let_go(std::move(swapped));
}

bool Model::is_open() const {
  return current() != nullptr;
}

std::shared_ptr<Refiner> Model::current() const {
  std::lock_guard lock(mutex_);
  return running_;
}

std::string Model::running_model() const {
  std::lock_guard lock(mutex_);
  return options_.model;
}

uint64_t Model::announce_swap() {
  std::shared_ptr<Refiner> swapped;
  std::unique_lock lock(mutex_);
  uint64_t number = ++swap_;
  swapped = std::exchange(swapped_, nullptr);
  lock.unlock();
  let_go(std::move(swapped));
  return number;
}

bool Model::is_void(uint64_t swap) const {
  std::lock_guard lock(mutex_);
  return swap != swap_ || !running_;
}

void Model::load_swap(uint64_t swap, Runtime* runtime, const std::string& model) {
  std::lock_guard one_at_a_time(loading_);
  if (is_void(swap)) return;
  Options options;
  FrameSize size;
  {
    std::lock_guard lock(mutex_);
    options = options_;
    size = frame_size_;
  }
  options.model = model;
  std::shared_ptr<Refiner> loaded = runtime->open(options);
  if (size.width > 0) loaded->warm_up(size.width, size.height);
  std::lock_guard lock(mutex_);
  if (swap != swap_ || !running_) return;
  swapped_.swap(loaded);
  swapped_model_ = model;
}

bool Model::take_swapped() {
  std::shared_ptr<Refiner> old;
  {
    std::lock_guard lock(mutex_);
    if (!swapped_) return false;
    old = std::exchange(running_, std::exchange(swapped_, nullptr));
    options_.model = swapped_model_;
  }
  let_go(std::move(old));
  return true;
}

void Model::set_frame_size(FrameSize size) {
  std::lock_guard lock(mutex_);
  frame_size_ = size;
}

}  // namespace rgbd::refine
