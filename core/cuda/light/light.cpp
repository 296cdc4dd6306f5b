// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/light/light.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "core/cuda/graph.h"
#include "core/cuda/light/conv.h"

namespace rgbd::cuda {
namespace {

namespace kernels = light_kernels;

kernels::Choice choice_of(const light::Settings& s) {
  kernels::Choice c{};
  auto put = [](const std::vector<light::Offset>& from, int& count, kernels::Choice::Offset* to, int& reach) {
    for (const auto& [dy, dx] : from) {
      to[count++] = {static_cast<signed char>(dy), static_cast<signed char>(dx)};
      reach = std::max({reach, std::abs(static_cast<int>(dy)), std::abs(static_cast<int>(dx))});
    }
  };
  c.keep_reach = static_cast<int>(s.keep_window / 2);
  c.raw_reach = c.keep_reach;
  put(s.raw, c.raw, c.raw_offsets, c.raw_reach);
  put(s.coarse, c.coarse, c.coarse_offsets, c.coarse_reach);
  for (const auto level : s.smooth) c.smooth_levels[c.smooth++] = static_cast<int>(level);
  c.rays = static_cast<int>(s.rays);
  c.correction = static_cast<float>(s.correction);
  c.mode_tolerance = static_cast<float>(s.mode_tolerance);
  c.keep_down = static_cast<float>(1 - s.keep_tolerance);
  c.keep_up = static_cast<float>(1 + s.keep_tolerance);
  return c;
}

kernels::Differences differences_of(const light::Settings& s) {
  kernels::Differences d{};
  for (const auto level : s.differences) d.levels[d.count++] = static_cast<int>(level);
  return d;
}

/// The head's rows [4 (candidates + 1), …], as at::pixel_shuffle() takes them, in choose()'s order.
at::Tensor in_head_order(const at::Tensor& rows, int stride) {
  auto sizes = rows.sizes().vec();
  sizes[0] = 4 * stride;
  auto out = at::zeros(sizes, rows.options());
  for (int64_t row = 0; row < rows.size(0); ++row) {
    const int c = static_cast<int>(row / 4), odd_row = row / 2 % 2, odd_column = row % 2;
    out.select(0, kernels::head_channel(stride, odd_row, odd_column, c)).copy_(rows.select(0, row));
  }
  return out;
}

at::ScalarType scalar_type(Precision precision) {
  return precision == Precision::kFp16   ? at::kHalf
         : precision == Precision::kBf16 ? at::kBFloat16
                                         : at::kFloat;
}

class Light final : public Network {
 public:
  Light(const light::Weights& weights, const NetworkOptions& options);

  const InputSpec& input() const override { return settings_.input; }
  std::string architecture() const override { return "light"; }
  std::string encoder() const override { return ""; }
  uint64_t parameters() const override { return parameters_; }
  at::Tensor forward(const at::Tensor& x) override;

 private:
  /// relu(x + conv2(relu(conv1(x))))
  struct Block {
    LightConv conv1, conv2;
    at::Tensor operator()(const at::Tensor& x) const { return conv2(conv1(x), x); }
  };
  struct Encoder {
    LightConv down;
    std::vector<Block> blocks;
  };
  struct Decoder {
    LightConv lateral;
    Block block;
  };
  struct Features {
    at::Tensor coarse, last;
  };

  /// Everything; x contiguous.
  at::Tensor queue(const at::Tensor& x) const;
  struct Answer {
    at::Tensor y;       // [B, h, w]
    at::Tensor ranges;  // kernels::Range, a frame each
  };
  /// The U-Net's choice, at one size; x contiguous.
  Answer answer(const at::Tensor& x) const;
  kernels::Geometry geometry_of(const at::Tensor& x) const;
  /// features [B, in, rows/2, columns/2] to the coarse correction [B, 8, rows/4, columns/4] and what the head
  /// sees. As core/light/unet.cpp.
  Features unet(at::Tensor x) const;

