// SPDX-License-Identifier: Apache-2.0
// Colour frames in CUDA memory, with the real core on a GPU: read where they lie, they give the depth that
// the same frames in system memory give, bit by bit. Skipped where GStreamer finds no GPU.
#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <random>

#include "tests/gst/cuda/upload.h"
#include "tests/gst/environment.h"
#include "tests/support/seeded.h"

namespace {

using rgbd::testing::context_of;
using rgbd::testing::ContextPtr;
using rgbd::testing::expect_one_context_for_two;
using rgbd::testing::frame_of;
using rgbd::testing::kHeight;
using rgbd::testing::kWidth;
using rgbd::testing::noise;
using rgbd::testing::Output;
using rgbd::testing::raw;
using rgbd::testing::Rig;
using rgbd::testing::Uploader;

constexpr char kDepth[] = "video/x-raw,format=GRAY16_LE,width=64,height=48,framerate=30/1";
constexpr uint64_t kDepthBytes = 2 * kWidth * kHeight;

class CudaMemory : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Seeded weights: every pixel of the depth hangs on the colours.
    model_ = std::filesystem::temp_directory_path() / ("rgbd-cuda-gpu-test-" + std::to_string(getpid()));
    rgbd::test::write_seeded(model_.string(), "tiny");
  }
  static void TearDownTestSuite() { std::filesystem::remove(model_); }
  void SetUp() override {
    GstElementFactory* upload = gst_element_factory_find("cudaupload");
    if (!upload) GTEST_SKIP() << "GStreamer finds no NVIDIA GPU, or has no plugin nvcodec";
    gst_object_unref(upload);
  }

  static std::string properties() { return "device=cuda input-size=28 max-hole=1 model=" + model_.string(); }

  static void expect_same(const std::vector<Output>& out, const std::vector<Output>& expected) {
    ASSERT_EQ(out.size(), expected.size());
    for (size_t n = 0; n < out.size(); ++n) {
      EXPECT_EQ(out[n].pts, expected[n].pts);
      EXPECT_TRUE(out[n].steps == expected[n].steps) << "frame " << n << " differs";
    }
  }

  /// The depth of `frames` frames in system memory.
  static std::vector<Output> expected(const std::string& format, int frames, int width = kWidth,
                                      int height = kHeight) {
    Rig rig(properties());
    rig.set_rgb_caps(raw(format, false, width, height));
    rig.set_depth_caps(kDepth);
    EXPECT_TRUE(rig.play());
    for (int n = 0; n < frames; ++n) {
      rig.push_rgb(noise(format, n, width, height));
      rig.push_depth(frame_of(kDepth, n));
    }
    rig.end();
    std::vector<Output> out = rig.pull_all();
    EXPECT_GT(rig.stat("host-to-device-bytes"), static_cast<uint64_t>(frames) * kDepthBytes);
    return out;
  }

  static inline std::filesystem::path model_;
};

TEST_F(CudaMemory, EveryFormatGivesTheDepthOfSystemMemory) {
  for (const char* format :
       {"RGB", "BGR", "RGBx", "BGRx", "RGBA", "BGRA", "ARGB", "ABGR", "NV12", "I420", "YUY2"}) {
    for (auto [width, height] : {std::pair{kWidth, kHeight}, {33, 47}}) {
      // GStreamer 1.22 lays the chroma planes of I420 over each other when the height is odd.
      if (std::string(format) == "I420" && height % 2 && !GST_CHECK_VERSION(1, 24, 0)) continue;
      SCOPED_TRACE(raw(format, true, width, height));
      std::vector<Output> system = expected(format, 2, width, height);
      ASSERT_EQ(system.size(), 2u);
      ASSERT_FALSE(system[0].steps == system[1].steps) << "the colours do not matter, so nothing would show";
      Rig rig(properties());
      ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
      ContextPtr context = context_of(rig.refine(), "rgb");
      ASSERT_TRUE(context);
      Uploader upload(context.get(), format, 0, width, height);
      rig.set_rgb_caps(raw(format, true, width, height));
      rig.set_depth_caps(kDepth);
      for (int n = 0; n < 2; ++n) {
        rig.push_rgb(upload(noise(format, n, width, height)));
        rig.push_depth(frame_of(kDepth, n));
      }
      rig.end();
      ASSERT_TRUE(rig.play());
      expect_same(rig.pull_all(), system);
      EXPECT_EQ(rig.stat("host-to-device-bytes"), 2 * kDepthBytes) << "depth, and no colour";
    }
  }
}

