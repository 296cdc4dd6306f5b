// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/sequence.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <regex>
#include <set>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/options.h"

namespace rgbd {
namespace {

constexpr size_t kMostDigits = 18;  // fits uint64_t

std::optional<uint64_t> to_number(std::string_view digits) {
  if (digits.empty() || digits.size() > kMostDigits) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

/// "00003, 00007 to 00009": what [first, last] has and `numbers` (ascending) lacks.
std::string missing_between(uint64_t first, uint64_t last, const std::vector<uint64_t>& numbers,
                            const NumberedName& name) {
  std::string text;
  const auto add = [&](uint64_t from, uint64_t to) {
    if (!text.empty()) text += ", ";
    text += name.digits(from);
    if (to > from) text += " to " + name.digits(to);
  };
  uint64_t expected = first;
  for (uint64_t number : numbers) {
    if (number > expected) add(expected, number - 1);
    expected = number + 1;
  }
  if (expected <= last) add(expected, last);
  return text;
}

}  // namespace

std::optional<NumberedName> NumberedName::parse(const std::string& path) {
  const size_t slash = path.rfind('/');
  NumberedName name;
  if (slash != std::string::npos) name.folder_ = path.substr(0, slash + 1);
  const std::string file = path.substr(name.folder_.size());
  static const std::regex conversion("%(?:0([1-9][0-9]?))?d");
  std::smatch match;
  if (!std::regex_search(file, match, conversion)) return std::nullopt;
  name.prefix_ = match.prefix();
  name.suffix_ = match.suffix();
  if (match[1].matched) name.width_ = static_cast<unsigned>(std::stoul(match[1]));
  return name;
}

std::string NumberedName::conversion() const {
  return width_ ? "%0" + std::to_string(width_) + "d" : "%d";
}

std::string NumberedName::digits(uint64_t number) const {
  const std::string text = std::to_string(number);
  return text.size() < width_ ? std::string(width_ - text.size(), '0') + text : text;
}

std::string NumberedName::with(uint64_t number) const {
  return folder_ + prefix_ + digits(number) + suffix_;
}

std::vector<uint64_t> NumberedName::numbers() const {
  std::vector<uint64_t> found;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.empty() ? "." : folder_, unreadable)) {
    const std::string file = entry.path().filename().string();
    if (file.size() <= prefix_.size() + suffix_.size() || !file.starts_with(prefix_) ||
        !file.ends_with(suffix_))
      continue;
    const std::string_view middle =
        std::string_view(file).substr(prefix_.size(), file.size() - prefix_.size() - suffix_.size());
    const auto number = to_number(middle);
    // "7" is not what %05d writes.
    if (number && digits(*number) == middle) found.push_back(*number);
  }
  std::sort(found.begin(), found.end());
  return found;
}

PairList list_pairs(const RefineOptions& options) {
  const auto rgb = NumberedName::parse(options.rgb);
  if (!rgb)
    return {{{"", options.rgb, options.depth, options.output, options.output_depth}},
            {options.rgb, options.depth},
            {}};

  const NumberedName depth = NumberedName::parse(options.depth).value();
  const auto output = NumberedName::parse(options.output);
  const auto output_depth = NumberedName::parse(options.output_depth);
  const std::vector<uint64_t> rgb_numbers = rgb->numbers();
  const std::vector<uint64_t> depth_numbers = depth.numbers();
  if (rgb_numbers.empty()) throw Failure("colour images '" + options.rgb + "': no such file");
  if (depth_numbers.empty()) throw Failure("depth images '" + options.depth + "': no such file");

  PairList list;
  std::vector<uint64_t> both;
  std::set_intersection(rgb_numbers.begin(), rgb_numbers.end(), depth_numbers.begin(), depth_numbers.end(),
                        std::back_inserter(both));
  if (both.empty())
    throw Failure("colour images '" + options.rgb + "' and depth images '" + options.depth +
                  "' have no number in common");
  for (uint64_t number : both)
    list.pairs.push_back({rgb->digits(number), rgb->with(number), depth.with(number),
                          output ? output->with(number) : "",
                          output_depth ? output_depth->with(number) : ""});

  for (uint64_t number : rgb_numbers) list.inputs.push_back(rgb->with(number));
  for (uint64_t number : depth_numbers) list.inputs.push_back(depth.with(number));

  const uint64_t first = std::min(rgb_numbers.front(), depth_numbers.front());
  const uint64_t last = std::max(rgb_numbers.back(), depth_numbers.back());
  const std::string rgb_missing = missing_between(first, last, rgb_numbers, *rgb);
  const std::string depth_missing = missing_between(first, last, depth_numbers, depth);
  if (!rgb_missing.empty()) list.holes.push_back("colour images '" + options.rgb + "' lack " + rgb_missing);
  if (!depth_missing.empty())
    list.holes.push_back("depth images '" + options.depth + "' lack " + depth_missing);
  return list;
}

}  // namespace rgbd
