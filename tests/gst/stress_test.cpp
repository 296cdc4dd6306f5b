// SPDX-License-Identifier: Apache-2.0
// rgbdrefine under everything that may happen to it, at random and from many threads.
//
//   RGBD_STRESS_SEED=N     begins with round N; a failure names its round. Threads keep it from being the
//   same
//                          run again, but it has the same pipelines and the same operations.
//   RGBD_STRESS_SECONDS=N  goes on with further rounds for so long; without it, a fixed number of rounds
//
// Each round builds one to three pipelines (stress_camera.h), lets threads do operations to them, and then
// asks of each that it works as if nothing had happened. What comes out is judged frame by frame.
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/stress_camera.h"

namespace {

using rgbd::testing::Camera;
using rgbd::testing::CameraSettings;
using rgbd::testing::Doing;
using rgbd::testing::kGrid;
using rgbd::testing::Shape;
using rgbd::testing::Stream;
using rgbd::testing::Watch;

constexpr int kRounds = 40;
constexpr int kThreads = 3;
constexpr int kOperations = 40;  // of one thread in one round

using Random = std::mt19937_64;

template <typename List>
auto pick(Random& random, const List& list) {
  return list[random() % std::size(list)];
}

bool chance(Random& random, double probability) {
  return std::bernoulli_distribution(probability)(random);
}

/// What one thread does to one camera: an operation, named in `name` before it starts.
class Storm {
 public:
  Storm(Camera& camera, Watch& watch, uint64_t seed) : camera_(camera), watch_(watch), random_(seed) {}

  void one_operation() {
    static const std::vector<std::pair<int, std::pair<const char*, void (Storm::*)()>>> operations = {
        {4, {"flushing one pad", &Storm::flush_one}},
        {3, {"flushing both pads", &Storm::flush_both}},
        {4, {"seeking", &Storm::seek}},
        {5, {"changing caps", &Storm::change_caps}},
        {2, {"ending a stream", &Storm::end_stream}},
        {4, {"changing the state", &Storm::change_state}},
        {7, {"setting a property", &Storm::set_property}},
        {3, {"setting the model", &Storm::set_model}},
        {6, {"asking", &Storm::ask}},
        {3, {"sending a QOS event", &Storm::send_qos}},
        {2, {"holding the engine", &Storm::hold}},
        {1, {"making an error", &Storm::make_error}},
        {8, {"doing nothing for a moment", &Storm::idle}}};
    int total = 0;
    for (const auto& [weight, operation] : operations) total += weight;
    int drawn = static_cast<int>(random_() % static_cast<uint64_t>(total));
    for (const auto& [weight, operation] : operations) {
      if ((drawn -= weight) >= 0) continue;
      Doing doing(watch_, operation.first);
      (this->*operation.second)();
      return;
    }
  }

 private:
  Stream::Kind kind() { return chance(random_, 0.5) ? Stream::kRgb : Stream::kDepth; }

