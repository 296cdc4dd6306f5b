// SPDX-License-Identifier: Apache-2.0
#include "core/light/unet.h"

#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/upsample_bilinear2d.h>

namespace rgbd::light {

Unet::Unet(const Weights& weights, const Backend& backend)
    : channels_last_(backend.optimize), fold_(backend.cpu_forms) {
  const auto& s = weights.settings();
  auto conv = [&](const std::string& key, int64_t stride, int64_t padding) {
    return Conv(weights.get(key + ".weight"), weights.get(key + ".bias"), stride, padding, backend);
  };
  auto block = [&](const std::string& key) {
    return Block{conv(key + ".conv1", 1, 1), conv(key + ".conv2", 1, 1)};
  };
  for (int i = 0; i < 2; ++i) stem_[i] = conv("stem." + std::to_string(i), 1, 1);
  // A 3x3 convolution of 2x2 pixels side by side in the channels is a 6x6 one in steps of 2 (12 ms instead of
  // 17 on one thread at 640x480; GPUs prefer more channels).
  if (fold_)
    stem_[0] =
        Conv(at::pixel_shuffle(weights.get("stem.0.weight"), 2), weights.get("stem.0.bias"), 2, 2, backend);
  for (size_t i = 0; i + 1 < s.widths.size(); ++i) {
    const auto down = "encoder." + std::to_string(i), up = "decoder." + std::to_string(i);
    Encoder encoder{conv(down + ".down", 2, 1), {}};
    for (int64_t b = 0; b < s.blocks(i); ++b)
      encoder.blocks.push_back(block(down + ".blocks." + std::to_string(b)));
    encoder_.push_back(std::move(encoder));
    decoder_.push_back({conv(up + ".lateral", 1, 0), block(up + ".block")});
  }
  coarse_ = conv("coarse", 1, 1);
}

at::Tensor Unet::Block::operator()(const at::Tensor& x) const {
  return conv2(conv1(x).relu_()).add_(x).relu_();
}

Unet::Output Unet::operator()(const at::Tensor& features) const {
  auto x = fold_ ? features : at::pixel_unshuffle(features, 2);
  if (channels_last_) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& layer : stem_) x = layer(x).relu_();
  std::vector<at::Tensor> skips{x};
  for (const auto& level : encoder_) {
    x = level.down(x).relu_();
    for (const auto& block : level.blocks) x = block(x);
    skips.push_back(x);
  }
  Output out;
  for (size_t i = decoder_.size(); i-- > 0;) {
    const auto& level = decoder_[i];
    auto& skip = skips[i];
    x = at::upsample_bilinear2d(level.lateral(x), {skip.size(2), skip.size(3)}, /*align_corners=*/false);
    x = level.block(skip.add_(x).relu_());
    if (i == 1) out.coarse = coarse_(x);
  }
  out.last = x;
  return out;
}

}  // namespace rgbd::light
