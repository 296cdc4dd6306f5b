#!/bin/sh
# Fuzzes what reads untrusted input, each target for so many seconds, under AddressSanitizer and
# UndefinedBehaviorSanitizer: the readers of torch zips, pickles and safetensors, and the element's caps and buffers. Exit
# code 1 as soon as one has a finding; the input that causes it is then in build-fuzz/findings. Set up and built by
# itself, in build-fuzz/ (with clang, which pipelines/setup.sh --fuzz installs).
#
#   tests/fuzz.sh SECONDS [TARGET...]     targets: torch_zip pickle safetensors element; default: all, in turn
#
# Inputs that reach new code are kept in build-fuzz/corpus, so that the next run goes on from there. A finding becomes a
# test by putting its input into tests/fuzz/findings/TARGET.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "fuzz: $*" >&2
  exit 1
}

all="torch_zip pickle safetensors element"
case ${1:-} in
  "" | *[!0-9]*) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;;
esac
seconds=$1
shift
for target in "$@"; do
  case " $all " in
    *" $target "*) ;;
    *) fail "unknown target '$target' (there are $all)" ;;
  esac
done
[ $# -gt 0 ] || eval "set -- $all"

pipelines/setup.sh --fuzz
if [ ! -f build-fuzz/build.ninja ]; then
  CC=clang CXX=clang++ meson setup build-fuzz -Dfuzz=true -Dcuda=disabled -Db_sanitize=address,undefined \
    -Db_lundef=false || fail "meson could not configure: see its last lines above"
fi
# shellcheck disable=SC2046  # a list of names
ninja -C build-fuzz $(printf 'tests/fuzz/fuzz-%s ' "$@") || fail "the compiler failed: see its message above"

fuzz() { # what libFuzzer takes
  "build-fuzz/tests/fuzz/fuzz-$target" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/findings/$target-" "$@" >>"$log" 2>&1 && return
  grep -v '^#[0-9]*	\(NEW\|REDUCE\|pulse\|RELOAD\)' "$log" | tail -n 60 >&2
  fail "$target has a finding: see above and $log"
}

mkdir -p build-fuzz/findings
for target in "$@"; do
  inputs=tests/fuzz/seeds/$target
  [ ! -d "tests/fuzz/findings/$target" ] || inputs="$inputs tests/fuzz/findings/$target"
  case $target in
    torch_zip | pickle) options="-dict=tests/fuzz/torch.dict -max_len=4096" ;;
    safetensors) options="-dict=tests/fuzz/safetensors.dict -max_len=4096" ;;
    element) options="-max_len=1024" ;;
  esac
  mkdir -p "build-fuzz/corpus/$target"
  log=build-fuzz/findings/$target.log
  : >"$log"
  # shellcheck disable=SC2086  # lists
  if [ "$target" != element ]; then
    fuzz -max_total_time="$seconds" $options "build-fuzz/corpus/$target" $inputs
  else
    # Telling GLib's leaks from ours is slow: once through all that is worth keeping, at the end.
    ASAN_OPTIONS=detect_leaks=0 fuzz -max_total_time="$seconds" $options "build-fuzz/corpus/$target" $inputs
    ASAN_OPTIONS=fast_unwind_on_malloc=0 fuzz -runs=0 -max_len=1024 "build-fuzz/corpus/$target" $inputs
  fi
  echo "fuzz: $target: $(sed -n 's/^stat::number_of_executed_units: //p' "$log" | head -n 1) inputs in $seconds s, coverage" \
    "$(sed -n 's/.*\(DONE\|INITED\) *cov: \([0-9]*\).*/\2/p' "$log" | tail -n 1), no finding"
done
