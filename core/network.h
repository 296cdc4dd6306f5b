// SPDX-License-Identifier: Apache-2.0
// The one interface of the networks: `cdm` (the published family) and `light` (the embedded model).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <string>

#include "core/checkpoint.h"
#include "core/rgbd.h"

namespace rgbd {

/// What a network wants to be fed; frames.h builds the input from it.
struct InputSpec {
  int short_side = 518;      // default network short side, pixels
  int multiple = 14;         // both sides are multiples of it
  bool upscale = true;       // false: frames whose short side is smaller are fed at their own size
  std::array<double, 3> mean{0.485, 0.456, 0.406};  // by channel position as fed, not by colour
  std::array<double, 3> std{0.229, 0.224, 0.225};
  bool bgr = true;           // channel 0 is blue
};

class Network {
 public:
  virtual ~Network() = default;
  virtual const InputSpec& input() const = 0;
  virtual std::string architecture() const = 0;  // "cdm", "light"
  virtual std::string encoder() const = 0;       // "vits"…, or ""
  virtual uint64_t parameters() const = 0;
  /// x: [B, 4, h, w] float32 on the network's device: three normalised colour channels, inverse depth
  /// in 1/m (0 = none). Returns [B, h, w] float32 on the same device: inverse depth, >= 0, 0 = none.
  /// Worker thread only, under InferenceMode. Deterministic.
  virtual at::Tensor forward(const at::Tensor& x) = 0;
};

struct NetworkOptions {
  at::Device device = at::kCPU;
  Precision precision = Precision::kFp32;  // already what the device can do
  bool optimize = true;
  bool generic_ops = false;  // tests: on the CPU too, only the operations that any device has (MPS' rules)
};

/// Builds the network a checkpoint holds, recognised by its metadata ("rgbd.architecture") or its keys.
/// Throws Error{kBadCheckpoint} that names the first missing keys.
std::unique_ptr<Network> load_network(const Checkpoint& checkpoint, const NetworkOptions& options);

// Implemented in core/cdm/ and core/light/.
bool is_cdm(const Checkpoint& checkpoint);
std::unique_ptr<Network> load_cdm(const Checkpoint& checkpoint, const NetworkOptions& options);
bool is_light(const Checkpoint& checkpoint);
std::unique_ptr<Network> load_light(const Checkpoint& checkpoint, const NetworkOptions& options);

}  // namespace rgbd
