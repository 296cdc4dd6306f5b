// SPDX-License-Identifier: Apache-2.0
// What the tensor cores are fed. No torch here: .cu files include it.
#pragma once

#include <cstdint>

namespace rgbd::cuda {

/// kTf32x3 is whole float32 on tensor cores that know only TF32's 11 bits: every number is split into two, x
/// = hi + lo, and a product is hi hi + lo hi + hi lo, one product over a row three times as long. On the side
/// of the activations a segment of n numbers lies as [lo | hi | hi], on that of the weights as [hi | lo |
/// hi]: the large products come last.
enum class Element { kFp16, kBf16, kTf32x3 };

/// How many elements hold one number of an operand.
constexpr int64_t width(Element element) {
  return element == Element::kTf32x3 ? 3 : 1;
}

}  // namespace rgbd::cuda
