// SPDX-License-Identifier: Apache-2.0
// Process exit waits for what runs in torch. exit() destroys torch's statics while other threads go on, and a
// worker in its forward pass would then end the program by SIGSEGV.
#pragma once

namespace rgbd {

/// While one lives, exit() waits; whoever uses torch on a thread of its own holds one, for no longer than a
/// forward pass takes. Never while code of others runs (a frame's deleter): that may wait for the thread that
/// exits. They nest.
class InTorch {
 public:
  /// Throws Error{kUnsupported} once the process ends: torch must not be touched any more.
  InTorch();
  ~InTorch();
  InTorch(const InTorch&) = delete;
  InTorch& operator=(const InTorch&) = delete;
};

/// Throws Error{kUnsupported} once the process ends. For long work inside InTorch, so that exit() need not
/// wait for all of it.
void throw_if_ending();

/// Makes exit() wait from here on. What was constructed since the last call (torch makes many statics when
/// they are first needed) is destroyed before the wait: so call it again after the first use of anything new.
void wait_at_exit() noexcept;

}  // namespace rgbd
