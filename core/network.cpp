// SPDX-License-Identifier: Apache-2.0
#include "core/network.h"

namespace rgbd {

std::unique_ptr<Network> load_network(const Checkpoint& checkpoint, const NetworkOptions& options) {
  if (is_cdm(checkpoint)) return load_cdm(checkpoint, options);
  if (is_light(checkpoint)) return load_light(checkpoint, options);

  const auto keys = checkpoint.keys();
  const auto architecture = checkpoint.metadata().find("rgbd.architecture");
  std::string found =
      std::to_string(keys.size()) + " tensors" + (keys.empty() ? "" : ", the first is " + keys.front());
  if (architecture != checkpoint.metadata().end())
    found += "; rgbd.architecture is '" + architecture->second + "'";
  throw Error(ErrorCode::kBadCheckpoint, checkpoint.path() + " (" + checkpoint.layout() +
                                             ") holds no network known here: pretrained.cls_token and "
                                             "the other tensors of a Camera Depth Model are missing, and so "
                                             "are the metadata of an embedded model (" +
                                             found + ")");
}

}  // namespace rgbd
