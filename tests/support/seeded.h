// SPDX-License-Identifier: Apache-2.0
// Seeded weights: every value of a Camera Depth Model follows from its key by integer arithmetic, so that
// anyone can make the same checkpoint in any language (the generator is written down in `uniform` and
// `seeded_value`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rgbd::test {

struct Shaped {
  std::string key;
  std::vector<int64_t> shape;
};

int64_t element_count(const std::vector<int64_t>& shape);

/// Every key of the published layout with its shape, in file order. `encoder`: vits, vitb, vitl, vitg, or
/// "tiny", which exists only in tests (C 64, 4 blocks, 1 head, MLP, 16 features, out_channels 8 16 32 64,
/// taps 0 1 2 3). Throws std::invalid_argument on another name.
std::vector<Shaped> seeded_shapes(const std::string& encoder);

/// n values in [-1, 1): splitmix64 of (fnv1a64(key) + seed + (i + 1) * golden ratio), its top 24 bits.
void uniform(std::string_view key, uint64_t seed, float* out, size_t n);
std::vector<float> uniform(std::string_view key, size_t n, uint64_t seed = 0);

/// The tensor of one key, row-major. Scales keep activations of order one through every depth.
std::vector<float> seeded_value(const std::string& key, const std::vector<int64_t>& shape, uint64_t seed = 0);

/// Writes the whole float32 checkpoint as safetensors with plain keys. Holds one tensor at a time (vitg
/// has 9.7 GB).
void write_seeded(const std::string& path, const std::string& encoder, uint64_t seed = 0);

}  // namespace rgbd::test
