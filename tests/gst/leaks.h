// SPDX-License-Identifier: Apache-2.0
// Fails a test that leaves a GStreamer object or mini object behind: GST_TRACERS=leaks, which is how Meson
// runs the tests of the elements. GST_TRACERS='leaks(stack-traces-flags=full)' also says where they were
// made.
#pragma once

#define GST_USE_UNSTABLE_API  // gsttracer.h
#include <gst/gst.h>
#include <gst/gsttracer.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace rgbd::testing {

/// GStreamer's leaks tracer; null when it does not run. Transfer full.
inline GObject* leaks_tracer() {
  GObject* found = nullptr;
  GList* tracers = gst_tracing_get_active_tracers();
  for (GList* each = tracers; each; each = each->next) {
    if (G_OBJECT_TYPE_NAME(each->data) == std::string("GstLeaksTracer"))
      found = static_cast<GObject*>(g_object_ref(each->data));
  }
  g_list_free_full(tracers, gst_object_unref);
  return found;
}

/// Aggregators and their pads, which the tracer does not see: before GStreamer 1.26 GstAggregator does not
/// call the function that would announce them.
class AggregatorWatch {
 public:
  static void start(GObject* tracer) {
    gst_tracing_register_hook(GST_TRACER(tracer), "element-add-pad", G_CALLBACK(&AggregatorWatch::on_pad));
  }
  static size_t count(std::string* names = nullptr) {
    std::lock_guard lock(self().mutex_);
    for (GstObject* object : self().alive_)
      if (names) *names += std::string("\n  ") + G_OBJECT_TYPE_NAME(object) + " " + GST_OBJECT_NAME(object);
    return self().alive_.size();
  }

 private:
  static AggregatorWatch& self() {
    static auto* instance = new AggregatorWatch;
    return *instance;
  }
  static void on_pad(GObject*, GstClockTime, GstElement* element, GstPad* pad) {
    GType base = g_type_from_name("GstAggregator");
    if (!base || !g_type_is_a(G_OBJECT_TYPE(element), base)) return;
    std::lock_guard lock(self().mutex_);
    for (GstObject* object : {GST_OBJECT(element), GST_OBJECT(pad)})
      if (self().alive_.insert(object).second) g_object_weak_ref(G_OBJECT(object), forget, nullptr);
  }
  static void forget(gpointer, GObject* object) {
    std::lock_guard lock(self().mutex_);
    self().alive_.erase(GST_OBJECT_CAST(object));
  }

  std::mutex mutex_;
  std::set<GstObject*> alive_;
};

/// How many objects are alive, but for what GStreamer itself keeps for ever. `names`: says of what type each
/// is, and where it was made if the tracer knows; reads the objects, so no other thread may let go of one
/// meanwhile.
inline size_t live_objects(GObject* tracer, std::string* names = nullptr) {
  // Freeing it would give back references that it never took: each is kept, where a leak checker finds it.
  static auto* structures = new std::vector<GstStructure*>;
  GstStructure* alive = nullptr;
  g_signal_emit_by_name(tracer, "get-live-objects", &alive);
  structures->push_back(alive);
  const GValue* list = gst_structure_get_value(alive, "live-objects-list");
  for (guint i = 0; names && i < gst_value_list_get_size(list); ++i) {
    const GstStructure* one = gst_value_get_structure(gst_value_list_get_value(list, i));
    const GValue* object = gst_structure_get_value(one, "object");
    const char* trace = gst_structure_get_string(one, "trace");
    guint references = 0;
    gst_structure_get_uint(one, "ref-count", &references);
    *names += std::string("\n  ") + G_VALUE_TYPE_NAME(object);
    if (G_VALUE_HOLDS(object, GST_TYPE_OBJECT))
      *names += std::string(" ") + GST_OBJECT_NAME(g_value_get_object(object));
    *names += ", references: " + std::to_string(references) + (trace ? std::string("\n") + trace : "");
  }
  return gst_value_list_get_size(list) + AggregatorWatch::count(names);
}

class LeakListener : public ::testing::EmptyTestEventListener {
 public:
  explicit LeakListener(std::chrono::milliseconds patience = std::chrono::seconds(10))
      : patience_(patience) {}

  void OnTestEnd(const ::testing::TestInfo&) override {
    GObject* tracer = leaks_tracer();
    if (!tracer) return;
    // Threads of GStreamer's pools give their last reference back a little later, and nothing says when.
    auto until = std::chrono::steady_clock::now() + patience_;
    size_t alive = live_objects(tracer);
    while (alive > known_ && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      alive = live_objects(tracer);
    }
    if (alive > known_) {
      std::string names;
      live_objects(tracer, &names);
      ADD_FAILURE() << "GStreamer objects were left behind:" << names;
    }
    g_object_unref(tracer);
    known_ = alive;  // said once
  }

 private:
  std::chrono::milliseconds patience_;
  size_t known_ = 0;
};

}  // namespace rgbd::testing
