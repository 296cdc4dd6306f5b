#!/bin/sh
# Installs what building and running needs on Debian 12 or later and Ubuntu 24.04 or later: apt packages, and torch
# into .venv. Does only what is missing, so it can be run again at any time.
#
#   pipelines/setup.sh            what the build, the tests and the program need
#   pipelines/setup.sh --python   also .venv-train, where `import torch` works (training, the Python benchmark)
#   pipelines/setup.sh --fuzz     also clang, whose fuzzer tests/fuzz.sh runs
set -eu
cd "$(dirname "$0")/.."

torch=torch==2.11.0
# All that libtorch_cpu.so needs beside itself: 1.3 GB installed instead of the 4.9 GB with every CUDA library.
# `import torch` does not work with these alone; the build finds torch by its path.
torch_on_cpu="$torch nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85"

packages="g++ meson ninja-build pkg-config python3 python3-venv \
libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev \
gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
nlohmann-json3-dev libgtest-dev libgmock-dev"

say() { echo "setup: $*"; }
fail() {
  echo "setup: $*" >&2
  exit 1
}

with_python=no
for argument in "$@"; do
  case $argument in
    --python) with_python=yes ;;
    --fuzz) packages="$packages clang libclang-rt-dev" ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0" && exit ;;
    *) fail "unknown option '$argument' (there are --python and --fuzz)" ;;
  esac
done

install_packages() {
  command -v dpkg-query >/dev/null || fail "this is neither Debian nor Ubuntu: install the equivalents of $packages"
  missing=
  for package in $packages; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
  done
  if [ -z "$missing" ]; then
    say "apt packages: all there"
    return
  fi
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "packages are missing and neither root nor sudo is at hand; run as root: apt-get install$missing"
    as_root=sudo
  fi
  say "apt packages: installing$missing"
  $as_root apt-get update -qq || fail "apt-get update failed: see its message above"
  # shellcheck disable=SC2086  # a list of names
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing ||
    fail "apt-get could not install$missing: see its message above"
}

# A Python that torch 2.11.0 has wheels for and that can make environments. The first on PATH may be someone's own
# build without them.
find_python() {
  for python in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.10; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
      return
    fi
  done
  fail "no Python 3.10 to 3.14 with the venv module was found: install python3-venv"
}

make_environment() { # FOLDER
  if ! "$1/bin/python" -c '' 2>/dev/null; then
    find_python
    say "$1: making it with $("$python" --version) at $(command -v "$python")"
    "$python" -m venv --clear "$1" || fail "$python -m venv $1 failed: see its message above"
  fi
}

pip_install() { # FOLDER, what pip takes
  folder=$1
  shift
  say "$folder: pip install $*"
  "$folder/bin/python" -m pip install --disable-pip-version-check --no-input --quiet "$@" ||
    fail "pip could not install $* into $folder: see its message above"
}

# Whether every name==version of the list is installed to its end: INSTALLER is what pip writes after the files.
has() { # FOLDER LIST
  "$1/bin/python" - "$2" <<'END'
import sys
from importlib.metadata import PackageNotFoundError, distribution
for wanted in sys.argv[1].split():
    name, version = wanted.split("==")
    try:
        found = distribution(name)
    except PackageNotFoundError:
        sys.exit(1)
    if found.version.split("+")[0] != version or not found.read_text("INSTALLER"):
        sys.exit(1)
END
}

imports_torch() { # FOLDER
  "$1/bin/python" -c "import torch; assert torch.__version__.split('+')[0] == '${torch#*==}'" 2>/dev/null
}

install_torch() {
  make_environment .venv
  if nvidia-smi >/dev/null 2>&1; then
    imports_torch .venv || pip_install .venv "$torch"
    say ".venv: $torch with the CUDA libraries, for the GPU"
  else
    # shellcheck disable=SC2086  # a list of names
    has .venv "$torch_on_cpu" || pip_install .venv --no-deps $torch_on_cpu
    say ".venv: $torch without the CUDA libraries (no NVIDIA driver here)"
  fi
}

install_python() {
  make_environment .venv-train
  imports_torch .venv-train || pip_install .venv-train "$torch"
  pip_install .venv-train -r training/requirements.txt
  say ".venv-train: Python programs can import torch"
}

install_packages
install_torch
[ "$with_python" = no ] || install_python
