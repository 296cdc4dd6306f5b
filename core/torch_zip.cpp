// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint_file.h"

namespace rgbd {

Checkpoint open_torch_zip(const std::shared_ptr<const MappedFile>& file) {
  throw_bad(file->path(), "torch checkpoints are not read yet; save it as safetensors");
}

}  // namespace rgbd
