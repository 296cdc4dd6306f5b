// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/checkpoint_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/cdm/weights.h"
#include "core/light/weights.h"
#include "core/rgbd.h"

namespace rgbd::fuzz {
namespace {

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

FileInput::FileInput(const uint8_t* data, size_t size) {
  const int descriptor = memfd_create("input", MFD_CLOEXEC);
  if (descriptor < 0 || write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  file_ = CheckpointFile::open("/proc/self/fd/" + std::to_string(descriptor));
  close(descriptor);
}

void read_all(Checkpoint (*open)(const std::shared_ptr<const CheckpointFile>&), const FileInput& input) {
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
