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

/// The files of one input.
struct Images {
  std::string described;  // "colour images 'rgb/%05d.png'"
  NumberedName name;
  NumberedFiles files;
};

/// "'1.png' and 8 more, whose numbers %02d writes otherwise"; empty if there are none.
std::string otherwise_written(const Images& images) {
  const std::vector<std::string>& files = images.files.otherwise_written;
  if (files.empty()) return "";
  return "'" + files.front() + "'" +
         (files.size() > 1 ? " and " + std::to_string(files.size() - 1) + " more" : "") + ", whose numbers " +
         images.name.conversion() + " writes otherwise";
}

/// Throws Failure where there is none.
Images find_images(const std::string& what, const std::string& pattern) {
  const NumberedName name = NumberedName::parse(pattern).value();
  const Images images{what + " '" + pattern + "'", name, name.files()};
  const std::string others = otherwise_written(images);
  if (images.files.numbers.empty())
    throw Failure(images.described + ": no such file" + (others.empty() ? "" : ", only " + others));
  return images;
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

NumberedFiles NumberedName::files() const {
  NumberedFiles found;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.empty() ? "." : folder_, unreadable)) {
    const std::string file = entry.path().filename().string();
    if (file.size() <= prefix_.size() + suffix_.size() || !file.starts_with(prefix_) ||
        !file.ends_with(suffix_))
      continue;
    const std::string_view middle =
        std::string_view(file).substr(prefix_.size(), file.size() - prefix_.size() - suffix_.size());
    const auto number = to_number(middle);
    if (!number) continue;
    if (digits(*number) == middle) {
      found.numbers.push_back(*number);
    } else {
      found.otherwise_written.push_back(file);
    }
  }
  std::sort(found.numbers.begin(), found.numbers.end());
  std::sort(found.otherwise_written.begin(), found.otherwise_written.end());
  return found;
}

PairList list_pairs(const RefineOptions& options) {
  if (!NumberedName::parse(options.rgb))
    return {{{"", options.rgb, options.depth, options.output, options.output_depth}},
            {options.rgb, options.depth},
            {}};

  const Images rgb = find_images("colour images", options.rgb);
  const Images depth = find_images("depth images", options.depth);
  const auto output = NumberedName::parse(options.output);
  const auto output_depth = NumberedName::parse(options.output_depth);

  PairList list;
  std::vector<uint64_t> both;
  std::set_intersection(rgb.files.numbers.begin(), rgb.files.numbers.end(), depth.files.numbers.begin(),
                        depth.files.numbers.end(), std::back_inserter(both));
  if (both.empty()) throw Failure(rgb.described + " and " + depth.described + " have no number in common");
  for (uint64_t number : both)
    list.pairs.push_back({rgb.name.digits(number), rgb.name.with(number), depth.name.with(number),
                          output ? output->with(number) : "",
                          output_depth ? output_depth->with(number) : ""});

  const uint64_t first = std::min(rgb.files.numbers.front(), depth.files.numbers.front());
  const uint64_t last = std::max(rgb.files.numbers.back(), depth.files.numbers.back());
  for (const Images* images : {&rgb, &depth}) {
    for (uint64_t number : images->files.numbers) list.inputs.push_back(images->name.with(number));
    const std::string missing = missing_between(first, last, images->files.numbers, images->name);
    if (!missing.empty()) list.holes.push_back(images->described + " lack " + missing);
    const std::string others = otherwise_written(*images);
    if (!others.empty()) list.holes.push_back(images->described + " leave out " + others);
  }
  return list;
}

}  // namespace rgbd
