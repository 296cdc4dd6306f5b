// SPDX-License-Identifier: Apache-2.0
#include "core/recycled.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace rgbd {
namespace {

constexpr size_t kMostBytes = size_t{256} << 20;
constexpr size_t kAlignment = 64;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

class Shelf {
 public:
  /// The block put there last, which is the likeliest to be in a cache still.
  Memory take(size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(),
                                      [&](const Block& block) { return block.bytes == bytes; });
      if (found != blocks_.rend()) {
        Memory memory = std::move(found->memory);
        bytes_ -= bytes;
        blocks_.erase(std::next(found).base());
        return memory;
      }
    }
    Memory memory(std::aligned_alloc(kAlignment, bytes));
    if (!memory) throw std::bad_alloc();
    return memory;
  }

  void put(Memory memory, size_t bytes) noexcept {
    if (bytes > kMostBytes) return;
    try {
      std::lock_guard lock(mutex_);
      blocks_.push_back({std::move(memory), bytes});
      bytes_ += bytes;
      for (; bytes_ > kMostBytes; blocks_.erase(blocks_.begin())) bytes_ -= blocks_.front().bytes;
    } catch (const std::bad_alloc&) {  // it goes
    }
  }

  size_t bytes() const {
    std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  struct Block {
    Memory memory;
    size_t bytes;
  };
  mutable std::mutex mutex_;
  std::vector<Block> blocks_;  // oldest first
  size_t bytes_ = 0;
};

std::shared_ptr<Shelf> own() {
  thread_local const auto shelf = std::make_shared<Shelf>();
  return shelf;
}

}  // namespace

at::Tensor recycled(at::IntArrayRef sizes, at::MemoryFormat format) {
#if defined(__SANITIZE_ADDRESS__)
  return at::empty(sizes, at::TensorOptions(at::kFloat).memory_format(format));  // so that it sees their ends
#endif
  const auto shelf = own();
  const auto numbers = static_cast<size_t>(c10::multiply_integers(sizes));
  const size_t bytes =
      std::max((numbers * sizeof(float) + kAlignment - 1) / kAlignment, size_t{1}) * kAlignment;
  auto memory = shelf->take(bytes);
  void* const data = memory.get();
  auto give_back = [shelf, bytes](void* back) { shelf->put(Memory(back), bytes); };
  auto map = format == at::MemoryFormat::ChannelsLast
                 ? at::from_blob(data, {sizes[0], sizes[2], sizes[3], sizes[1]}, give_back, at::kFloat)
                 : at::from_blob(data, sizes, give_back, at::kFloat);
  static_cast<void>(memory.release());  // the map has it
  return format == at::MemoryFormat::ChannelsLast ? map.permute({0, 3, 1, 2}) : map;
}

size_t recycled_bytes() {
  return own()->bytes();
}

}  // namespace rgbd
