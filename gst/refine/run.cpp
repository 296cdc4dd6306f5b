// SPDX-License-Identifier: Apache-2.0
// A pair through the engine, waited for where flushes, seeks and state changes can reach it.
#include <memory>
#include <optional>
#include <vector>

#include "gst/refine/state.h"

namespace rgbd::refine {
namespace {

std::optional<Result> wait_for(Interrupt& interrupt, Pending& pending, const Flushes& flushes) {
  if (!interrupt.attach(&pending, flushes)) return {};
  try {
    std::optional<Result> result = pending.wait();
    if (!interrupt.detach()) result.reset();
    return result;
  } catch (...) {
    if (interrupt.detach()) throw;
    return {};
  }
}

}  // namespace

std::optional<Result> run_pair(State& state, const ImageView& image, const DepthView& depth,
                               const DepthOut& out, const Flushes& flushes) {
  std::shared_ptr<Refiner> refiner = state.model.current();
  if (!refiner) return {};
  std::unique_ptr<Pending> pending = refiner->submit(image, depth, out);
  return wait_for(state.interrupt, *pending, flushes);
}

bool run_blank_pair(State& state, FrameSize size) {
  struct Blank {
    std::vector<uint8_t> color, depth, out;
  };
  size_t pixels = static_cast<size_t>(size.width) * static_cast<size_t>(size.height);
  auto blank = std::make_shared<Blank>();
  blank->color.resize(3 * pixels);
  // A hole, which may take more of the network, over about a metre; without any depth it would not run.
  blank->depth.resize(pixels / 2 * 2);
  blank->depth.resize(2 * pixels, 4);
  blank->out.resize(2 * pixels);
  ImageView image;
  image.width = size.width;
  image.height = size.height;
  image.planes[0] = {blank->color.data(), 3 * ptrdiff_t{size.width}};
  image.owner = blank;
  DepthView depth;
  depth.data = blank->depth.data();
  depth.stride_bytes = 2 * ptrdiff_t{size.width};
  depth.width = size.width;
  depth.height = size.height;
  depth.owner = blank;
  DepthOut out;
  out.data = blank->out.data();
  out.stride_bytes = 2 * ptrdiff_t{size.width};
  out.width = size.width;
  out.height = size.height;
  out.owner = blank;
  return run_pair(state, image, depth, out, {state.interrupt.flushes(kRgb), state.interrupt.flushes(kDepth)})
      .has_value();
}

}  // namespace rgbd::refine
