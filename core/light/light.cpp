// SPDX-License-Identifier: Apache-2.0
#include "core/light/light.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/where.h>

#include <utility>

#include "core/cuda_module.h"
#include "core/device.h"
#include "core/light/denoise.h"
#include "core/light/edge_snap.h"
#include "core/light/fill.h"
#include "core/light/fill_cpu.h"
#include "core/light/hole_vote.h"
#include "core/light/range.h"
#include "core/light/rays.h"

namespace rgbd {
namespace light {

Light::Light(const Weights& weights, const NetworkOptions& options)
    : settings_(weights.settings()),
      parameters_(weights.parameters()),
      backend_(options),
      unet_(weights, backend_),
      choice_(weights, backend_) {}

at::Tensor Light::forward(const at::Tensor& x) {
  if (x.dim() != 4 || x.size(1) != 4 || x.numel() == 0)
    throw Error(ErrorCode::kInternal, "network input must be [B, 4, h, w]");
  const auto measured = x.select(1, 3);
  auto [y, too_few] = answer(x);
  // Only the CPU looks whether there are holes: others would have to be waited for.
  if (settings_.far > 0 && !(x.is_cpu() && (measured > 0).all().item<bool>()))
    y = (backend_.cpu_forms ? vote_cpu : vote)(x, y, answer((backend_.cpu_forms ? halved_cpu : halved)(x)).y,
                                               settings_.far);
  if (settings_.denoise > 0)
    y = (backend_.cpu_forms ? denoised_cpu : denoised)(y, measured, settings_.denoise);
  if (settings_.snap > 0) {
    const auto moved = (backend_.cpu_forms ? snapped_cpu : snapped)(y, x.slice(1, 0, 3), settings_.snap);
    y = at::where(too_few, y, moved);
  }
  return y;
}

Light::Answer Light::answer(const at::Tensor& x) {
  const auto& s = settings_;
  const auto height = x.size(2), width = x.size(3);
  const auto measured = x.slice(1, 3);
  const auto range = backend_.cpu_forms ? measured_range_cpu(measured) : measured_range(measured);
  auto per_frame = [](const at::Tensor& values) { return values.view({-1, 1, 1, 1}); };
  const auto median = per_frame(at::where(range.median > 0, range.median, 1.0));

  auto padded = [&](const at::Tensor& map) {
    const auto right = (s.padding - width % s.padding) % s.padding;
    const auto below = (s.padding - height % s.padding) % s.padding;
    return right || below ? at::replication_pad2d(map, {0, right, 0, below}) : map;
  };
  Evidence evidence;
  evidence.q = padded(measured / median);
  evidence.low = s.hole_low * per_frame(range.low) / median;
  evidence.high = s.hole_high * per_frame(range.high) / median;
  const auto mask = backend_.cpu_forms ? at::Tensor() : (evidence.q > 0).to(at::kFloat);
  const auto fills = backend_.cpu_forms ? push_pull_cpu(evidence.q, s.pyramid_levels)
                                        : push_pull(evidence.q, mask, s.pyramid_levels);
  at::Tensor seen_borders;
  if (s.rays > 0) {
    auto* const find = backend_.cpu_forms ? rays_cpu : rays;
    auto* const see = backend_.cpu_forms ? borders_cpu : borders;
    evidence.rays = find(evidence.q);
    seen_borders = see(evidence.rays, evidence.q, fills[0]);
  }
  const auto colour = padded(x.slice(1, 0, 3));
  const auto answer =
      unet_(backend_.cpu_forms ? features_cpu(colour, evidence.q, fills, s.differences, seen_borders)
                               : features(colour, mask, fills, s.differences, seen_borders));
  evidence.fill = fills[0];
  evidence.fill4 = fills[2];
  for (const auto level : s.smooth) evidence.smooth.push_back(smooth(fills, level));
  evidence.coarse = answer.coarse;
  evidence.last = answer.last;

  const auto y = (choice_(evidence) * median).squeeze(1).slice(1, 0, height).slice(2, 0, width);
  const auto too_few = (range.n < s.enough(height, width)).view({-1, 1, 1});
  return {at::where(too_few, measured.squeeze(1), y), too_few};
}

}  // namespace light

bool is_light(const Checkpoint& checkpoint) {
  const auto entry = checkpoint.metadata().find("rgbd.architecture");
  return entry != checkpoint.metadata().end() && entry->second == "light";
}

std::unique_ptr<Network> load_light(const Checkpoint& checkpoint, const NetworkOptions& options) {
  const light::Weights weights(checkpoint);
  if (options.device.is_cuda() && options.optimize && !options.generic_ops && cuda_module()) {
    if (auto network = cuda_module()->load_light(weights, options)) return network;
  }
  return std::make_unique<light::Light>(weights, options);
}

}  // namespace rgbd
