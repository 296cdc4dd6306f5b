#!/bin/sh
# Sets up, builds and runs the tests; the last line counts them. Exit code 0 only if every one passed or was skipped
# with a reason.
#
#   tests/run.sh          the suites core, gst and pipelines
#   tests/run.sh --all    also the long ones (vitl and vitg: 10 GB of memory; an install into a folder of its own;
#                         four minutes of fuzzing, for which clang is installed)
set -eu
cd "$(dirname "$0")/.."

suites="--suite core --suite gst --suite pipelines"
for argument in "$@"; do
  case $argument in
    --all) suites="$suites --suite long" ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0" && exit ;;
    *) echo "run.sh: unknown option '$argument' (there is --all)" >&2 && exit 2 ;;
  esac
done

# Whatever goes wrong, the count comes last.
give_up() {
  echo "run.sh: $1" >&2
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

pipelines/setup.sh || give_up "setting up failed"
pipelines/build.sh || give_up "building failed"

rm -f build/meson-logs/testlog.json
# Tests run side by side: threads that wait by spinning, OpenMP's default, would take each other's cores. The limits
# only catch a test that hangs; ten times Meson's leave room for a slow or busy machine.
# shellcheck disable=SC2086  # a list of options
OMP_WAIT_POLICY=passive meson test -C build --no-rebuild --timeout-multiplier 10 $suites && status=0 || status=$?
python3 tests/summary.py build/meson-logs/testlog.json "$status"
