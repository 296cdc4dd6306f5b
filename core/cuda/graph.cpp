// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/graph.h"

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>

#include <algorithm>
#include <mutex>

#include "core/cuda/log.h"

namespace rgbd::cuda {
namespace {

// Two captures of one process at a time disturb each other's allocations.
std::mutex& one_capture() {
  static auto& mutex = *new std::mutex;
  return mutex;
}

// Where ending fails, torch's allocator stays in the capture, with a pointer to the graph: out by hand.
void end_capture(std::unique_ptr<at::cuda::CUDAGraph>& graph, c10::DeviceIndex device,
                 at::cuda::MempoolId_t pool) {
  try {
    graph->capture_end();
  } catch (...) {
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool);
      (void)graph.release();  // pinned memory's allocator may point to it as well
      c10::cuda::CUDACachingAllocator::releasePool(device, pool);
    } catch (const std::exception&) {  // it was out already
    }
    throw;
  }
}

}  // namespace

GraphCache::GraphCache() : pool_(at::cuda::graph_pool_handle()) {}
GraphCache::~GraphCache() = default;

at::Tensor GraphCache::run(const at::Tensor& x, const Forward& forward) {
  const auto current = at::cuda::getCurrentCUDAStream(x.get_device());
  if (current != at::cuda::getDefaultCUDAStream(x.get_device())) return on_this_stream(x, forward);
  // The default stream cannot be captured: step aside and back.
  const auto aside = at::cuda::getStreamFromPool(false, x.get_device());
  at::cuda::CUDAEvent before, after;
  before.record(current);
  before.block(aside);
  at::Tensor y;
  {
    c10::cuda::CUDAStreamGuard guard(aside);
    y = on_this_stream(x, forward);
  }
  after.record(aside);
  after.block(current);
  y.record_stream(current);
  x.record_stream(aside);
  return y;
}

at::Tensor GraphCache::on_this_stream(const at::Tensor& x, const Forward& forward) {
  const auto is_of = [&](const std::vector<int64_t>& sizes) { return x.sizes() == at::IntArrayRef(sizes); };
  if (std::any_of(eager_.begin(), eager_.end(), is_of)) return forward(x);
  auto found =
      std::find_if(captured_.begin(), captured_.end(), [&](const Captured& c) { return is_of(c.sizes); });
  if (found == captured_.end()) {
    for (int i = 0; i < 2; ++i) forward(x);  // what fails here fails without a graph, too
    try {
      captured_.push_front(capture(x, forward));
      if (captured_.size() > kMostSizes) captured_.pop_back();
    } catch (const c10::Error& error) {
      log(LogLevel::kWarning, std::string("frames of one size are refined without a CUDA graph, slower: ") +
                                  error.what_without_backtrace());
      if (eager_.size() == kMostSizes) eager_.pop_back();
      eager_.push_front(x.sizes().vec());
      return forward(x);
    }
    found = captured_.begin();
  } else if (found != captured_.begin()) {
    captured_.splice(captured_.begin(), captured_, found);
  }
  found->input.copy_(x);
  found->graph->replay();
  return found->output.clone();
}

GraphCache::Captured GraphCache::capture(const at::Tensor& x, const Forward& forward) {
  Captured c;
  c.sizes = x.sizes().vec();
  c.input = x.clone();
  c.graph = std::make_unique<at::cuda::CUDAGraph>();
  std::lock_guard lock(one_capture());
  // Thread-local: what other threads of the process do meanwhile (cudaupload, a decoder) is theirs.
  try {
    c.graph->capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    c.output = forward(c.input);
  } catch (...) {
    try {
      end_capture(c.graph, x.get_device(), pool_);
    } catch (...) {  // what broke the capture is what is told
    }
    throw;
  }
  end_capture(c.graph, x.get_device(), pool_);
  return c;
}

}  // namespace rgbd::cuda
