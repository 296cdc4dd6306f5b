#!/bin/sh
# Configures and compiles in build/, after setup.sh. A build folder that cannot be continued (the tree was moved, the
# torch it was configured with is gone) is configured anew, with the options it had.
#
#   pipelines/build.sh [TARGET...]    default: everything
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "build: $*" >&2
  exit 1
}

if [ ! -f build/build.ninja ]; then
  meson setup build || fail "meson could not configure: see its last lines above"
fi
if ! log=$(ninja -C build build.ninja 2>&1); then
  echo "build: configuring anew, because: $(echo "$log" | tail -n 1)"
  meson setup --wipe build || fail "meson could not configure: see its last lines above"
fi
ninja -C build "$@" || fail "the compiler failed: see its message above"
