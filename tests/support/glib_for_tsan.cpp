// SPDX-License-Identifier: Apache-2.0
// Tells ThreadSanitizer what GLib's and GStreamer's libraries, which are not built for it, synchronise.
// Linked into the test programs of a build with b_sanitize=thread, where these stand before the libraries'
// own functions.
//
// GLib's locks are futexes of its own, so that a correct program looks like one without locks. A lock is told
// as "acquire" of what the last one "released"; nothing else is checked about it. GLib's calls of its own
// locks do not come by here: its queues and thread pools are told by what they hand over.
#include <dlfcn.h>
#include <gst/gst.h>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

// The next function of this name, with its type.
#define REAL(name) static const auto real = reinterpret_cast<decltype(&name)>(dlsym(RTLD_NEXT, #name))

#define INTERPOSE extern "C" __attribute__((visibility("default")))

#define LOCK(name, type)            \
  INTERPOSE void name(type* lock) { \
    REAL(name);                     \
    real(lock);                     \
    __tsan_acquire(lock);           \
  }
#define TRY_LOCK(name, type)            \
  INTERPOSE gboolean name(type* lock) { \
    REAL(name);                         \
    const gboolean locked = real(lock); \
    if (locked) __tsan_acquire(lock);   \
    return locked;                      \
  }
#define UNLOCK(name, type)          \
  INTERPOSE void name(type* lock) { \
    REAL(name);                     \
    __tsan_release(lock);           \
    real(lock);                     \
  }

LOCK(g_mutex_lock, GMutex)
TRY_LOCK(g_mutex_trylock, GMutex)
UNLOCK(g_mutex_unlock, GMutex)
LOCK(g_rec_mutex_lock, GRecMutex)
TRY_LOCK(g_rec_mutex_trylock, GRecMutex)
UNLOCK(g_rec_mutex_unlock, GRecMutex)
LOCK(g_rw_lock_writer_lock, GRWLock)
TRY_LOCK(g_rw_lock_writer_trylock, GRWLock)
UNLOCK(g_rw_lock_writer_unlock, GRWLock)
LOCK(g_rw_lock_reader_lock, GRWLock)
TRY_LOCK(g_rw_lock_reader_trylock, GRWLock)
UNLOCK(g_rw_lock_reader_unlock, GRWLock)

INTERPOSE void g_cond_wait(GCond* cond, GMutex* mutex) {
  REAL(g_cond_wait);
  __tsan_release(mutex);
  real(cond, mutex);
  __tsan_acquire(mutex);
}

INTERPOSE gboolean g_cond_wait_until(GCond* cond, GMutex* mutex, gint64 end_time) {
  REAL(g_cond_wait_until);
  __tsan_release(mutex);
  const gboolean in_time = real(cond, mutex, end_time);
  __tsan_acquire(mutex);
  return in_time;
}

// (g_once_init_enter) is a macro over the function of the same name; its first look is an atomic load, which
// the compiler has told about.
INTERPOSE void(g_once_init_leave)(volatile void* location, gsize result) {
  REAL(g_once_init_leave);
  __tsan_release(const_cast<void*>(location));
  real(location, result);
}

// Whoever drops the last reference sees what the others did before they dropped theirs. Told before the call,
// since the object is gone after it.
#define UNREF(name, type)            \
  INTERPOSE void name(type object) { \
    REAL(name);                      \
    __tsan_release(object);          \
    __tsan_acquire(object);          \
    real(object);                    \
  }
UNREF(g_object_unref, gpointer)
UNREF(gst_object_unref, gpointer)
UNREF(gst_mini_object_unref, GstMiniObject*)

// What comes out of a pool was put back by whoever had it last.
INTERPOSE GstFlowReturn gst_buffer_pool_acquire_buffer(GstBufferPool* pool, GstBuffer** buffer,
                                                       GstBufferPoolAcquireParams* params) {
  REAL(gst_buffer_pool_acquire_buffer);
  const GstFlowReturn flow = real(pool, buffer, params);
  if (flow == GST_FLOW_OK) __tsan_acquire(*buffer);
  return flow;
}

namespace {
struct PoolFunction {
  GFunc function;
  gpointer user_data;
};
void run_in_pool(gpointer data, gpointer function) {
  __tsan_acquire(data);
  static_cast<PoolFunction*>(function)->function(data, static_cast<PoolFunction*>(function)->user_data);
}
}  // namespace

INTERPOSE GThreadPool* g_thread_pool_new(GFunc function, gpointer user_data, gint most, gboolean exclusive,
                                         GError** error) {
  REAL(g_thread_pool_new);
  return real(run_in_pool, new PoolFunction{function, user_data}, most, exclusive,
              error);  // as long as the pool
}

INTERPOSE gboolean g_thread_pool_push(GThreadPool* pool, gpointer data, GError** error) {
  REAL(g_thread_pool_push);
  __tsan_release(data);
  return real(pool, data, error);
}
