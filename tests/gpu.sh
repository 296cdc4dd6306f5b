#!/bin/sh
# Everything that needs a GPU, in steps that can be split over several runs. What is measured goes into OUT as JSON
# lines (results.jsonl), what is checked as text; each step prints how long it took. Exit code 1: a step failed, and
# the last line says which.
#
#   tests/gpu.sh [OPTION…] STEP…
#
# Steps, in the order to run them:
#   build      the library, the plugin, the tools and the tests on the GPU
#   tests      the tests that need a GPU
#   parity     the network against the published one's answers (needs --golden; --samples for whole pairs)
#   bench      stage by stage: each encoder and the embedded model, three precisions, optimised and plain
#   peer       the Python program in the same run (needs --peer)
#   element    whole pipelines, from system and CUDA memory; four elements on one model; how many live cameras
#   samples    real pairs: optimised against plain in fp32, fp16 against fp32 (needs --samples); the PNG files as tar
#   cpu        the processor's rows of the table; the Python program's too, with --peer
#   sanitizer  compute-sanitizer's memcheck and racecheck over small networks and the element
#   table      the tables of all results so far
#
# Options: --out OUT (default: gpu-results), --golden FOLDER, --samples FOLDER, --peer FOLDER (that holds rgbddepth/),
# --encoders "vitl vitb vits", --device cuda, --repeats N (of every measurement; default: 200, Python's 100).
# BUILD=FOLDER: the build folder, build. Seeded checkpoints (vitl: 2.6 GB) are kept in RGBD_GPU_WORK, /tmp/rgbd-gpu.
set -eu
cd "$(dirname "$0")/.."

out=gpu-results golden="" samples="" peer="" encoders="vitl vitb vits" device=cuda repeats=""
BUILD=${BUILD:-build}
work=${RGBD_GPU_WORK:-/tmp/rgbd-gpu}
failed=""

usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}
stop() {
  echo "gpu.sh: $* (-h helps)" >&2
  exit 2
}

# What fails is told, and the step goes on: what comes after may still be worth its time.
run() {
  "$@" && return
  echo "gpu.sh: exit code $?: $*" >&2
  step_failed=yes
}
measure() {
  run "$@" >>"$out/results.jsonl"
}
inside() {
  meson devenv -C "$BUILD" "$@"
}
bench() {
  # shellcheck disable=SC2086  # an option or nothing
  measure "$BUILD/tests/bench" --device "$device" ${repeats:+--repeats $repeats} "$@"
}
element() {
  # shellcheck disable=SC2086
  measure inside tests/bench-element --device "$device" ${repeats:+--repeats $repeats} "$@"
}

# ENCODER|embedded: its file's path.
model() {
  if [ "$1" = embedded ]; then
    echo "$PWD/core/model/rgbdrefine.safetensors"
    return
  fi
  mkdir -p "$work"
  # Under its name only when it is whole.
  if [ ! -f "$work/$1.ckpt" ]; then
    "$BUILD/tests/bench" --encoder "$1" --write "$work/$1.part.ckpt" && mv "$work/$1.part.ckpt" "$work/$1.ckpt"
  fi
  echo "$work/$1.ckpt"
}

# The `names` of the tests that have to do with CUDA, or the `files` that they need built.
gpu_tests() {
  python3 - "$1" "$(realpath "$BUILD")" <<'PYTHON'
import json, os, subprocess, sys
kind, build = sys.argv[1:]
def introspect(what):
    return json.loads(subprocess.check_output(["meson", "introspect", build, what]))
tests = [test for test in introspect("--tests") if "cuda" in test["name"]]
files = {target["id"]: target["filename"] for target in introspect("--targets")}
needed = {file for test in tests for target in test["depends"] for file in files[target]}
for word in [test["name"] for test in tests] if kind == "names" else sorted(needed):
    print(os.path.relpath(word, build) if kind == "files" else word)
PYTHON
}

step_build() {
  if [ ! -f "$BUILD/build.ninja" ]; then
    # For this GPU alone, which is faster than for all.
    chip=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
    run meson setup "$BUILD" -Dcuda=enabled -Dgpu_chips="$chip"
  fi
  # shellcheck disable=SC2046  # one word each
  run ninja -C "$BUILD" runtime tests/parity tests/bench tests/bench-element tests/compare-depth $(gpu_tests files)
}

