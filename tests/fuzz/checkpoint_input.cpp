// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/checkpoint_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/cdm/weights.h"
#include "core/light/weights.h"
#include "core/rgbd.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RGBD_ASAN
#endif
#endif
#if defined(RGBD_ASAN) || defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace rgbd::fuzz {
namespace {

size_t rest_of_page(size_t size) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (page - size % page) % page;
}

/// `action`, which may refuse the file in one sentence.
template <class Action>
void refusable(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string text = error.what();
    if (error.code() != ErrorCode::kBadCheckpoint || text.find('\n') != text.npos) std::abort();
  }
}

volatile char sink;

void touch(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return;
  const auto* first = static_cast<const char*>(tensor.const_data_ptr());
  int64_t last = 0;
  for (int64_t i = 0; i < tensor.dim(); ++i) last += (tensor.size(i) - 1) * tensor.stride(i);
  const int64_t bytes = (last + 1) * static_cast<int64_t>(tensor.element_size());
  for (int64_t i = 0; i < bytes; ++i) sink = first[i];
}

}  // namespace

MappedInput::MappedInput(const uint8_t* data, size_t size) {
  const int descriptor = memfd_create("input", MFD_CLOEXEC);
  if (descriptor < 0 || write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  file_ = MappedFile::open("/proc/self/fd/" + std::to_string(descriptor));
  close(descriptor);
  ASAN_POISON_MEMORY_REGION(file_->bytes().data() + size, rest_of_page(size));
}

MappedInput::~MappedInput() {
  const auto bytes = file_->bytes();
  ASAN_UNPOISON_MEMORY_REGION(bytes.data() + bytes.size(), rest_of_page(bytes.size()));
}

void read_all(Checkpoint (*open)(const std::shared_ptr<const MappedFile>&), const MappedInput& input) {
  refusable([&] {
    const Checkpoint checkpoint = open(input.file());
    for (const std::string& key : checkpoint.keys()) {
      refusable([&] {
        const at::Tensor tensor = checkpoint.tensor(key);
        if (tensor.sizes() != checkpoint.shape(key)) std::abort();
        touch(tensor);
        constexpr int64_t kFew = 4096;  // strides of 0 make any number of elements from a few bytes
        if (tensor.numel() <= kFew) checkpoint.weight(key);
      });
    }
    refusable([&] { light::Weights weights(checkpoint); });
    refusable([&] { cdm::Weights weights(checkpoint); });
  });
}

}  // namespace rgbd::fuzz
