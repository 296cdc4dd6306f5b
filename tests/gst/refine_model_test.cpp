// SPDX-License-Identifier: Apache-2.0
// Loading a model, exchanging it while frames flow, and what the bus says when either fails.
#include <atomic>
#include <cstdlib>
#include <future>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::ends_by_itself;
using rgbd::testing::kDepthBase;
using rgbd::testing::Rig;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Model : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }
  void TearDown() override {
    fake_rgbd::release();
    fake_rgbd::release_loads();
  }

  /// Pair n through the model; what it added to the depth.
  static int added(Rig& rig, int n) {
    rig.push_pair(n);
    auto out = rig.pull();
    EXPECT_TRUE(out) << n;
    return out ? static_cast<int>(out->steps.back()) - kDepthBase - n : -1;
  }
  /// Pushes pairs from n on until one comes out with `wanted` added. Every pair must come out, with either.
  static int run_until_added(Rig& rig, int n, int before, int wanted) {
    for (int last = n + 5000; n < last; ++n) {
      int got = added(rig, n);
      if (got == wanted) return n + 1;
      EXPECT_EQ(got, before);
      if (got != before) break;
    }
    ADD_FAILURE() << "no pair went through the new model";
    return n;
  }
  struct Updated {
    std::string model, error;
  };
  static Updated updated(Rig& rig) {
    GstMessage* message = rig.message(GST_MESSAGE_ELEMENT);
    EXPECT_NE(message, nullptr);
    if (!message) return {};
    const GstStructure* s = gst_message_get_structure(message);
    EXPECT_TRUE(gst_structure_has_name(s, "rgbd-model-updated"));
    auto text = [&](const char* field) {
      const char* value = gst_structure_get_string(s, field);
      return std::string(value ? value : "");
    };
    Updated result{text("model"), text("error")};
    gst_message_unref(message);
    return result;
  }
  static std::string model_of(Rig& rig) {
    gchar* value = nullptr;
    g_object_get(rig.refine(), "model", &value, nullptr);
    std::string text = value ? value : "";
    g_free(value);
    return text;
  }
};

TEST_F(Model, IsLoadedInPausedAndLetGoInReady) {
  Rig rig;
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(1));
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
}

TEST_F(Model, AMissingFileIsNotFoundWithItsPath) {
  Rig rig("model=/there/is/none.pth");
  ASSERT_TRUE(rig.set_state(GST_STATE_READY)) << "only PAUSED loads it";
  EXPECT_FALSE(rig.set_state(GST_STATE_PAUSED));
  std::string kind = rig.error_kind();
  EXPECT_TRUE(contains(kind, "gst-resource-error-quark/" + std::to_string(GST_RESOURCE_ERROR_NOT_FOUND)))
      << kind;
  EXPECT_TRUE(contains(kind, "/there/is/none.pth")) << kind;
}

TEST_F(Model, AFileThatIsNoCheckpointIsAReadError) {
  Rig rig("model=fake:bad");
  EXPECT_FALSE(rig.play());
  std::string kind = rig.error_kind();
  EXPECT_TRUE(contains(kind, "gst-resource-error-quark/" + std::to_string(GST_RESOURCE_ERROR_READ))) << kind;
  EXPECT_TRUE(contains(kind, "fake:bad")) << kind;
  // Repaired, the same element goes.
  rig.set_state(GST_STATE_NULL);
  rig.set("model", "fake:add=2");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 2);
}

TEST_F(Model, OneThatFailsToWarmUpIsLetGo) {
  // On a busy machine the pair may be too old at its turn, and one half of it late for the other.
  Rig rig("leaky=none sync-mode=order", "", true);
  fake_rgbd::fail_next(rgbd::ErrorCode::kOutOfMemory);
  EXPECT_FALSE(rig.play());
  EXPECT_TRUE(contains(rig.error_text(), "told to fail"));
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
  rig.set("model", "fake:add=2");  // no exchange: nothing runs
  rig.set_state(GST_STATE_NULL);
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 2);
}

TEST_F(Model, AnUnknownDeviceIsAnErrorWithItsName) {
  Rig rig("device=cuda:7");
  EXPECT_FALSE(rig.play());
  std::string kind = rig.error_kind();
  EXPECT_TRUE(contains(kind, "gst-library-error-quark/" + std::to_string(GST_LIBRARY_ERROR_INIT))) << kind;
  EXPECT_TRUE(contains(kind, "cuda:7")) << kind;
}