TEST_F(CudaMemory, APoolOfTwoBuffersIsWrittenAgainOnlyWhenTheGpuHasReadIt) {
  constexpr int kFrames = 40;
  std::vector<Output> system = expected("RGBA", kFrames);
  Rig rig(properties());
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  ContextPtr context = context_of(rig.refine(), "rgb");
  ASSERT_TRUE(context);
  Uploader upload(context.get(), "RGBA", 2);
  rig.set_rgb_caps(raw("RGBA", true));
  rig.set_depth_caps(kDepth);
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < kFrames; ++n) {
    rig.push_depth(frame_of(kDepth, n));
    rig.push_rgb(upload(noise("RGBA", n)));
  }
  rig.end();
  expect_same(rig.pull_all(), system);
}

TEST_F(CudaMemory, TheMemoryMayChangeBetweenAnyTwoFrames) {
  constexpr int kFrames = 12;
  std::vector<Output> system = expected("BGRx", kFrames);
  Rig rig(properties());
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  ContextPtr context = context_of(rig.refine(), "rgb");
  ASSERT_TRUE(context);
  Uploader upload(context.get(), "BGRx");
  rig.set_depth_caps(kDepth);
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < kFrames; ++n) {
    const bool cuda = n % 3 == 1;
    rig.set_rgb_caps(raw("BGRx", cuda));
    GstBuffer* frame = noise("BGRx", n);
    rig.push_rgb(cuda ? upload(frame) : frame);
    rig.push_depth(frame_of(kDepth, n));
  }
  rig.end();
  expect_same(rig.pull_all(), system);
}

TEST_F(CudaMemory, AContextThatIsNotOursIsReadToo) {
  std::vector<Output> system = expected("RGBA", 4);
  ContextPtr foreign(gst_cuda_context_new(0));
  ASSERT_TRUE(foreign);
  Rig rig(properties());
  rig.set_rgb_caps(raw("RGBA", true));
  rig.set_depth_caps(kDepth);
  ASSERT_TRUE(rig.play());
  ContextPtr ours = context_of(rig.refine(), "rgb");
  ASSERT_TRUE(ours);
  ASSERT_NE(gst_cuda_context_get_handle(ours.get()), gst_cuda_context_get_handle(foreign.get()));
  Uploader upload(foreign.get(), "RGBA", 2);
  for (int n = 0; n < 4; ++n) {
    rig.push_depth(frame_of(kDepth, n));
    rig.push_rgb(upload(noise("RGBA", n)));
  }
  rig.end();
  expect_same(rig.pull_all(), system);
}

TEST_F(CudaMemory, TheSharedContextIsThePrimaryOneAndGoesWithTheElement) {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY);
  ASSERT_NE(driver, nullptr);
  auto retain =
      reinterpret_cast<decltype(&cuDevicePrimaryCtxRetain)>(dlsym(driver, "cuDevicePrimaryCtxRetain"));
  auto release =
      reinterpret_cast<decltype(&cuDevicePrimaryCtxRelease)>(dlsym(driver, "cuDevicePrimaryCtxRelease_v2"));
  ASSERT_TRUE(retain && release);
  Rig rig(properties());
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  GWeakRef watch;
  {
    ContextPtr context = context_of(rig.refine(), "rgb");
    ASSERT_TRUE(context) << "nvdec asks in READY";
    CUcontext primary = nullptr;
    ASSERT_EQ(retain(&primary, 0), CUDA_SUCCESS);
    EXPECT_EQ(gst_cuda_context_get_handle(context.get()), primary);
    release(0);
    EXPECT_EQ(context_of(rig.refine(), "src").get(), context.get());
    EXPECT_EQ(context_of(rig.refine(), "depth").get(), context.get());
    ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
    EXPECT_EQ(context_of(rig.refine(), "rgb").get(), context.get()) << "the model's device is the same";
    GstMessage* message = rig.message(GST_MESSAGE_HAVE_CONTEXT);
    ASSERT_NE(message, nullptr);
    gst_message_unref(message);
    g_weak_ref_init(&watch, context.get());
  }
  ASSERT_TRUE(rig.set_state(GST_STATE_NULL));
  gpointer left = g_weak_ref_get(&watch);
  EXPECT_EQ(left, nullptr);
  if (left) g_object_unref(left);
  g_weak_ref_clear(&watch);
}

TEST_F(CudaMemory, TwoElementsOfOnePipelineShareOneContext) {
  expect_one_context_for_two();
}

