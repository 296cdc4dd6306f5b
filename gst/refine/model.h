// SPDX-License-Identifier: Apache-2.0
// The model that runs, and its exchange for another one while frames flow.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/rgbd.h"

namespace rgbd::refine {

/// Frame size that the next model is warmed up for; 0 = not known.
struct FrameSize {
  int width = 0;
  int height = 0;
  bool operator==(const FrameSize&) const = default;
};

class Model {
 public:
  /// Loads and holds. Blocks; throws Error.
  void open(Runtime* runtime, const Options& options);
  /// Lets the model go, without waiting for a pair still in the engine: a thread of its own does. A swap
  /// under way will be thrown away.
  void close();
  bool is_open() const;
  /// The running model; null when closed. Any thread.
  std::shared_ptr<Refiner> current() const;

  /// Options::model of the running model, or of the one that ran last.
  std::string running_model() const;

  /// Announces a swap: swaps asked for earlier are void from now on. Any thread.
  uint64_t announce_swap();
  /// Loads `model` beside the running one, with the other options as they were at open(), warms it up, and
  /// leaves it for take_swapped(). Blocks, not for the streaming thread. Nothing happens when the swap is
  /// void by then. Throws Error; the model stays.
  void load_swap(uint64_t swap, Runtime* runtime, const std::string& model);
  bool is_void(uint64_t swap) const;
  /// Between two frames, source task: puts a loaded model in place. True: there was one.
  bool take_swapped();

  void set_frame_size(FrameSize size);

 private:
  std::mutex loading_;  // one load at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::shared_ptr<Refiner> running_, swapped_;
  Options options_;  // of running_
  std::string swapped_model_;
  uint64_t swap_ = 0;
  FrameSize frame_size_;
};

}  // namespace rgbd::refine
