// SPDX-License-Identifier: Apache-2.0
// A network's forward pass as one CUDA graph per input size: hundreds of kernels, launched as one.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <functional>
#include <list>
#include <memory>
#include <vector>

namespace at::cuda {
struct CUDAGraph;
}

namespace rgbd::cuda {

/// One thread only.
class GraphCache {
 public:
  GraphCache();
  ~GraphCache();

  /// Must do the same for every input of a size, on the current stream, without waiting for the device.
  using Forward = std::function<at::Tensor(const at::Tensor&)>;
  /// forward(x), queued on the current stream; a copy, free to keep. The first call of a size runs it twice,
  /// which warms caches and lets libraries choose, and captures it; later ones replay. The last kMostSizes
  /// sizes are kept; they share their memory, since each one's is free between calls. A size that cannot
  /// be captured, for lack of memory too, is run as it is from then on, with one warning. Throws what
  /// forward() throws.
  at::Tensor run(const at::Tensor& x, const Forward& forward);

  static constexpr size_t kMostSizes = 16;  // batches of 1 to 8 at two sizes

 private:
  struct Captured {
    std::vector<int64_t> sizes;
    at::Tensor input, output;
    std::unique_ptr<at::cuda::CUDAGraph> graph;
  };
  at::Tensor on_this_stream(const at::Tensor& x, const Forward& forward);
  Captured capture(const at::Tensor& x, const Forward& forward);

  const c10::MempoolId_t pool_;
  std::list<Captured> captured_;           // latest use first
  std::list<std::vector<int64_t>> eager_;  // sizes that could not be captured
};

}  // namespace rgbd::cuda
