#!/bin/sh
# Live cameras that share one model, for so many minutes: a JSON line each minute (resident memory; of each camera the
# age of its depth from capture to output, frames a second, drops by reason, frames that its sink found more than
# 20 ms late), then a verdict, with the first frame's age over the usual one, and how far the oddest
# minute was off it. Exit code 0: everything stayed flat after the first minute: memory grew by less than 1 %, and the
# median age by no more than 10 % from the first third of the minutes to the last.
#
#   tests/soak.sh MINUTES [--size WxH] [--fps N] [--cameras N] [--model FILE] [--minute SECONDS]
#
# MINUTES: at least 3, since the first one starts up, and of one alone nothing can be said. --minute: seconds that a
# minute has, 60; fewer for a quick try. Defaults: two cameras of 160x120 at 15 frames a second, which two cores carry
# beside rendering them. For figures let nothing else run. BUILD=FOLDER: a build folder that is configured already,
# instead of build/.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "soak.sh: $* (-h helps)" >&2
  exit 2
}

for argument in "${1:---help}" "$@"; do
  case $argument in
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;;
  esac
done

# Before what takes minutes; the program itself looks at the values.
check() {
  minutes=""
  while [ $# -gt 0 ]; do
    case $1 in
      --size | --fps | --cameras | --model | --minute)
        [ $# -gt 1 ] || fail "$1 needs a value"
        shift
        ;;
      "" | *[!0-9]*) fail "'$1' is no number of minutes and no option" ;;
      *)
        [ -z "$minutes" ] || fail "two numbers of minutes, $minutes and $1"
        minutes=$1
        ;;
    esac
    shift
  done
  [ "${minutes:-0}" -ge 3 ] || fail "MINUTES has to be 3 or more"
}
check "$@"

if [ -z "${BUILD:-}" ]; then
  BUILD=build
  pipelines/setup.sh
  pipelines/build.sh runtime tests/soak
else
  ninja -C "$BUILD" runtime tests/soak
fi >&2
exec meson devenv -C "$BUILD" tests/soak "$@"
