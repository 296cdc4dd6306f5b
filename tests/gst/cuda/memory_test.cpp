// SPDX-License-Identifier: Apache-2.0
// Frames in CUDA memory and the context that the element shares, on a stand-in for the driver: who reads what
// where, who waits, and who lets go of what when. Needs no GPU, and takes none if there is one.
#include <cuda.h>

#include <sstream>

#include "tests/gst/cuda/fake_driver.h"
#include "tests/gst/cuda/upload.h"
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"

namespace {

using rgbd::Memory;
using rgbd::testing::context_of;
using rgbd::testing::ContextPtr;
using rgbd::testing::depth_frame;
using rgbd::testing::expect_one_context_for_two;
using rgbd::testing::frame_of;
using rgbd::testing::kFrame;
using rgbd::testing::raw;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;
using rgbd::testing::Uploader;

constexpr char kOnCuda[] = "model=fake:device=cuda:0";
constexpr int kSide = rgbd::testing::kSide;

class CudaMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!gst_cuda_load_library())
      GTEST_SKIP() << "this GStreamer asks the driver for more than the stand-in has";
    ASSERT_TRUE(fake_rgbd::reset());
    misuses_ = fake_driver::misuses();
  }
  void TearDown() override {
    fake_driver::fail_waits(false);
    ASSERT_TRUE(fake_rgbd::reset());
    EXPECT_EQ(fake_driver::misuses(), misuses_);
    EXPECT_EQ(fake_driver::allocations(), 0);
    EXPECT_EQ(fake_driver::private_contexts(), 0);
    for (int device : {0, 1}) EXPECT_EQ(fake_driver::primary_users(device), 0) << device;
  }

  static GstBuffer* in_cuda_memory(Uploader& upload, int n) {
    return upload(rgb_frame(n, static_cast<GstClockTime>(n) * kFrame));
  }
  static void push(Rig& rig, GstBuffer* rgb, int n) {
    rig.push_rgb(rgb);
    rig.push_depth(depth_frame(n, static_cast<GstClockTime>(n) * kFrame));
  }
  /// Colour frame n came out right: its first byte and the last one of its last row.
  static void expect_frame(Rig& rig, int n) {
    auto out = rig.pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->depth_number, n);
    EXPECT_EQ(out->rgb_number, n);
    EXPECT_EQ(out->steps.at(2), static_cast<unsigned>(n));
  }
  static GstBufferPool* proposed_pool(Rig& rig, const std::string& text) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), "rgb");
    GstCaps* caps = gst_caps_from_string(text.c_str());
    GstQuery* query = gst_query_new_allocation(caps, TRUE);
    GstBufferPool* pool = nullptr;
    EXPECT_TRUE(gst_pad_query(pad, query));
    if (gst_query_get_n_allocation_pools(query) > 0)
      gst_query_parse_nth_allocation_pool(query, 0, &pool, nullptr, nullptr, nullptr);
    gst_query_unref(query);
    gst_caps_unref(caps);
    gst_object_unref(pad);
    return pool;
  }

  int misuses_ = 0;
};

TEST_F(CudaMemory, OtherProgramsDoNotFindTheStandIn) {
  std::istringstream folders(g_getenv("LD_LIBRARY_PATH") ? g_getenv("LD_LIBRARY_PATH") : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    EXPECT_FALSE(fake_driver::lies_in(folder.c_str())) << folder;
}

TEST_F(CudaMemory, EveryFormatIsReadWhereItLies) {
  for (const char* format :
       {"RGB", "BGR", "RGBx", "BGRx", "RGBA", "BGRA", "ARGB", "ABGR", "NV12", "I420", "YUY2"}) {
    for (auto [width, height] : {std::pair{32, 24}, {17, 15}, {101, 34}}) {
      SCOPED_TRACE(raw(format, true, width, height));
      Rig rig(kOnCuda);
      ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
      ContextPtr context = context_of(rig.refine(), "rgb");
      ASSERT_TRUE(context);
      Uploader upload(context.get(), format, 0, width, height);
      rig.set_rgb_caps(raw(format, true, width, height));
      rig.push_rgb(upload(frame_of(raw(format, false, width, height), 7)));
      rig.push_depth(depth_frame(7, 7 * kFrame));
      ASSERT_TRUE(rig.play());
      expect_frame(rig, 7);
      rgbd::ImageView image = fake_rgbd::last_image();
      EXPECT_EQ(image.memory, Memory::kCuda);
      EXPECT_EQ(image.planes[0].stride_bytes, 512) << "of the memory, not of the caps";
      if (image.planes[1].data) {
        EXPECT_EQ(image.planes[1].data - image.planes[0].data, 512 * height);
      }
      EXPECT_EQ(rig.stat("device-to-host-copies"), 0u);
    }
  }
}

TEST_F(CudaMemory, ABufferWithoutVideoMetaLiesAsItsMemoryWasMade) {
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  ContextPtr context = context_of(rig.refine(), "rgb");
  Uploader upload(context.get(), "RGB", 0, kSide, kSide), larger(context.get(), "RGB", 0, 2 * kSide, kSide);
  rig.set_rgb_caps(raw("RGB", true, kSide, kSide));
  GstBuffer* bare = in_cuda_memory(upload, 1);
  gst_buffer_remove_meta(bare, GST_META_CAST(gst_buffer_get_video_meta(bare)));
  push(rig, bare, 1);
  bare = larger(frame_of(raw("RGB", false, 2 * kSide, kSide), 2));
  gst_buffer_remove_meta(bare, GST_META_CAST(gst_buffer_get_video_meta(bare)));
  push(rig, bare, 2);
  push(rig, in_cuda_memory(upload, 3), 3);
  ASSERT_TRUE(rig.set_state(GST_STATE_PLAYING));
  expect_frame(rig, 1);
  EXPECT_EQ(fake_rgbd::last_image().planes[0].stride_bytes, 512);
  expect_frame(rig, 3);
  EXPECT_EQ(rig.stat("dropped-bad"), 1u);
}

TEST_F(CudaMemory, TheMemoryMayChangeBetweenAnyTwoFrames) {
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.play());
  ContextPtr context = context_of(rig.refine(), "rgb");
  Uploader upload(context.get(), "RGB", 0, kSide, kSide);
  for (int n = 0; n < 30; ++n) {
    const bool cuda = n % 3 == 1;
    rig.set_rgb_caps(raw("RGB", cuda, kSide, kSide));
    push(rig, cuda ? in_cuda_memory(upload, n) : rgb_frame(n, static_cast<GstClockTime>(n) * kFrame), n);
  }
  for (int n = 0; n < 30; ++n) expect_frame(rig, n);
}

