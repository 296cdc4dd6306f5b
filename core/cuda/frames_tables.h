// SPDX-License-Identifier: Apache-2.0
// core/resize.h's tables in device memory, kept: a camera's frames all have the same sizes.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <tuple>

#include "core/cuda/frames_pixels.h"

namespace rgbd::cuda {

/// One thread only. Tables are there for what is queued on the current stream; those of a new size are copied
/// up, which waits for it.
class Tables {
 public:
  explicit Tables(at::Device device) : device_(device) {}

  const Tap* opencv_cubic(int src, int dst);
  const int* opencv_nearest(int src, int dst);
  const int* torch_nearest(int src, int dst);
  /// Drops all where there are many. Not between taking a table and queueing what reads it.
  void tidy();

 private:
  enum class Rule { kOpencvCubic, kOpencvNearest, kTorchNearest };
  template <typename Make>
  const void* table(Rule rule, int src, int dst, Make&& make);

  const at::Device device_;
  std::map<std::tuple<Rule, int, int>, at::Tensor> tables_;
};

}  // namespace rgbd::cuda
