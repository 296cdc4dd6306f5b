#!/usr/bin/env python3
"""Print where torch is, five lines: include folder, library folder, version, cuda|cpu, how it was found.

    find-torch.py SOURCE_ROOT [TORCH_DIR]

Never imports torch. Exit code 1 with one sentence on stderr when there is none.
"""
import glob
import os
import re
import subprocess
import sys


def facts(folder, how, include=None, lib=None):
    include = include or os.path.join(folder, "include")
    lib = lib or os.path.join(folder, "lib")
    header = os.path.join(include, "torch", "headeronly", "version.h")
    if not os.path.exists(header):
        header = os.path.join(include, "torch", "csrc", "api", "include", "torch", "version.h")
    if not os.path.exists(header) or not os.path.exists(os.path.join(lib, "libtorch_cpu.so")):
        return None
    text = open(header).read()
    number = [re.search(rf"#define TORCH_VERSION_{part} (\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    if not all(number):
        return None
    cuda = "cuda" if os.path.exists(os.path.join(lib, "libtorch_cuda.so")) else "cpu"
    return [include, lib, ".".join(m.group(1) for m in number), cuda, how]


def candidates(root, torch_dir):
    if torch_dir:
        yield facts(torch_dir, "-Dtorch_dir")
        return
    for folder in sorted(glob.glob(os.path.join(root, ".venv", "lib", "python3*", "site-packages", "torch"))):
        yield facts(folder, ".venv")
    ask = "import importlib.util as u; s = u.find_spec('torch'); print(list(s.submodule_search_locations)[0] if s else '')"
    try:
        folder = subprocess.run(["python3", "-c", ask], capture_output=True, text=True).stdout.strip()
    except OSError:
        folder = ""
    if folder:
        yield facts(folder, "python3")
    for lib in glob.glob("/usr/lib/*-linux-gnu") + ["/usr/lib64", "/usr/local/lib"]:
        yield facts("", "system", include=os.path.join(lib.split("/lib")[0] or "/usr", "include"), lib=lib)


def main():
    root, torch_dir = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    for found in candidates(root, torch_dir):
        if found:
            print("\n".join(found))
            return 0
    where = f"no torch in {torch_dir} (it should hold include/ and lib/)" if torch_dir else "torch was not found"
    print(f"{where}. Run ./pipelines/setup.sh, or pass -Dtorch_dir=FOLDER", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
