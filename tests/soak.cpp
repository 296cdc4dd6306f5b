// SPDX-License-Identifier: Apache-2.0
// Live cameras that share one model, watched minute by minute: does memory grow, does the age of what comes
// out, does anything stop? See soak.sh, which builds and runs it.
//
//   soak MINUTES [--size WxH] [--fps N] [--cameras N] [--model FILE] [--minute SECONDS]
//
// A JSON line a minute, a JSON line with the verdict. Exit code 0: flat; 1: not, or something failed.
#include <gst/gst.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using nlohmann::ordered_json;

constexpr const char* kUsage =
    "usage: soak MINUTES [--size WxH] [--fps N] [--cameras N] [--model FILE] [--minute SECONDS]\n";
constexpr double kMostGrowth = 0.01;   // of resident memory, from the end of the first minute to the last
// Of the median age, from the first third of the minutes to the last: an age that creeps shows there, a minute in which
// the machine did something else does not (it is printed, as the furthest one).
constexpr double kMostAgeGrowth = 0.1;

struct Arguments {
  int minutes = 0, width = 160, height = 120, fps = 15, cameras = 2, minute_s = 60;
  std::string model;
};

int number(const std::string& text, int least, int most) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end || value < least || value > most) {
    throw std::runtime_error("'" + text + "' is no number from " + std::to_string(least) + " to " +
                             std::to_string(most) + "\n" + kUsage);
  }
  return static_cast<int>(value);
}

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    auto next = [&]() -> std::string {
      if (++i >= argc) throw std::runtime_error(flag + " needs a value\n" + kUsage);
      return argv[i];
    };
    if (flag == "--size") {
      const std::string size = next();
      const size_t cross = std::min(size.find('x'), size.size());
      out.width = number(size.substr(0, cross), 16, 8192);
      out.height = number(size.substr(std::min(cross + 1, size.size())), 16, 8192);
    } else if (flag == "--fps") {
      out.fps = number(next(), 1, 240);
    } else if (flag == "--cameras") {
      out.cameras = number(next(), 1, 64);
    } else if (flag == "--model") {
      out.model = next();
    } else if (flag == "--minute") {
      out.minute_s = number(next(), 1, 3600);
    } else if (flag.starts_with("--") || out.minutes) {
      throw std::runtime_error("unknown option " + flag + "\n" + kUsage);
    } else {
      out.minutes = number(flag, 3, 100000);  // the first one starts up, and of one alone nothing can be said
    }
  }
  if (!out.minutes) throw std::runtime_error(kUsage);
  return out;
}

/// Nearest rank; 0 when empty.
double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1];
}

double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  throw std::runtime_error("/proc/self/status has no VmRSS");
}

double rounded(double value) {
  return std::round(value * 100) / 100;
}

