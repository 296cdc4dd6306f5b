// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace at {
template <typename Body>
void parallel_for(int64_t begin, int64_t end, int64_t, Body&& body) {
  body(begin, end);
}
}  // namespace at
