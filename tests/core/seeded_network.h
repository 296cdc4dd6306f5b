// SPDX-License-Identifier: Apache-2.0
// Networks, inputs and expected outputs that follow from a seed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint.h"

namespace rgbd::test {

/// The seeded weights of an encoder, in a file that is gone from its folder as soon as it is mapped.
Checkpoint seeded_checkpoint(const std::string& encoder, uint64_t seed = 0);

/// The seeded network input [4, h, w]: colour 2u, inverse depth |2u| where 2u > -1 and a hole elsewhere.
at::Tensor seeded_input(int64_t height, int64_t width, uint64_t seed = 0);

/// 64 values of a map [h, w], spread over it.
std::vector<float> samples(const at::Tensor& y);

/// One line of tests/data/network-samples.txt: what a seeded network answers to the seeded input of one size.
struct SampledOutput {
  std::string encoder;
  int64_t height = 0, width = 0;
  std::vector<float> values;
};
/// Throws std::runtime_error when the file is not there or a line is not whole.
std::vector<SampledOutput> read_samples(const std::string& path);

}  // namespace rgbd::test
