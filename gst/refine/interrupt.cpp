// SPDX-License-Identifier: Apache-2.0
// Cancelling the pair in the engine, see interrupt.h.
#include "gst/refine/interrupt.h"

namespace rgbd::refine {

void Interrupt::raise(Reason reason) noexcept {
  std::lock_guard lock(mutex_);
  raise_locked(reason);
}

void Interrupt::raise_flush(InputIndex input, uint32_t number) noexcept {
  std::lock_guard lock(mutex_);
  flush_numbers_[input] = number;
  task_stops_ = flush_numbers_[kRgb] == flush_numbers_[kDepth];
  raise_locked(flush_of(input));
}

void Interrupt::raise_locked(Reason reason) noexcept {
  reasons_ |= reason;
  if (reason == kSeek) ++seeks_;
  if (reason == kRgbFlush) ++flushes_[kRgb];
  if (reason == kDepthFlush) ++flushes_[kDepth];
  if (pending_) {
    cancelled_ = true;
    pending_->cancel();
  }
  changed_.notify_all();
}

void Interrupt::lower_locked(Reason reason) noexcept {
  if (reason == kSeek) {
    if (seeks_ == 0 || --seeks_ > 0) return;
  }
  reasons_ &= ~static_cast<unsigned>(reason);
  if (!(reasons_ & (kRgbFlush | kDepthFlush))) task_stops_ = false;
  changed_.notify_all();
}

void Interrupt::lower(Reason reason) noexcept {
  std::lock_guard lock(mutex_);
  lower_locked(reason);
}

void Interrupt::seek_flushed() noexcept {
  std::lock_guard lock(mutex_);
  if (seeks_ == 0) return;
  ++flushed_;
  lower_locked(kSeek);
}

void Interrupt::end_seek() noexcept {
  std::lock_guard lock(mutex_);
  if (flushed_ > 0) {
    --flushed_;
  } else {
    lower_locked(kSeek);
  }
}

void Interrupt::reset() noexcept {
  std::lock_guard lock(mutex_);
  reasons_ = seeks_ = flushed_ = 0;
  flush_numbers_ = {};
  task_stops_ = false;
  changed_.notify_all();
}

uint64_t Interrupt::flushes(InputIndex input) const noexcept {
  std::lock_guard lock(mutex_);
  return flushes_[input];
}

uint64_t Interrupt::flushes_before_frame(InputIndex input) const noexcept {
  std::lock_guard lock(mutex_);
  return flushes_[input] - (reasons_ & flush_of(input) ? 1 : 0);
}

bool Interrupt::raised_after_wait() noexcept {
  std::unique_lock lock(mutex_);
  bool interrupted = reasons_ != 0;
  changed_.wait(lock, [&] { return task_stops_ || (reasons_ != kRgbFlush && reasons_ != kDepthFlush); });
  return interrupted;
}

bool Interrupt::attach(Pending* pending, const Flushes& flushes) noexcept {
  std::lock_guard lock(mutex_);
  if (reasons_ != 0 || flushes != flushes_) return false;
  pending_ = pending;
  cancelled_ = false;
  return true;
}

bool Interrupt::detach() noexcept {
  std::lock_guard lock(mutex_);
  pending_ = nullptr;
  return !cancelled_;
}

}  // namespace rgbd::refine
