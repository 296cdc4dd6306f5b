// SPDX-License-Identifier: Apache-2.0
#include "tests/support/seeded.h"

#include <array>
#include <cmath>
#include <stdexcept>

#include "tests/support/safetensors_writer.h"

namespace rgbd::test {
namespace {

struct Sizes {
  const char* encoder;
  int64_t width;
  int blocks;
  int64_t features;
  std::array<int64_t, 4> out_channels;
};
constexpr Sizes kSizes[] = {
    {"tiny", 64, 4, 16, {8, 16, 32, 64}},
    {"vits", 384, 12, 64, {48, 96, 192, 384}},
    {"vitb", 768, 12, 128, {96, 192, 384, 768}},
    {"vitl", 1024, 24, 256, {256, 512, 1024, 1024}},
    {"vitg", 1536, 40, 384, {1536, 1536, 1536, 1536}},
};

const Sizes& sizes(const std::string& encoder) {
  for (const Sizes& s : kSizes) {
    if (encoder == s.encoder) return s;
  }
  throw std::invalid_argument("no encoder '" + encoder + "': tiny, vits, vitb, vitl, vitg");
}

using Keys = std::vector<Shaped>;

void add_linear(Keys& keys, const std::string& name, int64_t out, int64_t in) {
  keys.push_back({name + ".weight", {out, in}});
  keys.push_back({name + ".bias", {out}});
}

void add_conv(Keys& keys, const std::string& name, int64_t first, int64_t second, int64_t kernel,
              int64_t bias) {
  keys.push_back({name + ".weight", {first, second, kernel, kernel}});
  if (bias) keys.push_back({name + ".bias", {bias}});
}

void add_norm(Keys& keys, const std::string& name, int64_t width) {
  keys.push_back({name + ".weight", {width}});
  keys.push_back({name + ".bias", {width}});
}

void add_trunk(Keys& keys, const std::string& trunk, const Sizes& s) {
  const int64_t c = s.width;
  keys.push_back({trunk + ".cls_token", {1, 1, c}});
  keys.push_back({trunk + ".pos_embed", {1, 1 + 37 * 37, c}});
  keys.push_back({trunk + ".mask_token", {1, c}});
  add_conv(keys, trunk + ".patch_embed.proj", c, 3, 14, c);
  for (int b = 0; b < s.blocks; ++b) {
    const std::string p = trunk + ".blocks." + std::to_string(b);
    add_norm(keys, p + ".norm1", c);
    add_linear(keys, p + ".attn.qkv", 3 * c, c);
    add_linear(keys, p + ".attn.proj", c, c);
    keys.push_back({p + ".ls1.gamma", {c}});
    add_norm(keys, p + ".norm2", c);
    if (std::string_view(s.encoder) == "vitg") {
      const int64_t hidden = (4 * c * 2 / 3 + 7) / 8 * 8;
      add_linear(keys, p + ".mlp.w12", 2 * hidden, c);
      add_linear(keys, p + ".mlp.w3", c, hidden);
    } else {
      add_linear(keys, p + ".mlp.fc1", 4 * c, c);
      add_linear(keys, p + ".mlp.fc2", c, 4 * c);
    }
    keys.push_back({p + ".ls2.gamma", {c}});
  }
  add_norm(keys, trunk + ".norm", c);
}

void add_head(Keys& keys, const std::string& head, const Sizes& s) {
  const int64_t f = s.features;
  const auto& oc = s.out_channels;
  for (int i = 0; i < 4; ++i)
    add_conv(keys, head + ".projects." + std::to_string(i), oc[i], 2 * s.width, 1, oc[i]);
  add_conv(keys, head + ".resize_layers.0", oc[0], oc[0], 4, oc[0]);
  add_conv(keys, head + ".resize_layers.1", oc[1], oc[1], 2, oc[1]);
  add_conv(keys, head + ".resize_layers.3", oc[3], oc[3], 3, oc[3]);
  const std::string scratch = head + ".scratch";
  for (int i = 0; i < 4; ++i)
    add_conv(keys, scratch + ".layer" + std::to_string(i + 1) + "_rn", f, oc[i], 3, 0);
  for (int i = 1; i <= 4; ++i) {
    const std::string p = scratch + ".refinenet" + std::to_string(i);
    add_conv(keys, p + ".out_conv", f, f, 1, f);
    for (const char* conv : {"1.conv1", "1.conv2", "2.conv1", "2.conv2"}) {
      add_conv(keys, p + ".resConfUnit" + conv, f, f, 3, f);
    }
  }
  add_conv(keys, scratch + ".output_conv1", f / 2, f, 3, f / 2);
  add_conv(keys, scratch + ".output_conv2.0", 32, f / 2, 3, 32);
  add_conv(keys, scratch + ".output_conv2.2", 1, 32, 1, 1);
}

uint64_t fnv1a64(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (unsigned char byte : text) hash = (hash ^ byte) * 0x100000001B3u;
  return hash;
}

}  // namespace

int64_t element_count(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t side : shape) n *= side;
  return n;
}

