// SPDX-License-Identifier: Apache-2.0
// What the threads of the stress test are doing, so that a hang or a warning of GLib can be told with it.
#pragma once

#include <gst/gst.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace rgbd::testing {

/// While one lives: anything that GLib or GStreamer logs as a warning or worse fails the test, and an
/// operation that does not end in a minute ends the program, after a report of all operations and elements.
class Watch {
 public:
  explicit Watch(std::string title);
  ~Watch();
  Watch(const Watch&) = delete;

  void add(GstElement* pipeline);
  void remove(GstElement* pipeline);
  /// Any thread.
  std::string report();

 private:
  friend class Doing;
  struct Operation {
    std::string name;
    std::chrono::steady_clock::time_point since;
  };
  void run();

  std::string title_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::map<const void*, Operation> operations_;  // by their Doing
  std::set<GstElement*> pipelines_;
  std::thread thread_;
};

/// Names what the current thread does until the end of the scope.
class Doing {
 public:
  Doing(Watch& watch, std::string name);
  ~Doing();
  Doing(const Doing&) = delete;

 private:
  Watch& watch_;
};

}  // namespace rgbd::testing