  void flush_one() { camera_.flush(kind()); }
  void flush_both() { camera_.flush_both(chance(random_, 0.5)); }
  void seek() {
    bool done = camera_.seek(random_() % 100 * kGrid, chance(random_, 0.3));
    EXPECT_FALSE(done && camera_.settings().live) << "no live source seeks";
  }
  void change_caps() {
    static constexpr const char* kRgbFormats[] = {"RGB", "BGRx", "NV12", "I420", "YUY2"};
    static constexpr const char* kDepthFormats[] = {"GRAY16_LE", "GRAY16_BE"};
    static constexpr std::pair<int, int> kSizes[] = {{16, 16}, {32, 24}, {20, 14}, {48, 64}, {17, 15}};
    static constexpr int kRates[] = {100, 200, 50, 0};
    bool both = chance(random_, 0.3), rgb = both || chance(random_, 0.5);
    for (Stream::Kind kind : {Stream::kRgb, Stream::kDepth}) {
      if (!both && rgb != (kind == Stream::kRgb)) continue;
      Shape shape;
      shape.format = kind == Stream::kRgb ? pick(random_, kRgbFormats) : pick(random_, kDepthFormats);
      std::tie(shape.width, shape.height) = pick(random_, kSizes);
      if (camera_.settings().varied_tolerance) shape.rate = pick(random_, kRates);
      if (kind == Stream::kDepth && chance(random_, 0.5)) shape.unit = chance(random_, 0.5) ? 0.0005 : 0.001;
      camera_.stream(kind).set_shape(shape);
    }
  }
  void end_stream() { camera_.stream(kind()).end_stream(); }
  void change_state() {
    static constexpr GstState kStates[] = {GST_STATE_NULL,    GST_STATE_READY,   GST_STATE_PAUSED,
                                           GST_STATE_PLAYING, GST_STATE_PLAYING, GST_STATE_PLAYING};
    bool done = camera_.set_state(pick(random_, kStates));
    EXPECT_TRUE(done || camera_.settings().errors_allowed) << "a state change failed";
  }
  void set_property() {
    static const std::vector<std::pair<const char*, std::vector<const char*>>> kValues = {
        {"skip-policy", {"drop", "raw", "repeat"}},
        {"inference-interval", {"1", "1", "2", "3"}},
        {"leaky", {"auto", "none", "downstream"}},
        {"max-pairs", {"1", "2", "20"}},
        {"qos", {"true", "false"}},
        {"stats-interval", {"0", "1000000"}},
        {"pts-tolerance", {"-1", "0", "2000000", "15000000"}}};
    auto [property, values] = pick(random_, kValues);
    if (property == std::string("pts-tolerance") && !camera_.settings().varied_tolerance) return;
    camera_.set(property, pick(random_, values));
  }
  void set_model() {
    static constexpr const char* kModels[] = {"fake:", "fake:delay=1", "fake:delay=4", "fake:bad",
                                              "nowhere.pt"};
    // A bad model keeps the old one while playing, but lets the next start fail.
    camera_.set("model", kModels[random_() % (camera_.settings().errors_allowed ? 5 : 3)]);
  }
  void ask() {
    switch (random_() % 5) {
      case 0: {
        GstStructure* stats = nullptr;
        g_object_get(camera_.refine(), "stats", &stats, nullptr);
        EXPECT_TRUE(stats);
        gst_structure_free(stats);
        break;
      }
      case 1: {
        GstQuery* query = gst_query_new_latency();
        if (gst_element_query(camera_.pipeline(), query)) {
          gboolean live = FALSE;
          GstClockTime least = 0, most = 0;
          gst_query_parse_latency(query, &live, &least, &most);
          EXPECT_LE(least, most);
        }
        gst_query_unref(query);
        break;
      }
      case 2:
        gst_bin_recalculate_latency(GST_BIN(camera_.pipeline()));
        break;
      case 3: {
        GstQuery* query = gst_query_new_seeking(GST_FORMAT_TIME);
        gst_element_query(camera_.pipeline(), query);
        gst_query_unref(query);
        break;
      }
      case 4: {
        GstPad* pad = gst_element_get_static_pad(camera_.refine(), chance(random_, 0.5) ? "rgb" : "depth");
        GstCaps* caps = gst_pad_query_caps(pad, nullptr);
        EXPECT_FALSE(gst_caps_is_empty(caps));
        gst_caps_unref(caps);
        gst_object_unref(pad);
        break;
      }
    }
  }
  void send_qos() {
    GstPad* src = gst_element_get_static_pad(camera_.refine(), "src");
    auto lateness =
        static_cast<GstClockTimeDiff>(random_() % (4 * kGrid)) - static_cast<GstClockTimeDiff>(2 * kGrid);
    GstQOSType type = lateness > 0 ? GST_QOS_TYPE_UNDERFLOW : GST_QOS_TYPE_OVERFLOW;
    gst_pad_send_event(src, gst_event_new_qos(type, 1.0, lateness, (2 + random_() % 300) * kGrid));
    gst_object_unref(src);
  }
  /// A pair stays in the engine while it is flushed. No state change here: one that loads would wait for the
  /// engine, and others for that one.
  void hold() {
    // First its turn: whoever has it may wait for a state change that waits for the engine.
    auto turn = camera_.flush_turn();
    chance(random_, 0.5) ? fake_rgbd::hold() : fake_rgbd::hold_stubbornly();
    chance(random_, 0.5) ? flush_one() : flush_both();
    fake_rgbd::release();
  }
  void make_error() {
    if (!camera_.settings().errors_allowed) return;
    static constexpr rgbd::ErrorCode kCodes[] = {rgbd::ErrorCode::kInvalidArgument,
                                                 rgbd::ErrorCode::kInternal};
    if (chance(random_, 0.7)) return fake_rgbd::fail_next(pick(random_, kCodes));
    camera_.stream(Stream::kRgb).set_shape({"RGB", 4, 4, 100, 0});
  }
  void idle() { std::this_thread::sleep_for(std::chrono::microseconds(random_() % 5000)); }

