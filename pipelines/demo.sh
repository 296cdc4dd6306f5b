#!/bin/sh
# From a fresh machine to refined depth: sets up, builds, and runs rgbdrefine in gst-launch-1.0 pipelines, on a generated
# camera and on a pair of files. Prints every command before it runs it, to be copied, and the pictures it leaves in out/.
#
#   pipelines/demo.sh
#   pipelines/demo.sh RGB DEPTH [STEPS_PER_METRE]    also on these files; DEPTH: 16-bit PNG, millimetres unless steps say else
set -eu

fail() {
  echo "demo: $*" >&2
  exit 1
}

# A word as the shell reads it back.
quoted() {
  case $1 in
    *[!A-Za-z0-9_./:+-]*) printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf %s "$1" ;;
  esac
}

case ${1-} in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0" && exit ;; esac
[ $# = 0 ] || [ $# = 2 ] || [ $# = 3 ] ||
  fail "name no file, or a colour and a depth image and perhaps the steps per metre of the depth"
if [ $# -ge 2 ]; then
  [ -f "$1" ] || fail "colour image '$1' does not exist"
  [ -f "$2" ] || fail "depth image '$2' does not exist"
  rgb=$(quoted "$(realpath "$1")")
  depth=$(quoted "$(realpath "$2")")
  steps=${3-1000}
  unit=$(awk -v steps="$steps" 'BEGIN { if (steps + 0 <= 0) exit 1; printf "%.9g", 1 / steps }') ||
    fail "steps per metre must be a number above 0, not '$steps'"
  decode=pngdec
  case $1 in *.jpg | *.jpeg | *.JPG | *.JPEG) decode="jpegdec idct-method=islow" ;; esac
fi

cd "$(dirname "$0")/.."
pipelines/setup.sh
pipelines/build.sh runtime
mkdir -p out
out=$(quoted "$PWD/out")
in_build="meson devenv -C $(quoted "$PWD/build")"
pictures=

# Runs a command of several lines, just as it prints it.
run() {
  command="$in_build $(cat)"
  printf '\n%s\n' "$command"
  sh -c "$command" || fail "that command failed: see its message above"
}
leaves() { pictures="$pictures
  $PWD/out/$1    $2"; }

# Three pictures of 640x480 in a row, whatever the sizes of the inputs.
row='compositor name=c background=black \
      sink_0::width=640 sink_0::height=480 sink_0::sizing-policy=keep-aspect-ratio \
      sink_1::width=640 sink_1::height=480 sink_1::sizing-policy=keep-aspect-ratio sink_1::xpos=640 \
      sink_2::width=640 sink_2::height=480 sink_2::sizing-policy=keep-aspect-ratio sink_2::xpos=1280 \
      ! videoconvert ! video/x-raw,format=RGB ! pngenc'

generated_camera() {
  run <<END
gst-launch-1.0 -q \\
    rgbdtestsrc name=s num-buffers=1 \\
    rgbdrefine name=r ! pngenc ! filesink location=$out/camera_refined_16bit.png \\
    s.rgb ! queue ! r.rgb \\
    s.depth ! queue ! r.depth
END
  leaves camera_refined_16bit.png "refined depth of the generated camera, 16 bits, millimetres"
  run <<END
gst-launch-1.0 -q \\
    rgbdtestsrc name=s num-buffers=1 \\
    rgbdrefine name=r \\
    $row ! filesink location=$out/camera.png \\
    s.rgb ! tee name=color \\
    s.depth ! tee name=raw \\
    color. ! queue ! r.rgb \\
    raw. ! queue ! r.depth \\
    color. ! queue ! videoconvert ! c.sink_0 \\
    raw. ! queue ! depthcolorize max-depth=6 ! videoconvert ! c.sink_1 \\
    r. ! depthcolorize max-depth=6 ! videoconvert ! c.sink_2
END
  leaves camera.png "colour, raw and refined depth of the generated camera"
}

named_files() {
  # First, because it tells best what is wrong with a file.
  run <<END
rgbd-refine --input $rgb --depth $depth --depth-scale $steps \\
    --output $out/files_2x2.png --output-depth $out/files_refined_16bit.png
END
  leaves files_refined_16bit.png "refined depth of the files, 16 bits, in the unit of the input"
  leaves files_2x2.png "colour, raw and refined depth of the files, and their difference"
  # capssetter: files do not say their unit. imagefreeze: gives a still picture the duration that compositor works by.
  run <<END
gst-launch-1.0 -q \\
    rgbdrefine name=r \\
    $row ! filesink location=$out/files.png \\
    filesrc location=$rgb ! $decode ! imagefreeze num-buffers=1 ! tee name=color \\
    filesrc location=$depth ! pngdec ! capssetter caps="video/x-raw,depth-unit=(double)$unit" \\
      ! imagefreeze num-buffers=1 ! tee name=raw \\
    color. ! queue ! videoconvert ! r.rgb \\
    raw. ! queue ! r.depth \\
    color. ! queue ! videoconvert ! c.sink_0 \\
    raw. ! queue ! depthcolorize ! videoconvert ! c.sink_1 \\
    r. ! depthcolorize ! videoconvert ! c.sink_2
END
  leaves files.png "colour, raw and refined depth of the files"
}

generated_camera
[ $# = 0 ] || named_files
printf '\nPictures:%s\n' "$pictures"
