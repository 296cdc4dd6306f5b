// SPDX-License-Identifier: Apache-2.0
// Several rgbdrefine with one model-instance-id, each in a pipeline of its own, with the real core and a
// small seeded model: who shares what, what runs together, and what a neighbour may do.
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "tests/gst/environment.h"
#include "tests/gst/refine_rig.h"
#include "tests/support/seeded.h"

namespace {

using rgbd::testing::ends_by_itself;
using rgbd::testing::kFrame;
using rgbd::testing::kSide;
using rgbd::testing::Output;
using rgbd::testing::Rig;

constexpr char kHour[] = " batch-timeout=3600000000000";

std::atomic<int> loads = 0;

void count_loads(GstDebugCategory* category, GstDebugLevel, const char*, const char*, int, GObject*,
                 GstDebugMessage* message, gpointer) {
  if (std::string(gst_debug_category_get_name(category)) != "rgbdcore") return;
  if (std::string(gst_debug_message_get(message)).rfind("loaded ", 0) == 0) ++loads;
}

/// A checkpoint that goes when the program ends.
std::string write_model(const char* encoder, uint64_t seed) {
  static std::vector<std::string>& written = *new std::vector<std::string>;
  const auto path = (std::filesystem::temp_directory_path() /
                     ("rgbd-sharing-" + std::to_string(getpid()) + "-" + std::to_string(written.size())))
                        .string();
  rgbd::test::write_seeded(path, encoder, seed);
  if (written.empty()) {
    std::atexit([] {
      for (const std::string& file : written) std::filesystem::remove(file);
    });
  }
  written.push_back(path);
  return path;
}

const std::string& model() {
  static const std::string path = write_model("tiny", 0);
  return path;
}
const std::string& other_model() {
  static const std::string path = write_model("tiny", 1);
  return path;
}

std::string properties(const std::string& more, const std::string& path = model()) {
  return "device=cpu input-size=28 model=" + path + " " + more;
}
/// Each test has an id of its own: a model is let go on a thread of its own, later.
std::string shared(const std::string& more = "", const std::string& path = model()) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return properties(std::string("model-instance-id=") + test->name() + " " + more, path);
}

/// A camera of its own noise.
class Camera {
 public:
  explicit Camera(unsigned number, const std::string& properties, int width = kSide,
                  const std::string& downstream = "")
      : rig(properties, downstream), number_(number), width_(width) {
    const std::string size = ",width=" + std::to_string(width) + ",height=16,framerate=30/1";
    rig.set_rgb_caps("video/x-raw,format=RGB" + size);
    rig.set_depth_caps("video/x-raw,format=GRAY16_LE" + size);
  }

  void push(unsigned frame) {
    std::mt19937 random(1000 * number_ + frame);
    const auto pixels = static_cast<gsize>(width_) * kSide;
    GstBuffer* rgb = gst_buffer_new_allocate(nullptr, 3 * pixels, nullptr);
    GstBuffer* depth = gst_buffer_new_allocate(nullptr, 2 * pixels, nullptr);
    std::vector<guint8> colour(3 * pixels);
    std::vector<guint16> steps(pixels);
    for (auto& value : colour) value = static_cast<guint8>(random());
    for (auto& value : steps) value = random() % 5 ? static_cast<guint16>(800 + random() % 2000) : 0;
    gst_buffer_fill(rgb, 0, colour.data(), 3 * pixels);
    gst_buffer_fill(depth, 0, steps.data(), 2 * pixels);
    for (GstBuffer* buffer : {rgb, depth}) {
      GST_BUFFER_PTS(buffer) = frame * kFrame;
      GST_BUFFER_DURATION(buffer) = kFrame;
    }
    rig.push_rgb(rgb);
    rig.push_depth(depth);
  }
  void push(unsigned first, unsigned count) {
    for (unsigned i = 0; i < count; ++i) push(first + i);
  }

  double stat(const char* name) {
    GstStructure* stats = nullptr;
    g_object_get(rig.refine(), "stats", &stats, nullptr);
    double value = -1;
    EXPECT_TRUE(gst_structure_get_double(stats, name, &value)) << name;
    gst_structure_free(stats);
    return value;
  }
  /// Blocks until its task has taken so many pairs, the last of which it then hands to the engine.
  void wait_for_pairs(uint64_t count) {
    while (rig.stat("pairs-in") < count) std::this_thread::yield();
  }

  unsigned number() const { return number_; }
  int width() const { return width_; }
  Rig rig;

 private:
  unsigned number_;
  int width_;
};

std::map<std::string, std::unique_ptr<Camera>> cameras_alone;  // of this test

