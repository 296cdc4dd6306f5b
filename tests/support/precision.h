// SPDX-License-Identifier: Apache-2.0
// Precisions as the tools' command lines name them.
#pragma once

#include <stdexcept>
#include <string>

#include "core/rgbd.h"

namespace rgbd::test {

inline const char* name_of(Precision precision) {
  return precision == Precision::kFp16 ? "fp16" : precision == Precision::kBf16 ? "bf16" : "fp32";
}

/// Throws std::runtime_error on any other name.
inline Precision precision_of(const std::string& name) {
  for (const Precision precision : {Precision::kFp32, Precision::kFp16, Precision::kBf16})
    if (name == name_of(precision)) return precision;
  throw std::runtime_error("unknown precision " + name + ": expected fp32, fp16 or bf16");
}

}  // namespace rgbd::test