step_tests() {
  # shellcheck disable=SC2046
  run meson test -C "$BUILD" --no-rebuild --verbose --timeout-multiplier 10 $(gpu_tests names) >"$out/tests.txt"
  grep -E "^\[ +(FAILED|SKIPPED|PASSED)|: Failure|^(Ok|Fail|Timeout|Skipped)" "$out/tests.txt" || true
}

step_parity() {
  [ -n "$golden" ] || stop "parity needs --golden FOLDER"
  for encoder in $encoders; do
    files=$(echo "$golden/net-$encoder"-*.safetensors)
    pairs=""
    if [ "$encoder" = vits ] && [ -n "$samples" ]; then
      files="$files $golden/pair-vits-azure_kinect-00.safetensors $golden/pair-vits-cdm_original-12.safetensors"
      pairs="--pair $samples/azure_kinect/00_rgb.png $samples/azure_kinect/00_depth.png 1000
             --pair $samples/cdm_original/color_12.png $samples/cdm_original/depth_12.png 1000"
    fi
    for precision in fp32 fp16 bf16; do
      for how in "" --no-optimize; do
        echo "# $encoder $precision ${how:-optimised}"
        # shellcheck disable=SC2086  # lists of files
        run "$BUILD/tests/parity" --encoder "$encoder" --checkpoint "$(model "$encoder")" $files $pairs \
          --device "$device" --precision $precision $how
      done
    done
  done >>"$out/parity.txt"
  cat "$out/parity.txt"
}

step_bench() {
  for encoder in $encoders embedded; do
    file=$(model "$encoder")
    for precision in fp16 bf16 fp32; do
      bench --model "$file" --precision $precision --only load,network
      bench --model "$file" --precision $precision --only network --no-optimize
    done
    # What is around the network, and where its time goes.
    bench --model "$file" --precision fp16 --only preprocess,postprocess,pair,pair-device,flow,flow-device \
      --sharers 4 --batch-size 4
    bench --model "$file" --precision fp16 --only nothing --profile
    bench --model "$file" --precision fp32 --only nothing --profile
  done
}

step_peer() {
  [ -n "$peer" ] || stop "peer needs --peer FOLDER"
  for encoder in $encoders; do
    # Compiling takes half a minute a variant.
    variants=plain-fp32,plain-fp16,compiled-fp16
    [ "$encoder" != vitl ] || variants=plain-fp32,plain-fp16,plain-bf16,sdpa-fp16,compiled-fp16,compiled-bf16,compiled-fp32
    measure python3 tests/peer_bench.py "$peer" --encoder "$encoder" --device "$device" --only "$variants" \
      --repeats "${repeats:-100}"
  done
}

step_element() {
  for encoder in ${encoders%% *} embedded; do
    file=$(model "$encoder")
    cat "$file" >/dev/null # into the page cache
    for memory in system cuda; do
      element --model "$file" --precision fp16 --memory $memory
    done
    for batch in 1 4; do
      element --model "$file" --precision fp16 --memory cuda --elements 4 --batch-size $batch
    done
    element --model "$file" --precision fp16 --memory cuda --batch-size 4 --cameras
  done
}

# Pairs NN_rgb.* and NN_depth.png (millimetres) as one numbered sequence: the model is loaded once.
number_samples() {
  rm -rf "$work/pairs" && mkdir -p "$work/pairs"
  : >"$work/pairs/list"
  n=0
  for depth in "$samples"/*/*_depth.png; do
    rgb=$(echo "${depth%_depth.png}"_rgb.*)
    [ -f "$rgb" ] || continue
    number=$(printf %05d $n)
    # The program goes by what is in a file, not by its name.
    ln -s "$(realpath "$rgb")" "$work/pairs/rgb_$number.png"
    ln -s "$(realpath "$depth")" "$work/pairs/depth_$number.png"
    folder=${depth%/*}
    name=${depth##*/}
    echo "$number ${folder##*/}/${name%_depth.png}" >>"$work/pairs/list"
    n=$((n + 1))
  done
  [ $n -gt 0 ] || stop "no pairs FOLDER/NN_rgb.* and FOLDER/NN_depth.png in $samples"
}