TEST_F(Model, AMissingCoreLibrarySaysWhatToInstall) {
  std::string good = std::getenv("RGBD_LIBRARY");
  for (const char* bad : {"/nowhere/librgbd.so", "libgstreamer-1.0.so.0"}) {
    SCOPED_TRACE(bad);
    setenv("RGBD_LIBRARY", bad, 1);
    Rig rig;
    EXPECT_FALSE(rig.set_state(GST_STATE_READY));
    std::string text = rig.error_text();
    EXPECT_TRUE(contains(text, bad)) << text;
    EXPECT_TRUE(contains(text, "./pipelines/setup.sh")) << text;
    EXPECT_TRUE(contains(text, "RGBD_LIBRARY")) << text;
    // Set up meanwhile, the same element goes.
    setenv("RGBD_LIBRARY", good.c_str(), 1);
    rig.set_state(GST_STATE_NULL);
    ASSERT_TRUE(rig.play());
    EXPECT_EQ(added(rig, 0), 0);
  }
}

TEST_F(Model, FallBacksAreWarningsWordForWord) {
  Rig rig("model=\"fake:warn=BF16 only supported on CUDA - falling back to FP32\"");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(rig.warning_text(), "BF16 only supported on CUDA - falling back to FP32");
}

TEST_F(Model, IsExchangedBetweenTwoFramesAndNoFrameIsLost) {
  Rig rig("model=fake:add=1");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 1);
  rig.set("model", "fake:add=4");
  int n = run_until_added(rig, 1, 1, 4);
  EXPECT_EQ(added(rig, n), 4) << "and stays";
  Updated message = updated(rig);
  EXPECT_EQ(message.model, "fake:add=4");
  EXPECT_EQ(message.error, "");
  EXPECT_GT(fake_rgbd::warm_ups(), 0u) << "warmed up beside the running one";
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(1));
  GstStructure* stats = nullptr;
  g_object_get(rig.refine(), "stats", &stats, nullptr);
  EXPECT_STREQ(gst_structure_get_string(stats, "model"), "fake:add=4");
  gst_structure_free(stats);
}

TEST_F(Model, ABadFileKeepsTheOldModel) {
  for (const char* bad : {"/there/is/none.pth", "fake:bad"}) {
    SCOPED_TRACE(bad);
    Rig rig("model=fake:add=1");
    ASSERT_TRUE(rig.play());
    EXPECT_EQ(added(rig, 0), 1);
    rig.set("model", bad);
    std::string warning = rig.warning_text();
    EXPECT_TRUE(contains(warning, bad)) << warning;
    Updated message = updated(rig);
    EXPECT_EQ(message.model, bad);
    EXPECT_TRUE(contains(message.error, bad)) << message.error;
    for (int n = 1; n < 4; ++n) EXPECT_EQ(added(rig, n), 1);
    EXPECT_EQ(model_of(rig), "fake:add=1");
    // Stopped and started, it is still the old one.
    rig.set_state(GST_STATE_READY);
    ASSERT_TRUE(rig.play());
    EXPECT_EQ(added(rig, 0), 1);
  }
}

TEST_F(Model, FramesFlowWhileAnotherModelLoads) {
  Rig rig("model=fake:add=1");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 1);
  fake_rgbd::hold_loads();
  EXPECT_TRUE(ends_by_itself([&] { rig.set("model", "fake:add=4"); }, fake_rgbd::release_loads))
      << "setting the property does not wait for the load";
  ASSERT_TRUE(fake_rgbd::wait_until_loading());
  for (int n = 1; n < 10; ++n) EXPECT_EQ(added(rig, n), 1);
  fake_rgbd::release_loads();
  run_until_added(rig, 10, 1, 4);
}

TEST_F(Model, OfTwoExchangesTheLastOneCounts) {
  Rig rig("model=fake:add=1");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 1);
  fake_rgbd::hold_loads();
  rig.set("model", "fake:add=2");
  ASSERT_TRUE(fake_rgbd::wait_until_loading());
  rig.set("model", "fake:add=3");
  fake_rgbd::release_loads();
  int n = run_until_added(rig, 1, 1, 3);
  for (int last = n + 20; n < last; ++n) EXPECT_EQ(added(rig, n), 3);
  EXPECT_EQ(updated(rig).model, "fake:add=3") << "not a word about the one in between";
  EXPECT_EQ(model_of(rig), "fake:add=3");
}

TEST_F(Model, SetWhileTheFirstOneLoadsItIsNotLost) {
  Rig rig("model=fake:add=1");
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  fake_rgbd::hold_loads();
  std::future<bool> done = std::async(std::launch::async, [&] { return rig.play(); });
  ASSERT_TRUE(fake_rgbd::wait_until_loading());
  rig.set("model", "fake:add=7");
  fake_rgbd::release_loads();
  ASSERT_TRUE(done.get());
  run_until_added(rig, 0, 1, 7);
  EXPECT_EQ(model_of(rig), "fake:add=7");
}