std::vector<Shaped> seeded_shapes(const std::string& encoder) {
  const Sizes& s = sizes(encoder);
  Keys keys;
  add_trunk(keys, "pretrained", s);
  add_trunk(keys, "depth_pretrained", s);
  for (int i = 0; i < 4; ++i) {
    const std::string p = "crossAtts." + std::to_string(i);
    keys.push_back({p + ".in_proj_weight", {3 * s.width, s.width}});
    keys.push_back({p + ".in_proj_bias", {3 * s.width}});
    add_linear(keys, p + ".out_proj", s.width, s.width);
  }
  add_head(keys, "depth_head_rgbd", s);
  return keys;
}

void uniform(std::string_view key, uint64_t seed, float* out, size_t n) {
  const uint64_t start = fnv1a64(key) + seed;
  for (size_t i = 0; i < n; ++i) {
    uint64_t z = start + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z = z ^ (z >> 31);
    out[i] = static_cast<float>(static_cast<int32_t>(z >> 40) * 0x1p-23 - 1.0);  // exact
  }
}

std::vector<float> uniform(std::string_view key, size_t n, uint64_t seed) {
  std::vector<float> out(n);
  uniform(key, seed, out.data(), n);
  return out;
}

std::vector<float> seeded_value(const std::string& key, const std::vector<int64_t>& shape, uint64_t seed) {
  const std::string_view name = key;
  const int64_t n = element_count(shape);
  std::vector<float> out = uniform(name, static_cast<size_t>(n), seed);
  float base = 0.0f;
  float scale = 0.0f;
  if (name.ends_with("ls1.gamma") || name.ends_with("ls2.gamma")) {
    scale = 0.25f;
  } else if ((name.find("norm") != name.npos && name.ends_with("weight")) ||
             name == "depth_head_rgbd.scratch.output_conv2.2.bias") {
    base = 1.0f;
    scale = 0.125f;
  } else if (name.ends_with("bias")) {
    scale = 0.125f;
  } else if (name.ends_with("pos_embed") || name.ends_with("cls_token") || name.ends_with("mask_token")) {
    scale = 0.5f;
  } else {
    scale = static_cast<float>(std::sqrt(3.0 / static_cast<double>(n / shape[0])));
  }
  // base != 0 only with a power of two as scale: the product is exact, so a fused multiply-add changes
  // nothing.
  for (float& v : out) v = base + scale * v;
  return out;
}

void write_seeded(const std::string& path, const std::string& encoder, uint64_t seed) {
  std::vector<FileTensor> tensors;
  for (Shaped& shaped : seeded_shapes(encoder)) {
    const auto bytes = [shaped, seed] { return bytes_of(seeded_value(shaped.key, shaped.shape, seed)); };
    tensors.push_back({shaped.key, "F32", shaped.shape, bytes});
  }
  write_safetensors(path, tensors);
}

}  // namespace rgbd::test
