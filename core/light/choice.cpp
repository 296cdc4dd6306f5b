// SPDX-License-Identifier: Apache-2.0
#include "core/light/choice.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>

#include "core/light/choice_cpu.h"
#include "core/light/fill.h"

namespace rgbd::light {
namespace {

/// padded[..., margin + y + dy, margin + x + dx] for every pixel of a map [height, width].
at::Tensor shifted(const at::Tensor& padded, int64_t margin, const Offset& offset, int64_t height,
                   int64_t width) {
  return padded.narrow(2, margin + offset.dy, height).narrow(3, margin + offset.dx, width);
}

/// Coarse depths at full resolution, reaching `border` quarter-resolution pixels beyond the frame.
at::Tensor large(const Evidence& e, const Settings& s, int64_t border) {
  const auto small = corrected(e.fill4, e.coarse, s.correction);
  return enlarged(at::replication_pad2d(small, {border, border, border, border}), 4);
}

struct Candidates {
  at::Tensor values, weights;  // [B, candidates, H, W]
};

Candidates candidates(const Evidence& e, const at::Tensor& head, const Settings& s) {
  const auto height = e.q.size(2), width = e.q.size(3), count = s.candidates();
  std::vector<at::Tensor> values;
  const auto margin = reach(s.raw), border = (reach(s.coarse) + 3) / 4;
  const auto raw = at::constant_pad_nd(e.q, {margin, margin, margin, margin});
  for (const auto& offset : s.raw) values.push_back(shifted(raw, margin, offset, height, width));
  const auto coarse = large(e, s, border);
  for (const auto& offset : s.coarse) values.push_back(shifted(coarse, 4 * border, offset, height, width));
  values.insert(values.end(), e.smooth.begin(), e.smooth.end());
  if (e.rays.defined()) values.push_back(e.rays);
  values.push_back(corrected(e.fill, head.slice(1, count), s.correction));

  Candidates out;
  out.values = at::cat(values, 1);
  out.weights = at::softmax(at::where(out.values > 0, head.slice(1, 0, count), kNever), 1);
  return out;
}

/// Weighted mean of the candidates near the likeliest one: no depth between foreground and background.
at::Tensor mode(const Candidates& c, double tolerance) {
  const auto best = c.values.gather(1, c.weights.argmax(1, /*keepdim=*/true));
  const auto weights = c.weights * ((c.values - best).abs() <= tolerance * best);
  return (weights * c.values).sum(1, /*keepdim=*/true) / weights.sum(1, /*keepdim=*/true);
}

/// Measured pixels stay near their neighbourhood, filled ones inside the frame's range.
at::Tensor limited(const at::Tensor& y, const Evidence& e, const Settings& s) {
  const auto measured = e.q > 0;
  const std::vector<int64_t> window{s.keep_window, s.keep_window},
      padding{s.keep_window / 2, s.keep_window / 2};
  const auto top = at::max_pool2d(e.q, window, {1, 1}, padding);
  const auto bottom = -at::max_pool2d(at::where(measured, -e.q, -std::numeric_limits<double>::infinity()),
                                      window, {1, 1}, padding);
  const auto kept =
      at::minimum(at::maximum(y, bottom * (1 - s.keep_tolerance)), top * (1 + s.keep_tolerance));
  return at::where(measured, kept, at::minimum(at::maximum(y, e.low), e.high));
}

}  // namespace

at::Tensor corrected(const at::Tensor& fill, const at::Tensor& s, double limit) {
  return fill * (limit * (s.to(at::kFloat) / limit).tanh()).exp();
}

int64_t reach(const std::vector<Offset>& offsets) {
  int64_t most = 0;
  for (const auto& [dy, dx] : offsets) most = std::max({most, std::abs(dy), std::abs(dx)});
  return most;
}

Choice::Choice(const Weights& weights, const Backend& backend)
    : settings_(weights.settings()),
      head_(weights.get("head.weight"), weights.get("head.bias"), 1, 0, backend) {
  if (!backend.cpu_forms) return;
  fused_weight_ = weights.get("head.weight").flatten(1);
  fused_bias_ = weights.get("head.bias");
}

at::Tensor Choice::plain(const Evidence& e) const {
  const auto head = at::pixel_shuffle(head_(e.last), 2).to(at::kFloat);
  return limited(mode(candidates(e, head, settings_), settings_.mode_tolerance), e, settings_);
}

at::Tensor Choice::fused(const Evidence& e) const {
  FusedChoice in;
  in.weight = fused_weight_;
  in.last = e.last.permute({0, 2, 3, 1}).contiguous();
  in.bias = fused_bias_;
  in.margin = fused_margin(settings_);
  in.raw = at::constant_pad_nd(e.q, {in.margin, in.margin, in.margin, in.margin});
  in.border = 4 * ((reach(settings_.coarse) + 3) / 4);
  in.coarse = large(e, settings_, in.border / 4).contiguous();
  for (const auto& map : e.smooth) in.smooth.push_back(map.contiguous());
  if (e.rays.defined()) in.rays = e.rays.contiguous();
  in.fill = e.fill.contiguous();
  in.low = e.low.contiguous();
  in.high = e.high.contiguous();
  return choose_cpu(in, settings_);
}

at::Tensor Choice::operator()(const Evidence& evidence) const {
  return fused_weight_.defined() ? fused(evidence) : plain(evidence);
}

}  // namespace rgbd::light
