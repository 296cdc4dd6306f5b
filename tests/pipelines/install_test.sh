#!/bin/sh
# An install works by itself: plugin, program, and a program that links the library.
#
#   install_test.sh build BUILD_DIR     what is built there, installed into a temporary folder
#   install_test.sh clone SOURCE_DIR    a clone of that repository, built and installed; its demo; then it is deleted
set -eu
kind=$1
from=$2
here=$(cd "$(dirname "$0")" && pwd)

work=$(mktemp -d "${TMPDIR:-/tmp}/rgbd-install-XXXXXX")
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
fail() {
  echo "install_test: $*" >&2
  exit 1
}
skip() {
  echo "install_test: skipped: $*"
  exit 77
}

root=$work/root # DESTDIR
clone=$work/clone
case $kind in
  build)
    meson install -C "$from" --no-rebuild --quiet --destdir "$root"
    prefix=$(meson introspect "$from" --buildoptions | python3 -c '
import json, sys
print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
    ;;
  clone)
    git -C "$from" rev-parse --git-dir >/dev/null 2>&1 || skip "$from is no git repository"
    prefix=/opt/rgbd
    git clone --quiet "$from" "$clone"
    # Torch is not fetched again.
    [ ! -d "$from/.venv" ] || ln -s "$from/.venv" "$clone/.venv"
    meson setup "$clone/build" "$clone" --prefix "$prefix" -Dtests=false >"$work/log" || fail "$(tail -n 5 "$work/log")"
    ninja -C "$clone/build" >"$work/log" || fail "$(tail -n 20 "$work/log")"
    meson install -C "$clone/build" --quiet --destdir "$root"
    # The demo goes with the clone; its own pictures serve as a pair of files.
    "$clone/pipelines/demo.sh" >"$work/log" || fail "demo.sh: $(tail -n 5 "$work/log")"
    (cd "$clone/out" && ../pipelines/demo.sh camera.png camera_refined_16bit.png) >"$work/log" ||
      fail "demo.sh with files: $(tail -n 5 "$work/log")"
    for picture in camera camera_refined_16bit files files_2x2 files_refined_16bit; do
      [ -s "$clone/out/$picture.png" ] || fail "demo.sh left no $picture.png"
    done
    rm -rf "$clone"
    ;;
  *) fail "unknown kind '$kind'" ;;
esac

# Everything that points into a source or build tree goes.
unset GST_PLUGIN_PATH RGBD_LIBRARY RGBD_DATA_DIR LD_LIBRARY_PATH
export GST_REGISTRY="$work/registry.bin"
export OMP_WAIT_POLICY=passive
installed=$root$prefix
plugin=$(find "$installed" -name libgstrgbd.so)
library=$(find "$installed" -name librgbd.so.0)
[ -n "$plugin" ] || fail "no plugin"
[ -n "$library" ] || fail "no library"
for file in bin/rgbd-refine include/rgbdrefine/rgbd.h share/man/man1/rgbd-refine.1 share/rgbdrefine/rgbdrefine.safetensors; do
  [ -f "$installed/$file" ] || fail "$file is not installed"
done
case $plugin in */gstreamer-1.0/libgstrgbd.so) ;; *) fail "the plugin is at $plugin" ;; esac

ldd "$library" >"$work/needs"
! grep "not found" "$work/needs" || fail "librgbd.so cannot be loaded"
for tree in "$(cd "$here/../.." && pwd)" "$clone"; do
  ! grep -F "$tree" "$work/needs" || fail "librgbd.so still needs the source tree $tree"
done

export GST_PLUGIN_PATH="${plugin%/*}"
gst-inspect-1.0 rgbd >"$work/elements"
for element in rgbdrefine rgbdtestsrc depthcolorize; do
  grep -q "$element" "$work/elements" || fail "gst-inspect-1.0 does not list $element"
done
cd "$work"
gst-launch-1.0 -q rgbdtestsrc name=s num-buffers=1 \
  rgbdrefine name=r device=cpu ! pngenc ! filesink location=refined.png \
  s.rgb ! video/x-raw,width=160,height=120 ! tee name=rgb ! queue ! r.rgb \
  s.depth ! tee name=depth ! queue ! r.depth \
  rgb. ! queue ! pngenc ! filesink location=rgb.png \
  depth. ! queue ! videoconvert ! video/x-raw,format=GRAY16_BE ! pngenc ! filesink location=depth.png
[ -s refined.png ] || fail "gst-launch-1.0 wrote nothing"

unset GST_PLUGIN_PATH # the program finds the plugin itself
"$installed/bin/rgbd-refine" --input rgb.png --depth depth.png --device cpu --output "" --output-depth again.png
cmp refined.png again.png || fail "rgbd-refine and gst-launch-1.0 differ"

# DESTDIR stands before every path of the .pc file.
export PKG_CONFIG_PATH="${library%/*}/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
# shellcheck disable=SC2046  # a list of flags
c++ -std=c++17 -o program "$here/installed_program.cpp" $(pkg-config --cflags --libs rgbd) "-Wl,-rpath,${library%/*}"
./program | tee said
grep -q "^$installed/share/rgbdrefine/rgbdrefine.safetensors: " said || fail "another model was loaded"
echo "install_test: passed"
