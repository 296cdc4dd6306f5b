#!/usr/bin/env python3
"""Copy the libraries of torch that librgbd needs beside it, so that an install outlives the source tree.

    install-torch.py TORCH_LIB_DIR FOLDER    FOLDER: relative to the prefix; Meson sets the environment

Keeps the wheel's layout (torch/lib, nvidia/*/lib): its libraries find each other by it.
"""
import glob
import os
import re
import shutil
import subprocess
import sys


def needed(library):
    listing = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", listing)


def closure(folder, names):
    """The libraries of the folder that these need, themselves included."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        path = os.path.join(folder, name)
        if name not in found and os.path.exists(path):
            found.add(name)
            waiting += needed(path)
    return {os.path.join(folder, name) for name in found}


def main():
    torch_lib, folder = sys.argv[1:]
    packages = os.path.dirname(os.path.dirname(torch_lib))
    target = os.path.join(os.environ["MESON_INSTALL_DESTDIR_PREFIX"], folder)
    nvidia = set(glob.glob(os.path.join(packages, "nvidia", "*", "lib", "*.so*")))
    names = ["libtorch_cpu.so"]
    # A CPU-sized install has the CUDA half of torch, but not what it runs on.
    if any(os.path.basename(path).startswith("libcublas.so") for path in nvidia):
        names.append("libtorch_cuda.so")
    for path in sorted(closure(torch_lib, names) | nvidia):
        copy = os.path.join(target, os.path.relpath(path, packages))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        new = not os.path.exists(copy) or os.stat(copy).st_mtime_ns != os.stat(path).st_mtime_ns
        if new or os.path.getsize(copy) != os.path.getsize(path):
            shutil.copy2(path, copy)
    print(f"torch's libraries are in {target}")


if __name__ == "__main__":
    main()