  Camera& camera_;
  Watch& watch_;
  Random random_;
};

CameraSettings settings_of_round(Random& random, bool errors_allowed) {
  CameraSettings settings;
  settings.live = chance(random, 0.5);
  settings.by_order = chance(random, 0.15);
  settings.varied_tolerance = chance(random, 0.5);
  settings.errors_allowed = errors_allowed;
  // No queue: that of GStreamer 1.22 hangs, as an aggregator does, when a flush ends on the way to READY.
  static constexpr const char* kSinks[] = {"fakesink sync=false", "fakesink sync=false async=false",
                                           "fakesink sync=true qos=true max-lateness=20000000"};
  settings.sink = pick(random, kSinks);
  return settings;
}

void run_round(uint64_t seed) {
  SCOPED_TRACE("RGBD_STRESS_SEED=" + std::to_string(seed));
  EXPECT_TRUE(fake_rgbd::reset());
  Random random(seed);
  Watch watch("RGBD_STRESS_SEED=" + std::to_string(seed));
  // The stand-in has one next failure for all.
  bool errors_allowed = chance(random, 0.2);
  size_t count = 1 + random() % 3;
  bool shared = count > 1 && chance(random, 0.7);
  std::vector<std::unique_ptr<Camera>> cameras;
  for (size_t i = 0; i < count; ++i) {
    CameraSettings settings = settings_of_round(random, errors_allowed);
    if (shared) settings.instance_id = "one";
    cameras.push_back(std::make_unique<Camera>(settings, random(), watch));
    Doing doing(watch, "starting a pipeline");
    EXPECT_TRUE(cameras.back()->set_state(GST_STATE_PLAYING));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, seed = random()] {
      Random own(seed);
      std::vector<Storm> storms;
      for (auto& camera : cameras) storms.emplace_back(*camera, watch, own());
      for (int n = 0; n < kOperations; ++n) storms[own() % storms.size()].one_operation();
    });
  }
  for (std::thread& thread : threads) thread.join();
  fake_rgbd::release();
  fake_rgbd::fail_none();
  for (auto& camera : cameras) camera->settle();
  cameras.clear();
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
}

TEST(Stress, RandomEventsFromManyThreads) {
  const char* seed_text = std::getenv("RGBD_STRESS_SEED");
  const char* seconds_text = std::getenv("RGBD_STRESS_SECONDS");
  uint64_t seed = seed_text ? std::strtoull(seed_text, nullptr, 10) : std::random_device()();
  RecordProperty("seed", std::to_string(seed));
  std::printf("RGBD_STRESS_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  auto until = std::chrono::steady_clock::now() +
               std::chrono::seconds(seconds_text ? std::strtoll(seconds_text, nullptr, 10) : 0);
  int rounds = 0;
  while (!HasFailure() && (seconds_text ? std::chrono::steady_clock::now() < until : rounds < kRounds))
    run_round(seed + static_cast<uint64_t>(rounds++));
  std::printf("%d rounds\n", rounds);
}

}  // namespace