/// One camera and its refining element.
class Lane {
 public:
  Lane(GstElement* pipeline, const std::string& name)
      : refine_(gst_bin_get_by_name(GST_BIN(pipeline), ("r" + name).c_str())),
        sink_(gst_bin_get_by_name(GST_BIN(pipeline), ("k" + name).c_str())) {
    if (!refine_ || !sink_) throw std::runtime_error("the pipeline has no lane " + name);
    GstPad* pad = gst_element_get_static_pad(refine_, "src");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, &Lane::on_frame, this, nullptr);
    gst_object_unref(pad);
  }
  ~Lane() {
    gst_object_unref(refine_);
    gst_object_unref(sink_);
  }
  Lane(const Lane&) = delete;

  /// What this minute was, and the start of the next one.
  ordered_json end_minute(double seconds) {
    std::vector<double> ages;
    {
      std::lock_guard lock(mutex_);
      ages.swap(ages_ms_);
    }
    if (p50s_.empty() && !ages.empty()) first_ms_ = ages.front();
    p50s_.push_back(percentile(ages, 0.5));
    return {{"age_p50_ms", rounded(p50s_.back())},
            {"age_p99_ms", rounded(percentile(ages, 0.99))},
            {"fps", rounded(static_cast<double>(ages.size()) / seconds)},
            {"dropped", drops()},
            {"late_at_sink", late_at_sink()}};
  }
  /// Age of the very first frame.
  double first_ms() const { return first_ms_; }
  /// Of every minute but the first, in which everything starts.
  std::vector<double> p50s() const { return {p50s_.begin() + 1, p50s_.end()}; }

 private:
  static GstPadProbeReturn on_frame(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
    auto* self = static_cast<Lane*>(data);
    GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
    GstClock* clock = gst_element_get_clock(self->refine_);
    if (event && clock) {
      const GstSegment* segment;
      gst_event_parse_segment(event, &segment);
      const GstClockTime shot = gst_segment_to_running_time(segment, GST_FORMAT_TIME,
                                                            GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)));
      const GstClockTime now = gst_clock_get_time(clock) - gst_element_get_base_time(self->refine_);
      std::lock_guard lock(self->mutex_);
      self->ages_ms_.push_back(static_cast<double>(GST_CLOCK_DIFF(shot, now)) / GST_MSECOND);
    }
    if (clock) gst_object_unref(clock);
    if (event) gst_event_unref(event);
    return GST_PAD_PROBE_OK;
  }

  /// By reason, since the minute before.
  ordered_json drops() {
    GstStructure* stats = nullptr;
    g_object_get(refine_, "stats", &stats, nullptr);
    ordered_json out = ordered_json::object();
    for (int i = 0; i < gst_structure_n_fields(stats); ++i) {
      const std::string name = gst_structure_nth_field_name(stats, static_cast<guint>(i));
      guint64 count = 0;
      if (!name.starts_with("dropped-") || !gst_structure_get_uint64(stats, name.c_str(), &count)) continue;
      out[name.substr(8)] = count - counted_[name];
      counted_[name] = count;
    }
    gst_structure_free(stats);
    return out;
  }

  /// Frames that the sink threw away for coming more than 20 ms after their time, since the minute before.
  guint64 late_at_sink() {
    GstStructure* stats = nullptr;
    g_object_get(sink_, "stats", &stats, nullptr);
    guint64 dropped = 0;
    gst_structure_get_uint64(stats, "dropped", &dropped);
    gst_structure_free(stats);
    return dropped - std::exchange(counted_["sink"], dropped);
  }

  GstElement* refine_;
  GstElement* sink_;
  double first_ms_ = 0;
  std::map<std::string, guint64> counted_;
  std::vector<double> p50s_;
  std::mutex mutex_;
  std::vector<double> ages_ms_;
};

std::string description(const Arguments& arguments) {
  const std::string size = ",width=" + std::to_string(arguments.width) +
                           ",height=" + std::to_string(arguments.height) +
                           ",framerate=" + std::to_string(arguments.fps) + "/1";
  std::string text;
  for (int i = 0; i < arguments.cameras; ++i) {
    const std::string n = std::to_string(i), s = "s" + n, r = "r" + n;
    text += "rgbdtestsrc name=" + s + " is-live=true seed=" + n + " rgbdrefine name=" + r +
            " model-instance-id=soak ! queue ! fakesink name=k" + n +
            " sync=true qos=true max-lateness=20000000 " + s + ".rgb ! video/x-raw" + size + " ! queue ! " +
            r + ".rgb " + s + ".depth ! video/x-raw" + size + " ! queue ! " + r + ".depth ";
  }
  return text;
}

/// Throws what the bus says went wrong. Returns when the time has come.
void watch(GstBus* bus, gint64 until_us) {
  for (gint64 now; (now = g_get_monotonic_time()) < until_us;) {
    GstMessage* message = gst_bus_timed_pop_filtered(
        bus, static_cast<GstClockTime>(until_us - now) * GST_USECOND,
        static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_EOS | GST_MESSAGE_WARNING));
    if (!message) continue;
    const GstMessageType type = GST_MESSAGE_TYPE(message);
    GError* error = nullptr;
    if (type == GST_MESSAGE_ERROR) gst_message_parse_error(message, &error, nullptr);
    if (type == GST_MESSAGE_WARNING) gst_message_parse_warning(message, &error, nullptr);
    const std::string text = error ? error->message : "the stream ended";
    g_clear_error(&error);
    gst_message_unref(message);
    if (type != GST_MESSAGE_WARNING) throw std::runtime_error(text);
    std::fprintf(stderr, "soak: warning: %s\n", text.c_str());
  }
}

