// SPDX-License-Identifier: Apache-2.0
// Checked access to a light model's tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint.h"
#include "core/light/settings.h"

namespace rgbd::light {

/// The weights of one file: exactly those that its metadata describe.
class Weights {
 public:
  /// Reads metadata, names and shapes only. Throws Error{kBadCheckpoint}: what read_settings() throws;
  /// missing, wrongly shaped or superfluous tensors, the first few named.
  explicit Weights(const Checkpoint& checkpoint);
  virtual ~Weights() = default;

  const Settings& settings() const { return settings_; }
  /// Numbers in the weights.
  uint64_t parameters() const { return parameters_; }
  /// A copy as float32 on the CPU, whatever the file's type.
  /// Virtual: the CUDA module cannot see it otherwise.
  virtual at::Tensor get(const std::string& key) const;

 private:
  const Checkpoint& checkpoint_;
  Settings settings_;
  uint64_t parameters_ = 0;
};

/// Every key the network needs, with its shape.
std::vector<std::pair<std::string, std::vector<int64_t>>> expected_shapes(const Settings& settings);

}  // namespace rgbd::light
