// SPDX-License-Identifier: Apache-2.0
#include "core/light/unet.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/pixel_unshuffle.h>

#include "core/light/enlarge_cpu.h"
#include "core/light/fill.h"
#include "core/light/fill_cpu.h"

namespace rgbd::light {

Unet::Unet(const Weights& weights, const Backend& backend)
    : channels_last_(backend.optimize), cpu_forms_(backend.cpu_forms) {
  const auto& s = weights.settings();
  auto conv = [&](const std::string& key, int64_t stride, int64_t padding) {
    return Conv(weights.get(key + ".weight"), weights.get(key + ".bias"), stride, padding, backend);
  };
  auto block = [&](const std::string& key) {
    return Block{conv(key + ".conv1", 1, 1), conv(key + ".conv2", 1, 1)};
  };
  auto first = weights.get("stem.0.weight");
  if (cpu_forms_)
    first = at::constant_pad_nd(first, {0, 0, 0, 0, 0, padded_channels(s.features()) - 4 * s.features()});
  stem_[0] = Conv(first, weights.get("stem.0.bias"), 1, 1, backend);
  stem_[1] = conv("stem.1", 1, 1);
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
  return conv2.relu(conv1.relu(x), x);
}

Unet::Output Unet::operator()(const at::Tensor& features) const {
  auto x = cpu_forms_ ? features : at::pixel_unshuffle(features, 2);
  if (channels_last_) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& layer : stem_) x = layer.relu(x);
  std::vector<at::Tensor> skips{x};
  for (const auto& level : encoder_) {
    x = level.down.relu(x);
    for (const auto& block : level.blocks) x = block(x);
    skips.push_back(x);
  }
  Output out;
  for (size_t i = decoder_.size(); i-- > 0;) {
    const auto& level = decoder_[i];
    x = level.lateral(x);
    x = cpu_forms_ && x.size(1) % 8 == 0 ? enlarge_add_cpu(x, skips[i])
                                         : skips[i].add_(enlarged(x, 2)).relu_();
    x = level.block(x);
    if (i == 1) out.coarse = coarse_(x);
  }
  out.last = x;
  return out;
}

}  // namespace rgbd::light
