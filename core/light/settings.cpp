// SPDX-License-Identifier: Apache-2.0
// The bounds are far outside what makes sense: they keep a hostile file from costing memory or time.
#include "core/light/settings.h"

#include <algorithm>
#include <cmath>
#include <locale>
#include <sstream>
#include <string>
#include <type_traits>

#include "core/checkpoint_file.h"

namespace rgbd::light {
namespace {

constexpr const char* kVersion = "3";
constexpr const char* kVersionWithoutRays = "2";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// The whole text as one number, whatever the program's locale; false if it is not.
template <class T>
bool read_number(const std::string& text, T& number) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  return static_cast<bool>(in >> std::noskipws >> number) && in.peek() == std::char_traits<char>::eof();
}

std::string shown(double number) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << number;
  return out.str();
}

class Reader {
 public:
  explicit Reader(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  [[noreturn]] void bad(const std::string& key, const std::string& problem) const {
    const auto found = checkpoint_.metadata().find("rgbd." + key);
    std::string text = checkpoint_.path() + ": the metadata key rgbd." + key;
    if (found != checkpoint_.metadata().end()) text += " is " + quote(found->second);
    throw Error(ErrorCode::kBadCheckpoint, text + problem);
  }

  bool has(const std::string& key) const { return checkpoint_.metadata().count("rgbd." + key) > 0; }

  const std::string& text(const std::string& key) const {
    const auto found = checkpoint_.metadata().find("rgbd." + key);
    if (found == checkpoint_.metadata().end()) bad(key, " is missing");
    return found->second;
  }

  /// The value that this program knows, or the other one.
  void expect(const std::string& key, const std::string& known, const std::string& other = "") const {
    if (text(key) == known || (!other.empty() && text(key) == other)) return;
    bad(key, ": this program knows only '" + known + (other.empty() ? "" : "' and '" + other) +
                 "'; a newer one is needed");
  }

  /// One of two words; true if the first.
  bool either(const std::string& key, const std::string& yes, const std::string& no) const {
    if (text(key) != yes && text(key) != no) bad(key, ", neither '" + yes + "' nor '" + no + "'");
    return text(key) == yes;
  }

  template <class T>
  T number(const std::string& key, T least, T most) const {
    return number_in(key, text(key), least, most);
  }

  template <class T>
  std::vector<T> numbers(const std::string& key, size_t fewest, size_t most_of_them, T least, T most) const {
    std::vector<T> out;
    for (const auto& part : list(key, ',', fewest, most_of_them))
      out.push_back(number_in(key, part, least, most));
    return out;
  }

  std::vector<Offset> offsets(const std::string& key) const {
    constexpr int64_t kFarthest = 64;
    std::vector<Offset> out;
    for (const auto& pair : list(key, ';', 1, kMostOffsets)) {
      const auto parts = split(pair, ',');
      if (parts.size() != 2) bad(key, ": " + quote(pair) + " is no offset dy,dx");
      out.push_back(
          {number_in(key, parts[0], -kFarthest, kFarthest), number_in(key, parts[1], -kFarthest, kFarthest)});
    }
    return out;
  }

 private:
  template <class T>
  T number_in(const std::string& key, const std::string& text, T least, T most) const {
    T value{};
    if (!read_number(text, value) || !(value >= least && value <= most)) {
      const bool all = this->text(key) == text;  // which bad() says itself
      bad(key, (all ? "," : ": " + quote(text) + " is") +
                   (std::is_integral_v<T> ? " no whole number from " : " no number from ") +
                   shown(static_cast<double>(least)) + " to " + shown(static_cast<double>(most)));
    }
    return value;
  }

  std::vector<std::string> list(const std::string& key, char separator, size_t fewest, size_t most) const {
    auto parts = split(text(key), separator);
    if (parts.size() < fewest || parts.size() > most) {
      bad(key, " with " + std::to_string(parts.size()) + " entries, not " + std::to_string(fewest) +
                   (most > fewest ? " to " + std::to_string(most) : ""));
    }
    return parts;
  }

  const Checkpoint& checkpoint_;
};

InputSpec read_input(const Reader& read) {
  InputSpec input;
  input.short_side = static_cast<int>(read.number<int64_t>("input_size", kSmallestSide, 2048));
  input.multiple = static_cast<int>(read.number<int64_t>("multiple", 1, 256));
  input.upscale = read.either("upscale", "true", "false");
  const auto mean = read.numbers<double>("mean", 3, 3, -10.0, 10.0);
  const auto deviation = read.numbers<double>("std", 3, 3, 1e-3, 1e3);
  std::copy(mean.begin(), mean.end(), input.mean.begin());
  std::copy(deviation.begin(), deviation.end(), input.std.begin());
  input.bgr = read.either("channel_order", "bgr", "rgb");
  return input;
}

}  // namespace

