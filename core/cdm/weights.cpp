// SPDX-License-Identifier: Apache-2.0
#include "core/cdm/weights.h"

#include <cmath>
#include <set>
#include <sstream>

#include "core/log.h"

namespace rgbd::cdm {
namespace {

using Shape = std::vector<int64_t>;

struct Depths {
  const char* encoder;
  int64_t channels, blocks;
  std::array<int64_t, 4> taps;
};
constexpr Depths kEncoders[] = {
    {"vits", 384, 12, {2, 5, 8, 11}},    {"vitb", 768, 12, {2, 5, 8, 11}},
    {"vitl", 1024, 24, {4, 11, 17, 23}}, {"vitg", 1536, 40, {9, 19, 29, 39}},
    {"tiny", 64, 4, {0, 1, 2, 3}},  // tiny: tests only
};

[[noreturn]] void bad(const Checkpoint& checkpoint, const std::string& text) {
  throw Error(ErrorCode::kBadCheckpoint, checkpoint.path() + " (" + checkpoint.layout() + "): " + text);
}

/// Size `dimension` of the tensor `key`; `otherwise` when the file has no such tensor.
int64_t size_of(const Checkpoint& checkpoint, const std::string& key, size_t dimension, int64_t otherwise) {
  if (!checkpoint.contains(key)) return otherwise;
  const auto shape = checkpoint.shape(key);
  return dimension < shape.size() ? shape[dimension] : 0;
}

Variant recognise(const Checkpoint& checkpoint) {
  Variant v;
  v.channels = size_of(checkpoint, "pretrained.cls_token", 2, 0);
  while (checkpoint.contains("pretrained.blocks." + std::to_string(v.blocks) + ".norm1.weight")) ++v.blocks;
  const Depths* known = nullptr;
  for (const auto& row : kEncoders)
    if (row.channels == v.channels && row.blocks == v.blocks) known = &row;
  if (!known) {
    bad(checkpoint, "no encoder of the Camera Depth Model is " + std::to_string(v.channels) + " wide with " +
                        std::to_string(v.blocks) +
                        " blocks (vits 384 x 12, vitb 768 x 12, vitl 1024 x 24, vitg 1536 x 40)");
  }
  v.encoder = known->encoder;
  v.taps = known->taps;
  // Sizes of absent tensors are guessed only to name those tensors as missing.
  v.swiglu = checkpoint.contains("pretrained.blocks.0.mlp.w12.weight");
  v.hidden = v.swiglu ? size_of(checkpoint, "pretrained.blocks.0.mlp.w12.weight", 0, 0) / 2
                      : size_of(checkpoint, "pretrained.blocks.0.mlp.fc1.weight", 0, 4 * v.channels);
  v.positions = size_of(checkpoint, "pretrained.pos_embed", 1, 1 + 37 * 37) - 1;
  const std::string head = "depth_head_rgbd.";
  v.features = size_of(checkpoint, head + "scratch.output_conv1.weight", 1, v.channels);
  for (int i = 0; i < 4; ++i)
    v.out_channels[i] =
        size_of(checkpoint, head + "projects." + std::to_string(i) + ".weight", 0, v.channels);

  // The file's own numbers: far outside the family they cost memory or break operations later.
  auto within = [&](const char* what, int64_t size, int64_t least, int64_t most) {
    if (size < least || size > most) {
      bad(checkpoint, std::string(what) + " of " + std::to_string(size) +
                          " make no Camera Depth Model: from " + std::to_string(least) + " to " +
                          std::to_string(most) + " do");
    }
  };
  within("hidden channels", v.hidden, 1, 16 * v.channels);
  within("position embeddings", v.positions, 1, 256 * 256);
  within("features of the head", v.features, 2, 4096);
  if (v.features % 2) bad(checkpoint, "an odd number of features of the head, " + std::to_string(v.features));
  for (const auto channels : v.out_channels) within("channels of the head's projections", channels, 1, 8192);
  return v;
}

std::string text(const Shape& shape) {
  std::ostringstream out;
  out << '[';
  for (size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  out << ']';
  return out.str();
}

std::string first_few(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < names.size() && i < 3; ++i) out += (i ? ", " : "") + names[i];
  return names.size() > 3 ? out + ", …" : out;
}

}  // namespace

std::vector<std::pair<std::string, Shape>> expected_shapes(const Variant& v) {
  std::vector<std::pair<std::string, Shape>> out;
  auto add = [&](const std::string& key, Shape shape) { out.emplace_back(key, std::move(shape)); };
  auto layer = [&](const std::string& key, Shape shape) {
    const auto outputs = shape[0];
    add(key + ".weight", std::move(shape));
    add(key + ".bias", {outputs});
  };
  const auto c = v.channels, f = v.features;

  for (const std::string trunk : {"pretrained", "depth_pretrained"}) {
    add(trunk + ".cls_token", {1, 1, c});
    add(trunk + ".pos_embed", {1, 1 + v.positions, c});
    layer(trunk + ".patch_embed.proj", {c, 3, kPatch, kPatch});
    for (int64_t b = 0; b < v.blocks; ++b) {
      const auto block = trunk + ".blocks." + std::to_string(b);
      layer(block + ".norm1", {c});
      layer(block + ".attn.qkv", {3 * c, c});
      layer(block + ".attn.proj", {c, c});
      add(block + ".ls1.gamma", {c});
      layer(block + ".norm2", {c});
      layer(block + (v.swiglu ? ".mlp.w12" : ".mlp.fc1"), {v.swiglu ? 2 * v.hidden : v.hidden, c});
      layer(block + (v.swiglu ? ".mlp.w3" : ".mlp.fc2"), {c, v.hidden});
      add(block + ".ls2.gamma", {c});
    }
    layer(trunk + ".norm", {c});
  }
  const std::string head = "depth_head_rgbd.", scratch = head + "scratch.";
  for (int i = 0; i < 4; ++i) {
    const auto n = std::to_string(i);
    add("crossAtts." + n + ".in_proj_weight", {3 * c, c});
    add("crossAtts." + n + ".in_proj_bias", {3 * c});
    layer("crossAtts." + n + ".out_proj", {c, c});
    layer(head + "projects." + n, {v.out_channels[i], 2 * c, 1, 1});
    add(scratch + "layer" + std::to_string(i + 1) + "_rn.weight", {f, v.out_channels[i], 3, 3});
  }
  const auto& oc = v.out_channels;
  layer(head + "resize_layers.0", {oc[0], oc[0], 4, 4});
  layer(head + "resize_layers.1", {oc[1], oc[1], 2, 2});
  layer(head + "resize_layers.3", {oc[3], oc[3], 3, 3});
  for (int i = 1; i <= 4; ++i) {
    const auto block = scratch + "refinenet" + std::to_string(i);
    layer(block + ".out_conv", {f, f, 1, 1});
    // The deepest block has no skip: its first unit is in the files, unused.
    for (int unit = i == 4 ? 2 : 1; unit <= 2; ++unit) {
      layer(block + ".resConfUnit" + std::to_string(unit) + ".conv1", {f, f, 3, 3});
      layer(block + ".resConfUnit" + std::to_string(unit) + ".conv2", {f, f, 3, 3});
    }
  }
  layer(scratch + "output_conv1", {f / 2, f, 3, 3});
  layer(scratch + "output_conv2.0", {32, f / 2, 3, 3});
  layer(scratch + "output_conv2.2", {1, 32, 1, 1});
  return out;
}

Weights::Weights(const Checkpoint& checkpoint) : checkpoint_(checkpoint), variant_(recognise(checkpoint)) {
  std::vector<std::string> missing, wrong, unused;
  std::set<std::string> used;
  for (const auto& [key, shape] : expected_shapes(variant_)) {
    used.insert(key);
    if (!checkpoint.contains(key)) {
      missing.push_back(key);
    } else if (checkpoint.shape(key) != shape) {
      wrong.push_back(key + " is " + text(checkpoint.shape(key)) + ", not " + text(shape));
    } else {
      uint64_t numbers = 1;
      for (const auto size : shape) numbers *= static_cast<uint64_t>(size);
      parameters_ += numbers;
    }
  }
  if (!missing.empty()) {
    bad(checkpoint, "not a whole Camera Depth Model (" + variant_.encoder +
                        "): " + std::to_string(missing.size()) + " of " + std::to_string(used.size()) +
                        " tensors are missing: " + first_few(missing));
  }
  if (!wrong.empty()) {
    bad(checkpoint, std::to_string(wrong.size()) + " tensors have a wrong shape for " + variant_.encoder +
                        ": " + first_few(wrong));
  }
  const auto side = std::llround(std::sqrt(static_cast<double>(variant_.positions)));
  if (side * side != variant_.positions) {
    bad(checkpoint,
        "pretrained.pos_embed has " + std::to_string(variant_.positions) + " positions, not a square grid");
  }
  for (const auto& key : checkpoint.keys())
    if (!used.count(key)) unused.push_back(key);
  if (!unused.empty()) {
    log(LogLevel::kInfo, checkpoint.path() + ": " + std::to_string(unused.size()) +
                             " tensors are not used: " + first_few(unused));
  }
}

at::Tensor Weights::get(const std::string& key) const {
  return checkpoint_.weight(key);
}

}  // namespace rgbd::cdm
