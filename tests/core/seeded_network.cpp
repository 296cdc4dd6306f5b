// SPDX-License-Identifier: Apache-2.0
#include "tests/core/seeded_network.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/seeded.h"

namespace rgbd::test {

constexpr int64_t kSamples = 64;
constexpr int64_t kStep = 7919;  // a prime, so that the samples fall on all rows and columns

Checkpoint seeded_checkpoint(const std::string& encoder, uint64_t seed) {
  auto path = (std::filesystem::temp_directory_path() / "rgbd-seeded-XXXXXX").string();
  const int file = mkstemp(path.data());
  if (file < 0) throw std::runtime_error("cannot make a temporary file " + path);
  close(file);
  struct Remove {
    std::string path;
    ~Remove() { std::filesystem::remove(path); }
  } remove{path};
  write_seeded(path, encoder, seed);
  return Checkpoint::open(path);
}

at::Tensor seeded_input(int64_t height, int64_t width, uint64_t seed) {
  std::vector<at::Tensor> channels;
  for (const char name : std::string("rgbd")) {
    auto values = uniform(std::string("input.") + name, static_cast<size_t>(height * width), seed);
    for (auto& value : values) {
      value *= 2;
      if (name == 'd') value = value > -1 ? std::abs(value) : 0;
    }
    channels.push_back(at::from_blob(values.data(), {height, width}, at::kFloat).clone());
  }
  return at::stack(channels);
}

std::vector<float> samples(const at::Tensor& y) {
  const auto map = y.to(at::kCPU, at::kFloat).contiguous();
  std::vector<float> out;
  for (int64_t i = 0; i < kSamples; ++i) out.push_back(map.const_data_ptr<float>()[i * kStep % map.numel()]);
  return out;
}

std::vector<SampledOutput> read_samples(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<SampledOutput> out;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream in(line);
    SampledOutput row;
    char by = 0;
    in >> row.encoder >> row.height >> by >> row.width;
    for (float value; in >> value;) row.values.push_back(value);
    if (by != 'x' || row.values.size() != kSamples)
      throw std::runtime_error(path + ": bad line '" + line + "'");
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace rgbd::test
