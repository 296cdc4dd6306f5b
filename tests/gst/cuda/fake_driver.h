// SPDX-License-Identifier: Apache-2.0
// A stand-in for libcuda.so.1, over host memory: GStreamer's CUDA library runs on it, so that contexts, pools
// and who lets go of what can be tested without a GPU. There are two devices. A test that links it has it
// loaded under that name, and GStreamer finds it.
#pragma once

namespace fake_driver {

#define FAKE_DRIVER_API __attribute__((visibility("default")))

/// Whether a program that looks for libcuda.so.1 in `folder` would find this driver.
FAKE_DRIVER_API bool lies_in(const char* folder);
/// How often the device's primary context is retained.
FAKE_DRIVER_API int primary_users(int device);
/// Contexts of cuCtxCreate() that are not destroyed.
FAKE_DRIVER_API int private_contexts();
/// Allocations in device memory that are not freed.
FAKE_DRIVER_API int allocations();
/// Waits for a stream.
FAKE_DRIVER_API int waits();
/// Calls without a current context, with one that is gone or with memory of another: a real driver would
/// fail, or worse.
FAKE_DRIVER_API int misuses();
/// From now on, waiting for a stream fails, as after a kernel has gone wrong; false: no more.
FAKE_DRIVER_API void fail_waits(bool fail);

}  // namespace fake_driver
