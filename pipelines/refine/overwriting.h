// SPDX-License-Identifier: Apache-2.0
// No result may destroy what it is made from, nor another result.
#pragma once

#include "pipelines/refine/options.h"
#include "pipelines/refine/sequence.h"

namespace rgbd {

/// Compares the files that the names lead to, not the names, for all pairs at once. An input or a model that
/// is not there is left to whoever reads it. Throws Failure{kExitUsage}.
void require_files_of_their_own(const RefineOptions& options, const PairList& list);

}  // namespace rgbd
