#!/bin/sh
# The tests under one of the compiler's sanitizers, in a build folder of their own: build-sanitize-NAME. Exit code 0:
# every test passed, and nothing was found. What was found is in the log that Meson names.
#
#   tests/sanitize.sh address [TEST…]   AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
#   tests/sanitize.sh thread [TEST…]    ThreadSanitizer. Neither torch nor GLib is built for it, so: the core's engine
#                                       over a stand-in for torch, the elements over a stand-in for the core, and
#                                       GLib's locks told by tests/support/glib_for_tsan.cpp
set -eu
cd "$(dirname "$0")/.."

# NAME OPTION…: configures and builds build-sanitize-NAME, or builds it anew.
configure() {
  folder=build-sanitize-$1
  shift
  [ -f "$folder/build.ninja" ] || meson setup "$folder" -Db_lundef=false "$@"
}

# NAME TEST…: no time limits, since a sanitizer may be ten times slower on a busy machine.
run_tests() {
  folder=build-sanitize-$1
  shift
  # The helper program that GStreamer lists plugins with has no sanitizer, and GLib's own allocator hands memory from
  # one owner to the next unseen.
  GST_REGISTRY_FORK=no G_SLICE=always-malloc meson test -C "$folder" --timeout-multiplier 0 "$@"
}

# Not rgbdtestsrc-sensor: its threads are those of rgbdtestsrc, and its pictures, of full size, take far too long.
thread_sanitizer() {
  [ $# -gt 0 ] || set -- engine-no-torch raw-depth depthcolorize rgbdtestsrc camera-to-refine refine-pairing \
    refine-flush refine-interrupt refine-caps refine-cuda refine-cuda-memory refine-fixation refine-model refine-latency \
    refine-waiting refine-age refine-qos refine-output refine-offset refine-seek refine-bad_input refine-bad_caps refine-temporal gst-properties \
    gst-states gst-stress
  configure thread -Db_sanitize=thread
  # What libraries do that it cannot see into is not judged; threads of theirs have long histories.
  export TSAN_OPTIONS="ignore_noninstrumented_modules=1 history_size=7 second_deadlock_stack=1"
  # Where the kernel spreads addresses further than it knows, older ones refuse to start.
  if setarch "$(uname -m)" -R true 2>/dev/null; then set -- --wrapper "setarch $(uname -m) -R" "$@"; fi
  run_tests thread "$@"
}

# Not gst-plugin and gst-exceptions: their programs have no sanitizer and cannot open the plugin. Leaks that are not ours are in
# tests/support/leaks.supp. The libraries of GLib keep no frame pointers, so for the elements each allocation's stack is
# read the slow way; the core's tests would take five times as long so.
address_sanitizer() {
  configure address -Db_sanitize=address,undefined
  export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1" LSAN_OPTIONS="suppressions=$PWD/tests/support/leaks.supp"
  slow="detect_leaks=1:fast_unwind_on_malloc=0"
  if [ $# -gt 0 ]; then
    export ASAN_OPTIONS="$slow"
    run_tests address "$@"
    return
  fi
  status=0
  export ASAN_OPTIONS="detect_leaks=1"
  run_tests address network-size frames postprocess cuda-pixels device-frames holes temporal device engine engine-no-torch \
    sharing refiner checkpoint torch_zip pickle seeded ops winograd network light light-refusal light-fill light-hole-vote light-denoise \
    light-edge-snap light-kernels raw-depth || status=1
  # The first test lists the plugins, and would be blamed for what theirs leak.
  export ASAN_OPTIONS="detect_leaks=0"
  run_tests address depthcolorize >/dev/null || status=1
  export ASAN_OPTIONS="$slow"
  run_tests address depthcolorize rgbdtestsrc rgbdtestsrc-sensor camera-to-refine refine-pairing refine-flush refine-interrupt \
    refine-caps refine-cuda refine-cuda-memory refine-fixation refine-model refine-latency refine-waiting refine-age \
    refine-qos refine-output refine-offset refine-seek refine-bad_input refine-bad_caps refine-temporal gst-properties gst-states gst-leaks \
    gst-stress || status=1
  # Torch beneath the elements: the slow way takes longer than its tests wait for a frame.
  export ASAN_OPTIONS="detect_leaks=0"
  run_tests address gst-sharing refine-hole || status=1
  return $status
}

case ${1:-} in
  address)
    shift
    address_sanitizer "$@"
    ;;
  thread)
    shift
    thread_sanitizer "$@"
    ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" ;;
  *) echo "sanitize.sh: name a sanitizer (address, thread)" >&2 && exit 2 ;;
esac
