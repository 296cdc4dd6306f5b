// SPDX-License-Identifier: Apache-2.0
// Lets a flush, a seek or a state change take the pair out of the engine while aggregate() waits for it.
//
// The base class joins the source task in all three cases and has no unlock() of its own, so whoever comes
// raises a reason first. A reason stays raised until the task may run again: without that, aggregate()
// would hand in the next pair before it is told to stop.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "core/rgbd.h"

namespace rgbd::refine {

enum InputIndex { kRgb = 0, kDepth = 1 };

/// How often each input was flushed.
using Flushes = std::array<uint64_t, 2>;

class Interrupt {
 public:
  enum Reason : unsigned { kRgbFlush = 1, kDepthFlush = 2, kSeek = 4, kInactive = 8 };
  static Reason flush_of(InputIndex input) { return input == kRgb ? kRgbFlush : kDepthFlush; }

  /// Any thread. Cancels the attached pair. Two threads may seek at once: kSeek stays until the last one is
  /// over.
  void raise(Reason reason) noexcept;
  /// A flush of one input begins; `number`: of its event.
  void raise_flush(InputIndex input, uint32_t number) noexcept;
  void lower(Reason reason) noexcept;
  /// The flush of a seek is over and the task may run: lowers kSeek once, in place of the next end_seek().
  void seek_flushed() noexcept;
  /// The seek is over, with or without a flush.
  void end_seek() noexcept;
  /// The pads start anew: no reason is left, not even of a flush that was never ended.
  void reset() noexcept;

  /// How often `input` was flushed; a frame is stale when this has moved since it reached the pad's head.
  uint64_t flushes(InputIndex input) const noexcept;
  /// What flushes() was when the frame came that reaches the pad's head now. One less while a flush is under
  /// way: no frame comes then, so this one is from before, and the base class has yet to throw it away.
  uint64_t flushes_before_frame(InputIndex input) const noexcept;
  /// True when aggregate() must not go on. Waits first while one pad alone is being flushed: the base class
  /// does not stop the task then, and would call aggregate() in a busy loop if the pad had been at EOS. It
  /// does stop the task, and waits for it, when both have been flushed with the same number, also one after
  /// the other.
  bool raised_after_wait() noexcept;

  /// Makes `pending` the pair that raise() cancels. False, and not attached: a reason is raised, or an input
  /// was flushed since its count was `flushes`.
  bool attach(Pending* pending, const Flushes& flushes) noexcept;
  /// Ends attach(). True: nothing was raised meanwhile.
  bool detach() noexcept;

 private:
  // A leaf, but for Pending::cancel(), which never calls back. Taken with the base class's PAD_LOCK held.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  void raise_locked(Reason reason) noexcept;
  void lower_locked(Reason reason) noexcept;
  unsigned reasons_ = kInactive;
  unsigned seeks_ = 0;    // times that kSeek is raised
  unsigned flushed_ = 0;  // seeks lowered already, by their flush
  Flushes flushes_{};
  std::array<uint32_t, 2> flush_numbers_{};  // of the last flush of each input; 0: none
  bool task_stops_ = false;                  // the base class waits for the task, or soon will
  Pending* pending_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace rgbd::refine