TEST_F(Model, AfterTwoBadFilesThePropertyNamesTheModelThatRuns) {
  Rig rig("model=fake:add=1");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 1);
  std::atomic<int> told = 0;
  auto count = +[](GObject*, GParamSpec*, std::atomic<int>* counter) { ++*counter; };
  g_signal_connect(rig.refine(), "notify::model", G_CALLBACK(count), &told);
  fake_rgbd::hold_loads();
  rig.set("model", "/there/is/none");
  ASSERT_TRUE(fake_rgbd::wait_until_loading());
  rig.set("model", "fake:bad");
  fake_rgbd::release_loads();
  EXPECT_EQ(updated(rig).model, "fake:bad");
  EXPECT_EQ(model_of(rig), "fake:add=1");
  EXPECT_EQ(told, 3) << "set, set and restored";
  for (int n = 1; n < 4; ++n) EXPECT_EQ(added(rig, n), 1);
}

TEST_F(Model, AnExchangeLeavesWhatActsBelowPausedAlone) {
  Rig rig("model=fake:add=1 input-size=28");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 1);
  rig.set("device", "cuda");  // which there is not
  rig.set("input-size", "56");
  rig.set("model", "fake:add=4");
  run_until_added(rig, 1, 1, 4);
  EXPECT_EQ(fake_rgbd::last_options().input_size, 28u);
  rig.set("device", "auto");
  rig.set_state(GST_STATE_READY);
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(fake_rgbd::last_options().input_size, 56u) << "now it acts";
}

TEST_F(Model, ThePairInTheEngineEndsWithTheModelItBeganWith) {
  Rig rig("model=fake:add=1");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 1);
  fake_rgbd::hold();
  rig.push_pair(1);
  ASSERT_TRUE(fake_rgbd::wait_until_busy());
  rig.set("model", "fake:add=4");
  fake_rgbd::release();
  auto out = rig.pull();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->steps.back(), kDepthBase + 1 + 1u);
  run_until_added(rig, 2, 1, 4);
}

TEST_F(Model, StoppingDuringAnExchangeWaitsForNothing) {
  {
    Rig rig("model=fake:add=1");
    ASSERT_TRUE(rig.play());
    EXPECT_EQ(added(rig, 0), 1);
    fake_rgbd::hold_loads();
    rig.set("model", "fake:add=4");
    ASSERT_TRUE(fake_rgbd::wait_until_loading());
    EXPECT_TRUE(ends_by_itself([&] { rig.set_state(GST_STATE_NULL); }, fake_rgbd::release_loads));
    EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
    fake_rgbd::release_loads();
    ASSERT_TRUE(rig.play());
    EXPECT_EQ(added(rig, 0), 4) << "the next start takes what was asked for";
  }
}

TEST_F(Model, SetWhileStoppedItCountsAtTheNextStart) {
  Rig rig("model=fake:add=1");
  rig.set("model", "fake:add=2");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 2);
  rig.set_state(GST_STATE_READY);
  rig.set("model", "fake:add=3");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 3);
  EXPECT_EQ(rig.count_now(GST_MESSAGE_ELEMENT), 0) << "no exchange took place";
}

TEST_F(Model, APairThatTheEngineRefusesIsPassedOver) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(added(rig, 0), 0);
  fake_rgbd::fail_next(rgbd::ErrorCode::kInvalidArgument);
  rig.push_pair(1);
  EXPECT_EQ(added(rig, 2), 0);
  EXPECT_EQ(rig.stat("dropped-bad"), 1u);
  EXPECT_TRUE(contains(rig.warning_text(), "told to fail"));
}

TEST_F(Model, AFailingEngineEndsTheStreamWithAnError) {
  struct {
    rgbd::ErrorCode code;
    std::string kind;
  } const cases[] = {
      {rgbd::ErrorCode::kInternal, "gst-library-error-quark/" + std::to_string(GST_LIBRARY_ERROR_FAILED)},
      {rgbd::ErrorCode::kDevice, "gst-library-error-quark/" + std::to_string(GST_LIBRARY_ERROR_INIT)},
      {rgbd::ErrorCode::kOutOfMemory,
       "gst-resource-error-quark/" + std::to_string(GST_RESOURCE_ERROR_NO_SPACE_LEFT)}};
  for (const auto& c : cases) {
    Rig rig;
    ASSERT_TRUE(rig.play());
    EXPECT_EQ(added(rig, 0), 0);
    fake_rgbd::fail_next(c.code);
    rig.push_pair(1);
    std::string kind = rig.error_kind();
    EXPECT_TRUE(contains(kind, c.kind)) << kind;
    EXPECT_TRUE(contains(kind, "told to fail")) << kind;
  }
}

}  // namespace
