// SPDX-License-Identifier: Apache-2.0
#include "core/light/weights.h"

#include <c10/util/ArrayRef.h>
#include <c10/util/StringUtil.h>

#include <set>

#include "core/checkpoint_file.h"

namespace rgbd::light {
namespace {

void refuse(const Checkpoint& checkpoint, const std::vector<std::string>& names, const std::string& problem) {
  if (names.empty()) return;
  std::string text = checkpoint.path() + ": a light model's file with " + std::to_string(names.size()) + " " +
                     problem + ": ";
  for (size_t i = 0; i < names.size() && i < 3; ++i) text += (i ? ", " : "") + names[i];
  throw Error(ErrorCode::kBadCheckpoint, names.size() > 3 ? text + ", …" : text);
}

}  // namespace

std::vector<std::pair<std::string, std::vector<int64_t>>> expected_shapes(const Settings& s) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> out;
  auto conv = [&](const std::string& key, int64_t inputs, int64_t outputs, int64_t kernel = 3) {
    out.push_back({key + ".weight", {outputs, inputs, kernel, kernel}});
    out.push_back({key + ".bias", {outputs}});
  };
  auto block = [&](const std::string& key, int64_t width) {
    conv(key + ".conv1", width, width);
    conv(key + ".conv2", width, width);
  };
  const auto& w = s.widths;
  conv("stem.0", 4 * s.features(), w[0]);
  conv("stem.1", w[0], w[0]);
  for (size_t i = 0; i + 1 < w.size(); ++i) {
    const auto level = "encoder." + std::to_string(i);
    conv(level + ".down", w[i], w[i + 1]);
    for (int64_t b = 0; b < s.blocks(i); ++b) block(level + ".blocks." + std::to_string(b), w[i + 1]);
  }
  for (size_t i = 0; i + 1 < w.size(); ++i) {
    const auto level = "decoder." + std::to_string(i);
    conv(level + ".lateral", w[i + 1], w[i], 1);
    block(level + ".block", w[i]);
  }
  conv("coarse", w[1], 1);
  conv("head", w[0], 4 * (s.candidates() + 1), 1);
  return out;
}

Weights::Weights(const Checkpoint& checkpoint)
    : checkpoint_(checkpoint), settings_(read_settings(checkpoint)) {
  std::vector<std::string> missing, wrong, superfluous;
  std::set<std::string> used;
  for (const auto& [key, shape] : expected_shapes(settings_)) {
    used.insert(key);
    if (!checkpoint.contains(key)) {
      missing.push_back(key);
    } else if (checkpoint.shape(key) != shape) {
      wrong.push_back(
          c10::str(key, " is ", at::IntArrayRef(checkpoint.shape(key)), ", not ", at::IntArrayRef(shape)));
    } else {
      uint64_t numbers = 1;
      for (const auto size : shape) numbers *= static_cast<uint64_t>(size);
      parameters_ += numbers;
    }
  }
  for (const auto& key : checkpoint.keys())
    if (!used.count(key)) superfluous.push_back(quote(key));
  refuse(checkpoint, missing, "tensors missing that its metadata describe");
  refuse(checkpoint, wrong, "tensors of another shape than its metadata say");
  refuse(checkpoint, superfluous, "tensors that its metadata do not describe");
}

at::Tensor Weights::get(const std::string& key) const {
  return checkpoint_.weight(key);
}

}  // namespace rgbd::light
