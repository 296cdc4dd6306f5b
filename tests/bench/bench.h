// SPDX-License-Identifier: Apache-2.0
// The parts of the program `bench`, see main.cpp.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/checkpoint.h"
#include "core/frames.h"
#include "tests/bench/json_lines.h"

namespace rgbd::bench {

struct Arguments {
  std::string encoder, model, only, write;
  Options options;
  Size frame{640, 480};
  int threads = 0;                // 0: torch's own choice
  int warm_up = -1, repeats = 0;  // as given; by device else
  int sharers = 0;
  bool profile = false;
};

/// The lines, and which of them are wanted.
class Bench {
 public:
  Bench(const Arguments& arguments, at::Device device);

  bool wants(const std::string& stage) const;
  int warm_up() const { return warm_up_; }
  int repeats() const { return repeats_; }

  /// A line that begins with the stage and all of `configuration`.
  Line line(const std::string& stage) const;
  /// Times `call` by the clock and prints a line; it must not return before its work is done.
  void stage(const std::string& name, const std::function<void()>& call);
  void stage(const std::string& name, const std::function<void()>& call, int warm_up, int repeats);

  Line configuration;

 private:
  const std::string only_;
  int warm_up_, repeats_;
};

/// A camera's pair in host memory, and room for what comes out.
struct Pair {
  Pair(Size size, uint32_t seed);
  Pair(const Pair&) = delete;

  std::vector<uint8_t> rgb;
  std::vector<uint16_t> depth, refined;
  ImageView image;
  DepthView view;
  DepthOut out;
};

/// load, preprocess, encoders, fusion, head, network, postprocess, profile: on this thread, without the
/// engine.
void network_stages(Bench& bench, const Arguments& arguments, const Checkpoint& checkpoint,
                    const NetworkOptions& options);

/// pair, pair-device, flow, flow-device, shared: through the engine, as the element calls it.
void engine_stages(Bench& bench, const Arguments& arguments, const Checkpoint& checkpoint, at::Device device);

}  // namespace rgbd::bench
