// SPDX-License-Identifier: Apache-2.0
// Frames to network input and network output to frames: units, resize rules, quantisation.
// Mirrors rgbddepth's `image2tensor` and infer.py; the arithmetic is spelled out because OpenCV's is
// reproduced to the last bit that matters.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/network.h"
#include "core/rgbd.h"

namespace rgbd {

struct Size {
  int width = 0;
  int height = 0;
  bool operator==(const Size&) const = default;
};

/// Network input size for a colour frame: aspect kept, short side = `short_side` (0: the spec's own),
/// each side a multiple of spec.multiple, rounded half to even. Throws kInvalidArgument below
/// kSmallestSide and beyond kMostAspect.
Size network_size(Size frame, const InputSpec& spec, unsigned short_side);

/// Throws Error{kInvalidArgument} on sizes, strides or pointers that contradict each other.
void check(const ImageView& image);
void check(const DepthView& depth);
void check(const DepthOut& out);

/// One pair, in host memory, as network input: [4, h, w] float32 on the CPU. Three colour channels
/// (normalised, in the order of spec.bgr) and inverse depth in 1/m.
at::Tensor preprocess(const ImageView& image, const DepthView& depth, Size size, const InputSpec& spec);

struct InverseRange {
  double min = 0, max = 0;
};
/// The network's map y [h, w] float32 CPU (1/m) to 16-bit steps in host memory: nearest as torch does it,
/// 1/y, round to nearest, 0 stays 0, saturates at 65535. Where `left_open` (holes.h: empty, or [h, w] like y)
/// is not 0, there is no depth. Returns the range of y at output size.
InverseRange postprocess(const at::Tensor& y, const DepthOut& out,
                         const std::vector<uint8_t>& left_open = {});

/// Resizes the map to [height, width] float32 with torch's "nearest" rule (what parity compares).
at::Tensor resize_nearest(const at::Tensor& y, Size size);

}  // namespace rgbd