TEST_F(CudaMemory, ABufferGoesBackToItsPoolWhenTheEngineIsDoneWithIt) {
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  ContextPtr context = context_of(rig.refine(), "rgb");
  Uploader upload(context.get(), "RGB", 1, kSide, kSide);
  rig.set_rgb_caps(raw("RGB", true, kSide, kSide));
  fake_rgbd::hold_stubbornly();
  push(rig, in_cuda_memory(upload, 0), 0);
  ASSERT_TRUE(rig.play());
  ASSERT_TRUE(fake_rgbd::wait_until_busy());
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));  // cancels the pair, which the engine still works on
  EXPECT_FALSE(upload.has_free_buffer());
  fake_rgbd::release();
  gst_buffer_unref(in_cuda_memory(upload, 1));  // waits for it
}

TEST_F(CudaMemory, APipelineThatNeedsNoContextGetsNone) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull());
  EXPECT_EQ(fake_driver::primary_users(0), 0);
  EXPECT_FALSE(context_of(rig.refine(), "rgb")) << "the model runs on the CPU";
  Rig on_cpu("device=cpu");
  ASSERT_TRUE(on_cpu.set_state(GST_STATE_READY));
  EXPECT_FALSE(context_of(on_cpu.refine(), "rgb"));
}

TEST_F(CudaMemory, TheSharedContextIsThePrimaryOneAndLivesAsLongAsItIsUsed) {
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  EXPECT_EQ(fake_driver::primary_users(0), 0) << "before anyone asks";
  ContextPtr context = context_of(rig.refine(), "rgb");
  ASSERT_TRUE(context) << "decoders ask in READY";
  CUcontext primary = nullptr;
  cuDevicePrimaryCtxRetain(&primary, 0);
  EXPECT_EQ(gst_cuda_context_get_handle(context.get()), primary);
  cuDevicePrimaryCtxRelease(0);
  for (const char* pad : {"depth", "src"}) EXPECT_EQ(context_of(rig.refine(), pad).get(), context.get());
  GstMessage* message = rig.message(GST_MESSAGE_HAVE_CONTEXT);
  ASSERT_NE(message, nullptr) << "for elements that are no neighbours";
  gst_message_unref(message);
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(context_of(rig.refine(), "rgb").get(), context.get());
  EXPECT_EQ(rig.count_now(GST_MESSAGE_HAVE_CONTEXT), 0);

  GstBuffer* kept = nullptr;
  {
    Uploader upload(context.get(), "RGB", 0, kSide, kSide);
    kept = in_cuda_memory(upload, 0);
  }
  context.reset();
  ASSERT_TRUE(rig.set_state(GST_STATE_NULL));
  EXPECT_EQ(fake_driver::primary_users(0), 1) << "memory of it is left";
  gst_buffer_unref(kept);
  EXPECT_EQ(fake_driver::primary_users(0), 0);
  // And again.
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  EXPECT_EQ(fake_driver::primary_users(0), 1) << "the model runs on CUDA";
  ASSERT_TRUE(rig.set_state(GST_STATE_NULL));
  EXPECT_EQ(fake_driver::primary_users(0), 0);
}

TEST_F(CudaMemory, TheContextIsThatOfTheModelsDevice) {
  Rig rig("model=fake:device=cuda:1");
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  EXPECT_TRUE(context_of(rig.refine(), "rgb"));
  EXPECT_EQ(fake_driver::primary_users(0), 1) << "what `auto` will most likely be";
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  rig.count_now(GST_MESSAGE_HAVE_CONTEXT);  // takes them off the bus: they hold contexts
  EXPECT_EQ(fake_driver::primary_users(0), 0);
  EXPECT_EQ(fake_driver::primary_users(1), 1);
}