/// rgbdtestsrc, through cudaupload or not.
class Camera {
 public:
  Camera(const std::string& properties, int frames, bool upload) {
    std::string text =
        "rgbdtestsrc name=s seed=3 num-buffers=" + std::to_string(frames) + " rgbdrefine name=r " +
        properties + " ! video/x-raw,format=GRAY16_LE ! appsink name=out sync=false " +
        "s.rgb ! video/x-raw,format=RGBA,width=64,height=48 ! " + (upload ? "cudaupload name=up ! " : "") +
        "queue ! r.rgb s.depth ! video/x-raw,width=64,height=48 ! queue ! r.depth";
    pipeline_ = gst_parse_launch(text.c_str(), nullptr);
    EXPECT_NE(gst_element_set_state(pipeline_, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  }
  ~Camera() {
    gst_element_set_state(pipeline_, GST_STATE_NULL);
    gst_object_unref(pipeline_);
  }
  Camera(const Camera&) = delete;

  GstElement* pipeline() { return pipeline_; }
  GstElement* element(const char* name) {  // borrowed
    GstElement* found = gst_bin_get_by_name(GST_BIN(pipeline_), name);
    if (found) gst_object_unref(found);
    return found;
  }
  /// Time and bytes of the next frame.
  std::optional<std::pair<GstClockTime, std::vector<guint8>>> pull() {
    GstSample* sample = gst_app_sink_try_pull_sample(GST_APP_SINK(element("out")), 20 * GST_SECOND);
    if (!sample) return {};
    GstBuffer* buffer = gst_sample_get_buffer(sample);
    std::vector<guint8> bytes(gst_buffer_get_size(buffer));
    gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
    std::pair result{GST_BUFFER_PTS(buffer), std::move(bytes)};
    gst_sample_unref(sample);
    return result;
  }
  std::map<GstClockTime, std::vector<guint8>> pull_all() {
    std::map<GstClockTime, std::vector<guint8>> all;
    while (auto frame = pull()) all.insert(std::move(*frame));
    return all;
  }
  uint64_t stat(const char* name) {
    GstStructure* stats = nullptr;
    g_object_get(element("r"), "stats", &stats, nullptr);
    guint64 value = 0;
    EXPECT_TRUE(gst_structure_get_uint64(stats, name, &value)) << name;
    gst_structure_free(stats);
    return value;
  }

 private:
  GstElement* pipeline_;
};

TEST_F(CudaMemory, CudauploadTakesOurContextAndNoColourIsCopiedByUs) {
  constexpr int kFrames = 10;
  auto system = Camera(properties(), kFrames, false).pull_all();
  ASSERT_EQ(system.size(), size_t{kFrames});
  Camera camera(properties(), kFrames, true);
  auto first = camera.pull();
  ASSERT_TRUE(first);
  ContextPtr ours = context_of(camera.element("r"), "rgb"), theirs = context_of(camera.element("up"), "src");
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours.get(), theirs.get());
  GstPad* pad = gst_element_get_static_pad(camera.element("r"), "rgb");
  GstCaps* caps = gst_pad_get_current_caps(pad);
  EXPECT_TRUE(gst_caps_features_contains(gst_caps_get_features(caps, 0), "memory:CUDAMemory"))
      << "cudaupload passed system memory through";
  gst_caps_unref(caps);
  gst_object_unref(pad);
  auto out = camera.pull_all();
  out.insert(std::move(*first));
  EXPECT_TRUE(out == system);
  EXPECT_EQ(camera.stat("host-to-device-bytes"), kFrames * kDepthBytes) << "depth, and no colour";
}

TEST_F(CudaMemory, SeeksLandOnTheSameFrames) {
  constexpr int kFrames = 60;
  auto system = Camera(properties(), kFrames, false).pull_all();
  ASSERT_EQ(system.size(), size_t{kFrames});
  Camera camera(properties(), kFrames, true);
  ASSERT_TRUE(camera.pull());
  std::mt19937 random(5);
  for (int i = 0; i < 20; ++i) {
    unsigned n = random() % (kFrames - 1);
    SCOPED_TRACE(n);
    GstClockTime time = gst_util_uint64_scale(n, GST_SECOND, 30);
    ASSERT_TRUE(gst_element_seek_simple(
        camera.pipeline(), GST_FORMAT_TIME,
        static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE), static_cast<gint64>(time)));
    if (i % 3 == 0) continue;  // the next one comes at once
    for (unsigned k = 0; k < 2 && n + k < kFrames; ++k) {
      auto out = camera.pull();
      ASSERT_TRUE(out);
      EXPECT_EQ(out->first, gst_util_uint64_scale(n + k, GST_SECOND, 30));
      EXPECT_TRUE(out->second == system[out->first]);
    }
  }
}

}  // namespace
