// SPDX-License-Identifier: Apache-2.0
// Light models' files and frames that follow from names by integer arithmetic, as training/light_samples.py
// makes them.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "core/checkpoint.h"
#include "tests/support/seeded.h"

namespace rgbd::test {

using Metadata = std::map<std::string, std::string>;

/// The metadata of the models in tests/data/light-samples.txt: "light", "settings", "constants", "rays" or
/// "far"; the last two are of version 3, the last with what follows the network's answer.
Metadata light_metadata(const std::string& model = "light");

/// The tensors that the metadata ask for (with core/light's own list of them: the samples check its names).
std::vector<Shaped> light_tensors(const Metadata& metadata);

/// A file with these metadata and tensors, gone from its folder as soon as it is mapped. Values follow from
/// the key; `dtype` F32 or F16.
Checkpoint light_checkpoint(const Metadata& metadata, const std::vector<Shaped>& tensors,
                            const std::string& dtype = "F32");
Checkpoint light_checkpoint(const Metadata& metadata, const std::string& dtype = "F32");

/// [4, h, w]: colour noise within ±`contrast`; two slightly rough walls, with holes of 8x8 pixels and single
/// ones.
at::Tensor light_frame(int64_t height, int64_t width, float contrast = 2);
/// A contrast with which pixels are alike, for what spreads and moves along alike colours.
inline constexpr float kPale = 1.0f / 16;

}  // namespace rgbd::test
