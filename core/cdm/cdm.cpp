// SPDX-License-Identifier: Apache-2.0
#include "core/cdm/cdm.h"

#include "core/cuda_module.h"
#include "core/device.h"

namespace rgbd {
namespace cdm {

Cdm::Cdm(const Weights& weights, const NetworkOptions& options)
    : encoder_(weights.variant().encoder),
      parameters_(weights.parameters()),
      backend_(options),
      rgb_(weights, "pretrained", false, backend_),
      depth_(weights, "depth_pretrained", true, backend_),
      fusion_{Fusion(weights, 0, backend_), Fusion(weights, 1, backend_), Fusion(weights, 2, backend_),
              Fusion(weights, 3, backend_)},
      head_(weights, backend_) {}

Cdm::BothTaps Cdm::encode(const at::Tensor& x) {
  BothTaps taps;
  taps.rgb = rgb_(x.slice(1, 0, 3));
  taps.depth = depth_(x.slice(1, 3, 4));
  return taps;
}

std::array<at::Tensor, 4> Cdm::fuse(const BothTaps& taps) const {
  std::array<at::Tensor, 4> projected;
  for (int i = 0; i < 4; ++i) projected[i] = fusion_[i](taps.rgb[i], taps.depth[i]);
  return projected;
}

at::Tensor Cdm::decode(const std::array<at::Tensor, 4>& projected, int64_t rows, int64_t columns) const {
  return head_(projected, rows, columns);
}

at::Tensor Cdm::forward(const at::Tensor& x) {
  if (x.dim() != 4 || x.size(1) != 4 || x.size(2) < kPatch || x.size(3) < kPatch || x.size(2) % kPatch ||
      x.size(3) % kPatch) {
    throw Error(ErrorCode::kInternal,
                "network input must be [B, 4, h, w] with sides that are multiples of 14");
  }
  return decode(fuse(encode(x)), x.size(2) / kPatch, x.size(3) / kPatch);
}

}  // namespace cdm

bool is_cdm(const Checkpoint& checkpoint) {
  const auto found = checkpoint.metadata().find("rgbd.architecture");
  if (found != checkpoint.metadata().end()) return found->second == "cdm";
  return checkpoint.contains("pretrained.cls_token");
}

std::unique_ptr<Network> load_cdm(const Checkpoint& checkpoint, const NetworkOptions& options) {
  const cdm::Weights weights(checkpoint);
  if (options.device.is_cuda() && options.optimize && !options.generic_ops && cuda_module()) {
    if (auto network = cuda_module()->load_cdm(weights, options)) return network;
  }
  return std::make_unique<cdm::Cdm>(weights, options);
}

}  // namespace rgbd