Settings read_settings(const Checkpoint& checkpoint) {
  const Reader read(checkpoint);
  read.expect("version", kVersion, kVersionWithoutRays);
  const bool with_rays = read.text("version") == kVersion;
  read.expect("head", "choice");
  read.expect("depth_norm", "median");

  Settings s;
  s.widths = read.numbers<int64_t>("widths", 3, 8, 1, 2048);  // the coarse depth needs the level 1/4 decoded
  s.bottleneck_blocks = read.number<int64_t>("bottleneck_blocks", 0, 64);
  s.raw = read.offsets("raw_offsets");
  s.coarse = read.offsets("coarse_offsets");
  s.correction = read.number<double>("correction", 1e-3, 10);
  s.pyramid_levels = read.number<int64_t>("pyramid_levels", 2, kMostLevels);  // the fill at 1/4 is used
  auto levels = [&](const char* key) {
    return read.numbers<int64_t>(key, 1, kMostLevels, 1, s.pyramid_levels);
  };
  s.smooth = levels("smooth_levels");
  s.differences = levels("difference_levels");
  if (with_rays) {
    read.expect("rays", std::to_string(kMostRays));
    s.rays = kMostRays;
  }
  if (read.number<int64_t>("candidates", 1, 256) != s.candidates()) {
    read.bad("candidates", ", but the offsets, the smooth levels, the rays and the free depth make " +
                               std::to_string(s.candidates()));
  }
  if (read.number<int64_t>("features", 1, 256) != s.features()) {
    read.bad("features",
             ", but colour, fill, mask, difference levels and rays make " + std::to_string(s.features()));
  }
  s.padding = read.number<int64_t>("padding", 1, 1024);
  const auto stride =
      int64_t{1} << std::max<int64_t>(static_cast<int64_t>(s.widths.size()), s.pyramid_levels);
  if (s.padding % stride) {
    read.bad("padding", ", no multiple of the stride " + std::to_string(stride) +
                            " of rgbd.widths and rgbd.pyramid_levels");
  }
  s.mode_tolerance = read.number<double>("mode_tolerance", 0, 1);
  s.keep_window = read.number<int64_t>("keep_window", 1, 63);
  if (s.keep_window % 2 == 0) read.bad("keep_window", ", which is even: a window has a centre");
  s.keep_tolerance = read.number<double>("keep_tolerance", 0, 1);
  s.hole_low = read.number<double>("hole_low", 0, 1);
  s.hole_high = read.number<double>("hole_high", 0.5, 100);
  s.min_valid = read.number<double>("min_valid", 0, 1);
  if (read.has("far")) s.far = read.number<int64_t>("far", 0, 16);
  if (read.has("denoise")) s.denoise = read.number<double>("denoise", 0, 50);
  if (read.has("snap")) s.snap = read.number<int64_t>("snap", 0, 7);
  s.input = read_input(read);
  return s;
}

}  // namespace rgbd::light
