// SPDX-License-Identifier: Apache-2.0
// Any file as safetensors, with a light model's metadata.
#include "tests/fuzz/checkpoint_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size <= 8) return 0;  // Checkpoint::open() takes no shorter one for safetensors
  rgbd::fuzz::read_all(rgbd::open_safetensors, rgbd::fuzz::FileInput(data, size));
  return 0;
}
