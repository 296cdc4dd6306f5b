// SPDX-License-Identifier: Apache-2.0
// What the benchmarks print: a JSON object a line, times in milliseconds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

namespace rgbd::bench {

using Line = nlohmann::ordered_json;

/// Nearest rank: the smallest value that `share` of all do not exceed. 0 when empty.
inline double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

/// Four decimals: a tenth of a microsecond.
inline double rounded(double value) {
  return std::round(value * 1e4) / 1e4;
}

/// ms_p50, ms_p95, ms_p99, ms_mean.
inline void add_times(Line& line, const std::vector<double>& ms) {
  line["ms_p50"] = rounded(percentile(ms, 0.50));
  line["ms_p95"] = rounded(percentile(ms, 0.95));
  line["ms_p99"] = rounded(percentile(ms, 0.99));
  line["ms_mean"] = rounded(std::accumulate(ms.begin(), ms.end(), 0.0) / static_cast<double>(ms.size()));
}

inline void print(const Line& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

}  // namespace rgbd::bench