TEST_F(CudaMemory, MemoryOfAnotherContextOfTheDeviceIsReadInPlace) {
  ContextPtr foreign(gst_cuda_context_new(0));
  ASSERT_TRUE(foreign);
  Uploader upload(foreign.get(), "RGB", 2, kSide, kSide);
  Rig rig(kOnCuda);
  rig.set_rgb_caps(raw("RGB", true, kSide, kSide));
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 4; ++n) {
    push(rig, in_cuda_memory(upload, n), n);
    expect_frame(rig, n);
    EXPECT_EQ(fake_rgbd::last_image().memory, Memory::kCuda);
  }
  EXPECT_EQ(rig.stat("device-to-host-copies"), 0u);
}

TEST_F(CudaMemory, MemoryOfAnotherDeviceGoesThroughTheHostAndIsCounted) {
  ContextPtr foreign(gst_cuda_context_new(1));
  ASSERT_TRUE(foreign);
  Uploader upload(foreign.get(), "RGB", 2, kSide, kSide);
  Rig rig(kOnCuda);
  rig.set_rgb_caps(raw("RGB", true, kSide, kSide));
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 4; ++n) {
    push(rig, in_cuda_memory(upload, n), n);
    expect_frame(rig, n);
    EXPECT_EQ(fake_rgbd::last_image().memory, Memory::kHost);
  }
  EXPECT_EQ(rig.stat("device-to-host-copies"), 4u);
  EXPECT_EQ(rig.stat("device-to-host-bytes"), 4u * 512 * kSide);
}

TEST_F(CudaMemory, AContextThatIsSetIsTakenIfItIsThePrimaryOne) {
  CUcontext primary = nullptr;
  cuDevicePrimaryCtxRetain(&primary, 0);
  ContextPtr given(gst_cuda_context_new_wrapped(primary, 0)), foreign(gst_cuda_context_new(0));
  for (GstCudaContext* cuda : {given.get(), foreign.get()}) {
    Rig rig(kOnCuda);
    GstContext* context = gst_context_new(GST_CUDA_CONTEXT_TYPE, TRUE);
    gst_structure_set(gst_context_writable_structure(context), GST_CUDA_CONTEXT_TYPE, GST_TYPE_CUDA_CONTEXT,
                      cuda, nullptr);
    gst_element_set_context(rig.refine(), context);
    gst_context_unref(context);
    ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
    ContextPtr shared = context_of(rig.refine(), "rgb");
    ASSERT_TRUE(shared);
    EXPECT_EQ(shared.get() == cuda, cuda == given.get());
    EXPECT_EQ(gst_cuda_context_get_handle(shared.get()), primary);
  }
  given.reset();
  cuDevicePrimaryCtxRelease(0);
}

TEST_F(CudaMemory, TwoElementsOfOnePipelineShareOne) {
  expect_one_context_for_two();
}

TEST_F(CudaMemory, APoolOfTheSharedContextIsProposed) {
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  ASSERT_TRUE(rig.pull()) << "the source task, which answers, runs";
  ContextPtr context = context_of(rig.refine(), "rgb");
  GstBufferPool* pool = proposed_pool(rig, raw("NV12", true));
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(GST_CUDA_BUFFER_POOL(pool)->context, context.get());
  gst_object_unref(pool);
  EXPECT_EQ(proposed_pool(rig, raw("NV12", false)), nullptr) << "system memory";
  // GStreamer 1.22's allocator would end the process.
  EXPECT_EQ(proposed_pool(rig, raw("GRAY16_LE", true)), nullptr);
  EXPECT_EQ(proposed_pool(rig, raw("xRGB", true)), nullptr);
  EXPECT_EQ(proposed_pool(rig, "video/x-raw(memory:CUDAMemory),format=RGB"), nullptr) << "of no size";
}

#if !GST_CHECK_VERSION(1, 24, 0)
TEST_F(CudaMemory, WhatIsLeftInTheDefaultStreamIsWaitedForAndAFailureIsAnError) {
  Rig rig(kOnCuda);
  rig.set_rgb_caps(raw("RGB", true, kSide, kSide));
  ASSERT_TRUE(rig.play());
  ContextPtr context = context_of(rig.refine(), "rgb");
  Uploader upload(context.get(), "RGB", 2, kSide, kSide);
  int before = fake_driver::waits();
  push(rig, in_cuda_memory(upload, 0), 0);
  expect_frame(rig, 0);
  EXPECT_EQ(fake_driver::waits(), before + 1);
  fake_driver::fail_waits(true);
  push(rig, in_cuda_memory(upload, 1), 1);
  std::string kind = rig.error_kind();
  EXPECT_NE(kind.find("gst-library-error-quark/" + std::to_string(GST_LIBRARY_ERROR_INIT)), std::string::npos)
      << kind;
  EXPECT_NE(kind.find("CUDA_ERROR_OF_THE_STAND_IN"), std::string::npos) << kind;
}
#endif

}  // namespace