/// What is not flat, in words; empty: everything is.
std::vector<std::string> complaints(const std::vector<double>& resident,
                                    const std::vector<const Lane*>& lanes, ordered_json& verdict) {
  std::vector<std::string> out;
  const double growth = resident.back() / resident.front() - 1;
  verdict["rss_growth"] = std::round(growth * 1e5) / 1e5;
  if (growth >= kMostGrowth) out.push_back("resident memory grew by 1 % or more");
  double shift = 0, first = 0, trend = 0;
  for (const Lane* lane : lanes) {
    const std::vector<double> ages = lane->p50s();
    const double usual = percentile(ages, 0.5);
    if (usual > 0) first = std::max(first, lane->first_ms() / usual);
    for (double age : ages) {
      if (age <= 0 || usual <= 0) {
        out.push_back("a minute passed without a frame");
        return out;
      }
      shift = std::max(shift, std::abs(age / usual - 1));
    }
    const auto third = static_cast<std::ptrdiff_t>((ages.size() + 2) / 3);
    const double early = percentile({ages.begin(), ages.begin() + third}, 0.5);
    const double late = percentile({ages.end() - third, ages.end()}, 0.5);
    trend = std::max(trend, late / early - 1);
  }
  verdict["first_frame_age_over_usual"] = rounded(first);
  verdict["age_p50_shift"] = std::round(shift * 1e4) / 1e4;
  verdict["age_p50_growth"] = std::round(trend * 1e4) / 1e4;
  if (trend > kMostAgeGrowth) out.push_back("the age grew by more than 10 % from the first third to the last");
  return out;
}

int run(const Arguments& arguments) {
  GError* error = nullptr;
  std::unique_ptr<GstElement, void (*)(GstElement*)> pipeline(
      gst_parse_launch(description(arguments).c_str(), &error), [](GstElement* element) {
        gst_element_set_state(element, GST_STATE_NULL);
        gst_object_unref(element);
      });
  if (error) throw std::runtime_error(error->message);
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<const Lane*> watched;
  for (int i = 0; i < arguments.cameras; ++i) {
    lanes.push_back(std::make_unique<Lane>(pipeline.get(), std::to_string(i)));
    watched.push_back(lanes.back().get());
    if (arguments.model.empty()) continue;
    GstElement* refine = gst_bin_get_by_name(GST_BIN(pipeline.get()), ("r" + std::to_string(i)).c_str());
    g_object_set(refine, "model", arguments.model.c_str(), nullptr);
    gst_object_unref(refine);
  }
  std::unique_ptr<GstBus, void (*)(GstBus*)> bus(gst_element_get_bus(pipeline.get()),
                                                 [](GstBus* b) { gst_object_unref(b); });
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);

  std::vector<double> resident;
  gint64 began = g_get_monotonic_time();
  for (int minute = 1; minute <= arguments.minutes; ++minute) {
    watch(bus.get(), began + gint64{arguments.minute_s} * G_USEC_PER_SEC);
    const gint64 now = g_get_monotonic_time();
    const double seconds = static_cast<double>(now - began) / G_USEC_PER_SEC;
    began = now;
    resident.push_back(resident_mb());
    ordered_json line{{"minute", minute}, {"rss_mb", rounded(resident.back())}};
    for (const auto& lane : lanes) line["cameras"].push_back(lane->end_minute(seconds));
    std::puts(line.dump().c_str());
    std::fflush(stdout);
  }

  ordered_json verdict{{"verdict", ""}};
  const auto problems = complaints(resident, watched, verdict);
  verdict["verdict"] = problems.empty() ? "flat" : "not flat";
  for (const auto& problem : problems) verdict["problems"].push_back(problem);
  std::puts(verdict.dump().c_str());
  // Before the lanes, whose probes it calls.
  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  return problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gst_init(nullptr, nullptr);
    return run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "soak: %s\n", error.what());
    return 1;
  }
}
