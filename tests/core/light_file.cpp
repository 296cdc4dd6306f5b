// SPDX-License-Identifier: Apache-2.0
#include "tests/core/light_file.h"

#include <ATen/ops/empty.h>
#include <unistd.h>

#include <filesystem>

#include "core/light/weights.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/torch_writer.h"

namespace rgbd::test {

Metadata light_metadata(const std::string& model) {
  Metadata m{
      {"rgbd.architecture", "light"},
      {"rgbd.version", "2"},
      {"rgbd.widths", "8,12,16,12,20"},
      {"rgbd.bottleneck_blocks", "2"},
      {"rgbd.features", "9"},
      {"rgbd.difference_levels", "2,3,4,5"},
      {"rgbd.head", "choice"},
      {"rgbd.candidates", "25"},
      {"rgbd.raw_offsets", "-1,-1;-1,0;-1,1;0,-1;0,0;0,1;1,-1;1,0;1,1;-3,-3;-3,0;-3,3;0,-3;0,3;3,-3;3,0;3,3"},
      {"rgbd.coarse_offsets", "0,0;0,-4;0,4;-4,0;4,0"},
      {"rgbd.smooth_levels", "3,4"},
      {"rgbd.correction", "1.5"},
      {"rgbd.pyramid_levels", "5"},
      {"rgbd.mode_tolerance", "0.05"},
      {"rgbd.keep_window", "7"},
      {"rgbd.keep_tolerance", "0.02"},
      {"rgbd.hole_low", "0.7"},
      {"rgbd.hole_high", "1.4"},
      {"rgbd.min_valid", "0.01"},
      {"rgbd.input_size", "480"},
      {"rgbd.multiple", "1"},
      {"rgbd.upscale", "false"},
      {"rgbd.padding", "32"},
      {"rgbd.mean", "0.5,0.5,0.5"},
      {"rgbd.std", "0.25,0.25,0.25"},
      {"rgbd.channel_order", "rgb"},
      {"rgbd.depth_norm", "median"},
      {"rgbd.license", "Apache-2.0"},
  };
  auto change = [&m](const Metadata& changes) {
    for (const auto& [key, value] : changes) m.at("rgbd." + key) = value;
  };
  if (model == "settings") {
    change({{"widths", "8,16,12"},
            {"bottleneck_blocks", "1"},
            {"mode_tolerance", "0.3"},
            {"keep_window", "5"},
            {"keep_tolerance", "0.01"},
            {"hole_low", "0.99"},
            {"hole_high", "0.9"}});
  } else if (model == "constants") {
    change({{"widths", "8,12,16"},
            {"raw_offsets", "0,0;0,1;-2,3"},
            {"coarse_offsets", "0,0;3,-2"},
            {"smooth_levels", "1"},
            {"candidates", "7"},
            {"difference_levels", "3,2"},
            {"features", "7"},
            {"correction", "0.75"},
            {"pyramid_levels", "3"},
            {"padding", "16"}});
  } else if (model == "rays" || model == "far") {
    m["rgbd.rays"] = "4";
    if (model == "far") m["rgbd.far"] = "1", m["rgbd.denoise"] = "4", m["rgbd.snap"] = "2";
    change({{"version", "3"}, {"candidates", "29"}, {"features", "13"}});
  }
  return m;
}

std::vector<Shaped> light_tensors(const Metadata& metadata) {
  std::vector<Shaped> out;
  // A checkpoint without tensors, for its metadata.
  for (const auto& [key, shape] :
       light::expected_shapes(light::read_settings(light_checkpoint(metadata, std::vector<Shaped>{}))))
    out.push_back({key, shape});
  return out;
}

Checkpoint light_checkpoint(const Metadata& metadata, const std::vector<Shaped>& tensors,
                            const std::string& dtype) {
  std::vector<FileTensor> in_file;
  for (const auto& [key, shape] : tensors) {
    in_file.push_back({key, dtype, shape, [key, shape, dtype] {
                         auto values = seeded_value(key, shape);
                         if (key == "head.weight")
                           for (auto& value : values) value *= 8;  // choices that are clear
                         return converted(values, dtype);
                       }});
  }
  auto path = (std::filesystem::temp_directory_path() / "rgbd-light-XXXXXX").string();
  const int file = mkstemp(path.data());
  if (file < 0) throw std::runtime_error("cannot make a temporary file " + path);
  close(file);
  write_safetensors(path, in_file, metadata);
  auto checkpoint = Checkpoint::open(path);
  std::filesystem::remove(path);
  return checkpoint;
}

Checkpoint light_checkpoint(const Metadata& metadata, const std::string& dtype) {
  return light_checkpoint(metadata, light_tensors(metadata), dtype);
}

at::Tensor light_frame(int64_t height, int64_t width, float contrast) {
  const auto pixels = height * width, blocks_across = width / 8 + 1;
  auto out = at::empty({4, height, width}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for (const auto* name : {"input.r", "input.g", "input.b"}) {
    uniform(name, 0, to, static_cast<size_t>(pixels));
    for (int64_t i = 0; i < pixels; ++i) *to++ *= contrast;
  }
  const auto rough = uniform("input.d", static_cast<size_t>(pixels));
  const auto block = uniform("input.hole", static_cast<size_t>((height / 8 + 1) * blocks_across));
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const float r = rough[y * width + x];
      const bool hole = block[y / 8 * blocks_across + x / 8] < -0.5f || r > 0.9f;
      *to++ = hole ? 0 : (x < width / 2 ? 0.5f : 1.25f) + 0.0625f * r;
    }
  }
  return out;
}

}  // namespace rgbd::test
