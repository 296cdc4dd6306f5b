// SPDX-License-Identifier: Apache-2.0
// The embedded model's network; recognised by its metadata.
#include "core/network.h"

namespace rgbd {

bool is_light(const Checkpoint& checkpoint) {
  const auto entry = checkpoint.metadata().find("rgbd.architecture");
  return entry != checkpoint.metadata().end() && entry->second == "light";
}

std::unique_ptr<Network> load_light(const Checkpoint& checkpoint, const NetworkOptions& options) {
  throw Error(ErrorCode::kUnsupported, checkpoint.path() + ": the light network does not run yet");
}

}  // namespace rgbd
