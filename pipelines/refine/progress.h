// SPDX-License-Identifier: Apache-2.0
// How far a sequence is: a bar that redraws itself on a terminal, a line per frame elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace rgbd {

class Progress {
 public:
  /// Writes to stdout.
  Progress(size_t frames, bool terminal);
  ~Progress();  // ends the bar's line
  Progress(const Progress&) = delete;

  /// One more frame is done; `what` says which, and what came of it.
  void frame_done(const std::string& what);

 private:
  const size_t frames_;
  const bool terminal_;
  size_t done_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// "[######----------]  12/30 frames, 3.4 fps, 0:05 left"
std::string progress_bar(size_t done, size_t frames, double seconds);

}  // namespace rgbd
