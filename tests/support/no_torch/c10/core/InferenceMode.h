// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace c10 {
struct InferenceMode {
  InferenceMode() {}
};
}  // namespace c10
