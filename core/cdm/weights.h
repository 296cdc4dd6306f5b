// SPDX-License-Identifier: Apache-2.0
// The members of the published family, told apart by their shapes, and checked access to their weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint.h"

namespace rgbd::cdm {

inline constexpr int64_t kPatch = 14;       // pixels
inline constexpr int64_t kHeadDim = 64;     // of the encoders' attention
inline constexpr int64_t kFusionHeads = 4;  // of the two-token attention

/// Sizes of one network.
struct Variant {
  std::string encoder;   // vits | vitb | vitl | vitg
  int64_t channels = 0;  // C, token width
  int64_t blocks = 0;
  std::array<int64_t, 4> taps{};  // blocks whose output the head sees, 0-based
  int64_t hidden = 0;             // width inside the feed-forward part
  bool swiglu = false;            // vitg: silu(a) * b instead of gelu
  int64_t positions = 0;          // rows of pos_embed without the class token, 37 * 37
  int64_t features = 0;           // DPT head
  std::array<int64_t, 4> out_channels{};

  int64_t heads() const { return channels / kHeadDim; }
};

/// The weights of one checkpoint, complete and of the right shapes.
class Weights {
 public:
  /// Reads names and shapes only. Throws Error{kBadCheckpoint}: an unknown width or depth; missing keys, the
  /// first few named and the number of all; a wrong shape. Logs keys that are not used in one line.
  explicit Weights(const Checkpoint& checkpoint);
  virtual ~Weights() = default;

  const Variant& variant() const { return variant_; }
  /// Numbers in the weights this network uses.
  uint64_t parameters() const { return parameters_; }
  /// Read as float32 on the CPU into memory of its own, so that a model never lies in memory twice.
  /// Virtual: the CUDA module cannot see it otherwise.
  virtual at::Tensor get(const std::string& key) const;

 private:
  const Checkpoint& checkpoint_;
  Variant variant_;
  uint64_t parameters_ = 0;
};

/// Every key the network needs, with its shape.
std::vector<std::pair<std::string, std::vector<int64_t>>> expected_shapes(const Variant& variant);

}  // namespace rgbd::cdm
