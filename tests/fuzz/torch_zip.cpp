// SPDX-License-Identifier: Apache-2.0
// Any file as a torch checkpoint.
#include "tests/fuzz/checkpoint_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;  // refused before the reader
  rgbd::fuzz::read_all(rgbd::open_torch_zip, rgbd::fuzz::FileInput(data, size));
  return 0;
}