/// What frame `frame` of this camera becomes in a pipeline that shares nothing.
std::vector<unsigned> alone(const Camera& camera, unsigned frame, const std::string& path = model()) {
  const std::string key = path + std::to_string(camera.number()) + "/" + std::to_string(camera.width());
  auto& own = cameras_alone[key];
  if (!own) {
    own = std::make_unique<Camera>(camera.number(), properties("", path), camera.width());
    const int counted = loads;
    EXPECT_TRUE(own->rig.play());
    loads = counted;
  }
  own->push(frame);
  return own->rig.pull().value().steps;
}

enum class Equal { kExactly, kButForRounding };

/// `out` is frame `frame` as it would be alone. A batch's products are summed in blocks of another shape, so
/// that the last bits of floats differ: the network's maps by less than 2e-6 per metre (network_test.cpp),
/// which is as many steps of a millimetre as follow from a pixel's depth, and one of rounding.
void expect_frame(const Camera& camera, const Output& out, unsigned frame, Equal equal,
                  const std::string& path) {
  EXPECT_EQ(out.pts, frame * kFrame);
  const auto expected = alone(camera, frame, path);
  ASSERT_EQ(out.steps.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double steps = expected[i], most = equal == Equal::kExactly ? 0 : 1 + steps * steps * 2e-9;
    ASSERT_LE(std::abs(steps - out.steps[i]), most) << "pixel " << i << " of " << steps << " mm";
  }
}

/// The next frames that come out are these, in order.
void expect_frames(Camera& camera, unsigned first, unsigned count, Equal equal = Equal::kExactly,
                   const std::string& path = model()) {
  for (unsigned frame = first; frame < first + count; ++frame) {
    SCOPED_TRACE("camera " + std::to_string(camera.number()) + " frame " + std::to_string(frame));
    const auto out = camera.rig.pull();
    ASSERT_TRUE(out);
    expect_frame(camera, *out, frame, equal, path);
  }
}

class Sharing : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    gst_debug_remove_log_function(gst_debug_log_default);
    gst_debug_remove_log_function(count_loads);  // of --gtest_repeat
    gst_debug_add_log_function(count_loads, nullptr, nullptr);
    gst_debug_set_active(TRUE);
    gst_debug_set_threshold_for_name("rgbdcore", GST_LEVEL_INFO);
  }
  void SetUp() override { loads = 0; }
  void TearDown() override { cameras_alone.clear(); }

  Camera& add(const std::string& properties, int width = kSide, const std::string& downstream = "") {
    cameras_.push_back(
        std::make_unique<Camera>(static_cast<unsigned>(cameras_.size()), properties, width, downstream));
    return *cameras_.back();
  }
  std::vector<std::unique_ptr<Camera>> cameras_;
};

TEST_F(Sharing, EightElementsLoadOneModel) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(add(shared()).rig.play());
  for (auto& camera : cameras_) camera->push(0, 5);
  EXPECT_EQ(loads, 1);
  for (auto& camera : cameras_) expect_frames(*camera, 0, 5);
}

TEST_F(Sharing, TakesTurns) {
  constexpr unsigned kFrames = 30;
  for (int i = 0; i < 8; ++i) add(shared("leaky=none"));
  for (auto& camera : cameras_) {
    ASSERT_TRUE(camera->rig.play());
    camera->push(0, kFrames);
  }
  // When one has had its last turn, the others have had turns too, on a quiet machine about as many: one that
  // is not back in time for a turn misses it, and on a busy one many do. What the order is, engine_test
  // tells.
  for (unsigned i = 0; i < kFrames; ++i) ASSERT_TRUE(cameras_.back()->rig.pull());
  for (auto& camera : cameras_) EXPECT_GE(camera->rig.stat("refined"), kFrames / 10);
}

TEST_F(Sharing, StartsAndStopsInAnyOrder) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(add(shared()).rig.play());
  std::vector<bool> running(4, true);
  std::vector<unsigned> frame(4);
  std::mt19937 random(3);
  for (int step = 0; step < 24; ++step) {
    SCOPED_TRACE(step);
    const unsigned i =
        step == 0 ? 0 : random() % 3;  // the one that loaded the model stops first; the last one stays
    running[i] = !running[i];
    if (running[i]) frame[i] = 0;
    ASSERT_TRUE(cameras_[i]->rig.set_state(running[i] ? GST_STATE_PLAYING : GST_STATE_NULL));
    for (unsigned k = 0; k < 4; ++k) {
      if (running[k]) cameras_[k]->push(frame[k], 2);
    }
    for (unsigned k = 0; k < 4; ++k) {
      if (!running[k]) continue;
      expect_frames(*cameras_[k], frame[k], 2);
      frame[k] += 2;
    }
  }
  EXPECT_EQ(loads, 1);
}

