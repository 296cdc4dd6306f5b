// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/progress.h"

#include <cmath>
#include <cstdio>

namespace rgbd {
namespace {

std::string rate(size_t done, size_t frames, double seconds) {
  const double per_second = seconds > 0 ? done / seconds : 0;
  const auto left = std::lround(done ? (frames - done) * seconds / done : 0);
  char text[96];
  std::snprintf(text, sizeof text, "%zu/%zu frames, %.1f fps, %ld:%02ld left", done, frames, per_second,
                left / 60, left % 60);
  return text;
}

}  // namespace

std::string progress_bar(size_t done, size_t frames, double seconds) {
  constexpr size_t kWidth = 24;
  const size_t full = frames ? kWidth * done / frames : 0;
  return "[" + std::string(full, '#') + std::string(kWidth - full, '-') + "] " + rate(done, frames, seconds);
}

Progress::Progress(size_t frames, bool terminal) : frames_(frames), terminal_(terminal) {}

Progress::~Progress() {
  if (terminal_ && done_) std::fputc('\n', stdout);
}

void Progress::frame_done(const std::string& what) {
  ++done_;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (terminal_) {
    // Back to the line's start, and clear what a longer text left there.
    std::printf("\r%s\033[K", progress_bar(done_, frames_, seconds).c_str());
  } else {
    std::printf("%s (%s)\n", what.c_str(), rate(done_, frames_, seconds).c_str());
  }
  std::fflush(stdout);
}

}  // namespace rgbd