# NAME OPTION…: $work/NAME/FOLDER/NN.png, as tests of depth quality want them.
refine_samples() {
  name=$1
  shift
  rm -rf "${work:?}/$name" && mkdir -p "$work/$name"
  run inside rgbd-refine --input "$work/pairs/rgb_%05d.png" --depth "$work/pairs/depth_%05d.png" --output "" \
    --output-depth "$work/$name/%05d.png" --device "$device" "$@" >/dev/null 2>"$work/$name.err"
  tail -n 5 "$work/$name.err" >&2
  while read -r number pair; do
    [ -f "$work/$name/$number.png" ] || continue # told above
    mkdir -p "$work/$name/${pair%/*}"
    run mv "$work/$name/$number.png" "$work/$name/$pair.png"
  done <"$work/pairs/list"
  run tar -C "$work" -cf "$out/samples-$name.tar" "$name"
}

step_samples() {
  [ -n "$samples" ] || stop "samples needs --samples FOLDER"
  number_samples
  refine_samples fp32-plain --precision fp32 --no-optimize
  refine_samples fp32 --precision fp32
  refine_samples fp16 --precision fp16
  measure "$BUILD/tests/compare-depth" "fp32 optimised, plain" "$work/fp32" "$work/fp32-plain"
  measure "$BUILD/tests/compare-depth" "fp16, fp32" "$work/fp16" "$work/fp32"
}

step_cpu() {
  for encoder in $encoders embedded; do
    file=$(model "$encoder")
    for how in "" --no-optimize; do
      # shellcheck disable=SC2086
      measure "$BUILD/tests/bench" --model "$file" --device cpu --only network --repeats "${repeats:-5}" $how
    done
    if [ -z "$peer" ] || [ "$encoder" = embedded ]; then continue; fi
    measure python3 tests/peer_bench.py "$peer" --encoder "$encoder" --device cpu --only plain-fp32,sdpa-fp32 \
      --repeats "${repeats:-3}"
  done
}

# The caching allocator would hide a read past the end of a tensor, so memcheck runs without it too; graphs, which
# cannot be captured then, are checked with it.
step_sanitizer() {
  for tool in memcheck racecheck; do
    for precision in fp16 fp32; do
      for encoder in tiny vits; do
        set -- "$(realpath "$BUILD")/tests/parity" --encoder $encoder --precision $precision --samples 126x168 \
          --device "$device"
        sanitize "$tool" "$@"
        [ "$tool" != memcheck ] || sanitize "$tool" env PYTORCH_NO_CUDA_MEMORY_CACHING=1 "$@"
      done
    done
    for memory in system cuda; do
      sanitize "$tool" "$(realpath "$BUILD")/tests/bench-element" --device "$device" --precision fp16 \
        --memory $memory --frame 160x120 --elements 2 --batch-size 2 --warm-up 2 --repeats 4
    done
  done
}
# TOOL COMMAND…
sanitize() {
  checker=$1
  shift
  echo "# $checker: $*" | tee -a "$out/sanitizer.txt"
  run inside compute-sanitizer --tool "$checker" --target-processes all --error-exitcode 1 "$@" >>"$out/sanitizer.txt" 2>&1
  grep -h "SUMMARY" "$out/sanitizer.txt" | tail -n 1
}

step_table() {
  run python3 tests/bench_table.py "$out/results.jsonl" >"$out/tables.md"
  cat "$out/tables.md"
}

steps=""
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit ;;
    --out | --golden | --samples | --peer | --encoders | --device | --repeats)
      [ $# -gt 1 ] || stop "$1 needs a value"
      case $1 in
        --out) out=$2 ;;
        --golden) golden=$2 ;;
        --samples) samples=$(realpath "$2") ;;
        --peer) peer=$2 ;;
        --encoders) encoders=$2 ;;
        --device) device=$2 ;;
        --repeats) repeats=$2 ;;
      esac
      shift
      ;;
    build | tests | parity | bench | peer | element | samples | cpu | sanitizer | table) steps="$steps $1" ;;
    *) stop "unknown step or option '$1'" ;;
  esac
  shift
done
[ -n "$steps" ] || stop "name the steps"
mkdir -p "$out"
out=$(realpath "$out")

for step in $steps; do
  echo "== $step"
  began=$(date +%s)
  step_failed=""
  "step_$step"
  [ -z "$step_failed" ] || failed="$failed $step"
  echo "== $step took $(($(date +%s) - began)) s"
done
[ -z "$failed" ] || { echo "gpu.sh: failed:$failed" && exit 1; }