TEST_F(Sharing, ANeighboursTroublesStayItsOwn) {
  Camera &fails = add(shared(), kSide, "identity error-after=2"), &flushes = add(shared()),
         &stops = add(shared()), &goes_on = add(shared());
  for (auto& camera : cameras_) {
    ASSERT_TRUE(camera->rig.play());
    camera->push(0, 4);
  }
  EXPECT_NE(fails.rig.error_text(), "");
  flushes.rig.begin_flush(flushes.rig.rgb());
  flushes.rig.begin_flush(flushes.rig.depth());
  ASSERT_TRUE(stops.rig.set_state(GST_STATE_READY));
  expect_frames(goes_on, 0, 4);
  flushes.rig.end_flush(flushes.rig.rgb());
  flushes.rig.end_flush(flushes.rig.depth());
  ASSERT_TRUE(stops.rig.set_state(GST_STATE_NULL));
  goes_on.push(4, 4);
  expect_frames(goes_on, 4, 4);
  EXPECT_EQ(goes_on.rig.stat("refined"), 8u);
  EXPECT_EQ(loads, 1);
}

TEST_F(Sharing, BatchesGiveWhatSinglePairsGive) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(add(shared(std::string("batch-size=4") + kHour)).rig.play());
  for (auto& camera : cameras_) camera->push(0, 6);
  for (auto& camera : cameras_) {
    expect_frames(*camera, 0, 6, Equal::kButForRounding);
    EXPECT_EQ(camera->stat("batch-avg"), 4);
    EXPECT_EQ(camera->rig.stat("batch-max"), 4u);
  }
}

TEST_F(Sharing, PairsOfDifferentSizesAreBatchedApart) {
  for (int width : {16, 32, 16, 32})
    ASSERT_TRUE(add(shared(std::string("batch-size=2") + kHour), width).rig.play());
  for (auto& camera : cameras_) camera->push(0, 6);
  for (auto& camera : cameras_) {
    expect_frames(*camera, 0, 6, Equal::kButForRounding);
    EXPECT_EQ(camera->stat("batch-avg"), 2);
  }
}

TEST_F(Sharing, ASlowNeighbourCostsTheTimeoutAndNoMore) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(shared("batch-size=3 batch-timeout=5000000")).rig.play());
  cameras_[0]->push(0, 20);
  cameras_[1]->push(0, 20);
  cameras_[2]->push(0, 2);
  for (unsigned i = 0; i < 3; ++i) expect_frames(*cameras_[i], 0, i < 2 ? 20 : 2, Equal::kButForRounding);
  EXPECT_LE(cameras_[0]->rig.stat("batch-max"), 3u);
  EXPECT_GE(cameras_[0]->stat("queue-ms-p50"), 4);  // it waited, and went on
}

TEST_F(Sharing, ACancelledPairLeavesItsBatch) {
  Camera &flushes = add(shared(std::string("batch-size=2") + kHour)),
         &stays = add(shared(std::string("batch-size=2") + kHour));
  ASSERT_TRUE(flushes.rig.play());
  ASSERT_TRUE(stays.rig.play());
  uint64_t pairs = 0;
  for (unsigned frame = 0; frame < 10; ++frame) {
    flushes.push(100 + frame);
    flushes.wait_for_pairs(++pairs);  // it waits for company now
    flushes.rig.flush_both();
    stays.push(frame);
    flushes.push(frame);
    ++pairs;
    expect_frames(flushes, frame, 1, Equal::kButForRounding);
    expect_frames(stays, frame, 1, Equal::kButForRounding);
  }
  EXPECT_EQ(flushes.rig.stat("dropped-flushed"), 10u);
  EXPECT_EQ(stays.rig.stat("dropped-flushed"), 0u);
}

TEST_F(Sharing, AStateChangeDoesNotWaitForTheBatch) {
  Camera &stops = add(shared(std::string("batch-size=2") + kHour)),
         &joins = add(shared(std::string("batch-size=2") + kHour)),
         &waited_for = add(shared(std::string("batch-size=2") + kHour));
  ASSERT_TRUE(waited_for.rig.play());
  ASSERT_TRUE(stops.rig.play());
  stops.push(0);
  stops.wait_for_pairs(1);
  EXPECT_TRUE(ends_by_itself([&] { EXPECT_TRUE(joins.rig.play()); }, [] {}));
  EXPECT_TRUE(ends_by_itself([&] { stops.rig.set_state(GST_STATE_NULL); }, [&] { joins.push(0); }));
  ASSERT_TRUE(stops.rig.play());
  stops.push(1);
  joins.push(1);
  expect_frames(stops, 1, 1, Equal::kButForRounding);
  expect_frames(joins, 1, 1, Equal::kButForRounding);
}