  light::Settings settings_;
  uint64_t parameters_;
  at::ScalarType type_;
  kernels::Choice choice_;
  kernels::Differences differences_;
  LightConv stem_[2], coarse_, head_;
  std::vector<Encoder> encoder_;
  std::vector<Decoder> decoder_;
  GraphCache graphs_;
};

Light::Light(const light::Weights& weights, const NetworkOptions& options)
    : settings_(weights.settings()),
      parameters_(weights.parameters()),
      type_(scalar_type(options.precision)),
      choice_(choice_of(settings_)),
      differences_(differences_of(settings_)) {
  const auto& s = settings_;
  auto conv = [&](const std::string& key, int stride) {
    return LightConv(weights.get(key + ".weight"), weights.get(key + ".bias"), stride, options.device, type_);
  };
  auto block = [&](const std::string& key) {
    return Block{conv(key + ".conv1", 1), conv(key + ".conv2", 1)};
  };
  for (int i = 0; i < 2; ++i) stem_[i] = conv("stem." + std::to_string(i), 1);
  for (size_t i = 0; i + 1 < s.widths.size(); ++i) {
    const auto down = "encoder." + std::to_string(i), up = "decoder." + std::to_string(i);
    Encoder encoder{conv(down + ".down", 2), {}};
    for (int64_t b = 0; b < s.blocks(i); ++b)
      encoder.blocks.push_back(block(down + ".blocks." + std::to_string(b)));
    encoder_.push_back(std::move(encoder));
    decoder_.push_back({conv(up + ".lateral", 1), block(up + ".block")});
  }
  coarse_ = conv("coarse", 1);
  head_ = LightConv(in_head_order(weights.get("head.weight"), choice_.stride()),
                    in_head_order(weights.get("head.bias"), choice_.stride()), 1, options.device, type_);
}

kernels::Geometry Light::geometry_of(const at::Tensor& x) const {
  auto up = [this](int64_t side) {
    return static_cast<int>((side + settings_.padding - 1) / settings_.padding * settings_.padding);
  };
  return {static_cast<int>(x.size(0)),
          static_cast<int>(x.size(2)),
          static_cast<int>(x.size(3)),
          up(x.size(2)),
          up(x.size(3)),
          static_cast<int>(settings_.pyramid_levels)};
}

Light::Features Light::unet(at::Tensor x) const {
  const auto stream = c10::cuda::getCurrentCUDAStream(x.device().index());
  for (const auto& layer : stem_) x = layer(x);
  std::vector<at::Tensor> skips{x};
  for (const auto& level : encoder_) {
    x = level.down(x);
    for (const auto& block : level.blocks) x = block(x);
    skips.push_back(x);
  }
  Features out;
  for (size_t i = decoder_.size(); i-- > 0;) {
    const auto& level = decoder_[i];
    const auto below = level.lateral(x, {}, /*relu=*/false);
    x = skips[i];
    kernels::enlarge_add(below.const_data_ptr(), x.mutable_data_ptr(), static_cast<int>(below.size(0)),
                         static_cast<int>(below.size(2)), static_cast<int>(below.size(3)),
                         static_cast<int>(below.size(1)), number_type(type_), stream);
    x = level.block(x);
    if (i == 1) out.coarse = coarse_(x, {}, /*relu=*/false);
  }
  out.last = x;
  return out;
}

at::Tensor Light::queue(const at::Tensor& x) const {
  auto [y, ranges] = answer(x);
  const auto g = geometry_of(x);
  const auto stream = c10::cuda::getCurrentCUDAStream(x.device().index());
  const float* const from = x.const_data_ptr<float>();
  if (settings_.far > 0) {
    const auto half = at::empty({x.size(0), 4, (x.size(2) + 1) / 2, (x.size(3) + 1) / 2}, x.options());
    const auto half_g = geometry_of(half);
    kernels::halve(from, g, half_g, half.mutable_data_ptr<float>(), stream);
    const auto coarse = answer(half).y, scratch = at::empty({2 * y.numel()}, y.options());
    kernels::vote(from, half.const_data_ptr<float>(), coarse.const_data_ptr<float>(), g, half_g,
                  static_cast<int>(settings_.far), scratch.mutable_data_ptr<float>(),
                  y.mutable_data_ptr<float>(), stream);
  }
  if (settings_.denoise > 0) {
    const auto scratch =
        at::empty({static_cast<int64_t>(kernels::denoise_scratch_bytes(g))}, x.options().dtype(at::kByte));
    kernels::denoise(from, g, static_cast<float>(settings_.denoise), scratch.mutable_data_ptr(),
                     y.mutable_data_ptr<float>(), stream);
  }
  if (settings_.snap > 0) {
    const auto before = std::exchange(y, at::empty_like(y));
    kernels::snap(from, before.const_data_ptr<float>(),
                  static_cast<const kernels::Range*>(ranges.const_data_ptr()),
                  static_cast<int>(settings_.enough(g.height, g.width)), g, static_cast<int>(settings_.snap),
                  y.mutable_data_ptr<float>(), stream);
  }
  C10_CUDA_CHECK(cudaGetLastError());
  return y;
}

Light::Answer Light::answer(const at::Tensor& x) const {
  const auto g = geometry_of(x);
  const auto stream = c10::cuda::getCurrentCUDAStream(x.device().index());
  const auto type = number_type(type_);
  auto floats = [&](int64_t count) { return at::empty({g.batch * count}, x.options()); };
  auto bytes = [&](size_t count) {
    return at::empty({static_cast<int64_t>(count)}, x.options().dtype(at::kByte));
  };
  const float* const from = x.const_data_ptr<float>();

  const auto scratch = bytes(kernels::range_scratch_bytes(g.batch)),
             range = bytes(g.batch * sizeof(kernels::Range));
  auto* const ranges = static_cast<kernels::Range*>(range.mutable_data_ptr());
  kernels::measured_range(from, g, static_cast<float>(settings_.hole_low),
                          static_cast<float>(settings_.hole_high), scratch.mutable_data_ptr(), ranges,
                          stream);

  const int64_t all_levels = kernels::level_start(g, g.levels + 1);
  const auto q = floats(g.cells()), pyramid = floats(2 * (all_levels - g.cells())),
             fills = floats(all_levels);
  auto* const sums = static_cast<float2*>(pyramid.mutable_data_ptr());
  kernels::push(from, ranges, g, q.mutable_data_ptr<float>(), sums, stream);
  const auto rays = floats(settings_.rays * g.cells());  // of no size without any
  if (settings_.rays > 0)
    kernels::find_rays(q.const_data_ptr<float>(), g, rays.mutable_data_ptr<float>(), stream);
  const auto* const found_rays = settings_.rays > 0 ? rays.const_data_ptr<float>() : nullptr;
  const int64_t channels = (4 * settings_.features() + 7) / 8 * 8;
  const auto features = activations(g.batch, channels, g.rows / 2, g.columns / 2, x.options().dtype(type_));
  kernels::pull(from, q.const_data_ptr<float>(), sums, found_rays, g, differences_,
                fills.mutable_data_ptr<float>(), features.mutable_data_ptr(), static_cast<int>(channels),
                type, stream);

  const auto seen = unet(features);
  const auto head = head_(seen.last, {}, /*relu=*/false);
  auto choice = choice_;
  choice.enough = static_cast<int>(settings_.enough(g.height, g.width));
  const auto y = at::empty({g.batch, g.height, g.width}, x.options());
  kernels::choose(from, ranges, q.const_data_ptr<float>(), fills.const_data_ptr<float>(), found_rays,
                  head.const_data_ptr(), seen.coarse.const_data_ptr(), static_cast<int>(seen.coarse.size(1)),
                  g, choice, y.mutable_data_ptr<float>(), type, stream);
  return {y, range};
}

at::Tensor Light::forward(const at::Tensor& x) {
  if (x.dim() != 4 || x.size(1) != 4 || x.numel() == 0)
    throw Error(ErrorCode::kInternal, "network input must be [B, 4, h, w]");
  const c10::DeviceGuard guard(x.device());
  return graphs_.run(x.contiguous(), [this](const at::Tensor& input) { return queue(input); });
}

}  // namespace

std::unique_ptr<Network> load_light(const light::Weights& weights, const NetworkOptions& options) {
  const auto& s = weights.settings();
  if (!options.optimize || s.pyramid_levels > kernels::kMostLevels || !kernels::choose_fits(choice_of(s)))
    return nullptr;
  return std::make_unique<Light>(weights, options);
}

}  // namespace rgbd::cuda