TEST_F(Sharing, ABatchWaitsForNobodyWhoIsNotThere) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(add(shared(std::string("batch-size=8") + kHour)).rig.play());
  for (auto& camera : cameras_) camera->push(0, 3);
  for (auto& camera : cameras_) {
    expect_frames(*camera, 0, 3, Equal::kButForRounding);
    EXPECT_EQ(camera->stat("batch-avg"), 2);
  }
  ASSERT_TRUE(cameras_[1]->rig.set_state(GST_STATE_NULL));
  cameras_[0]->push(3, 3);
  expect_frames(*cameras_[0], 3, 3);
}

TEST_F(Sharing, AStoppedElementTakesOtherOptions) {
  Camera& camera = add(shared());
  for (int i = 0; i < 20; ++i) {
    SCOPED_TRACE(i);
    camera.rig.set("input-size", i % 2 ? "28" : "42");  // its own model of before may not be gone yet
    ASSERT_TRUE(camera.rig.play());
    camera.push(0);
    ASSERT_TRUE(camera.rig.pull());
    ASSERT_TRUE(camera.rig.set_state(GST_STATE_NULL));
  }
}

TEST_F(Sharing, OtherOptionsUnderOneIdAreRefused) {
  ASSERT_TRUE(add(shared()).rig.play());
  Camera& other = add(shared("precision=fp16 optimize=false"));
  EXPECT_FALSE(other.rig.play());
  const std::string text = other.rig.error_text();
  EXPECT_NE(text.find(::testing::UnitTest::GetInstance()->current_test_info()->name()), std::string::npos)
      << text;
  EXPECT_NE(text.find("precision fp16 (not fp32)"), std::string::npos) << text;
  EXPECT_NE(text.find("optimize false (not true)"), std::string::npos) << text;
  cameras_[0]->push(0, 2);
  expect_frames(*cameras_[0], 0, 2);
}

TEST_F(Sharing, ASharedModelIsExchangedElementByElement) {
  Camera &first = add(shared()), &second = add(shared());
  ASSERT_TRUE(first.rig.play());
  ASSERT_TRUE(second.rig.play());
  unsigned frame = 0;
  auto exchange = [&](Camera& camera, const std::string& path) {
    camera.rig.set("model", path);
    // It takes over between two frames, which nobody else notices.
    while (camera.rig.count_now(GST_MESSAGE_ELEMENT) == 0) {
      camera.push(frame);
      ASSERT_TRUE(camera.rig.pull());
      ++frame;
    }
  };
  exchange(first, other_model());
  first.push(frame, 2);
  expect_frames(first, frame, 2, Equal::kExactly, other_model());
  second.push(frame, 2);
  expect_frames(second, frame, 2, Equal::kExactly, model());
  frame += 2;
  exchange(second, other_model());
  second.push(frame, 2);
  expect_frames(second, frame, 2, Equal::kExactly, other_model());
  EXPECT_EQ(loads, 2) << "the second one found it loaded";

  first.rig.set("model", "/nowhere/model");
  EXPECT_NE(first.rig.warning_text().find("/nowhere/model"), std::string::npos);
  first.push(frame + 2, 2);
  expect_frames(first, frame + 2, 2, Equal::kExactly, other_model());
}

size_t resident_pages() {
  size_t all = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  EXPECT_EQ(std::fscanf(file, "%zu %zu", &all, &resident), 2);
  std::fclose(file);
  return resident;
}

TEST_F(Sharing, TakesTheMemoryOfOneElement) {
  const std::string path = write_model("vits", 0);  // 100 MB of weights
  auto run = [&](unsigned camera) {
    cameras_[camera]->push(0, 3);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(cameras_[camera]->rig.pull());
  };
  ASSERT_TRUE(add(shared("", path)).rig.play());
  run(0);
  const size_t one = resident_pages();
  for (unsigned i = 1; i < 8; ++i) {
    ASSERT_TRUE(add(shared("", path)).rig.play());
    run(i);
  }
  const size_t eight = resident_pages();
  EXPECT_LE(static_cast<double>(eight), 1.1 * static_cast<double>(one)) << one << " pages, then " << eight;
  std::printf("resident: 1 element %zu MB, 8 elements %zu MB\n", one * 4096 >> 20, eight * 4096 >> 20);
  EXPECT_EQ(loads, 1);
}

}  // namespace
