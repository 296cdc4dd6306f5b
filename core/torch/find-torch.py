#!/usr/bin/env python3
"""Print where torch is, six lines: include folder, library folder, version, cuda|cpu, how it was found, and the
file of its OpenMP runtime if that is GNU's: a path, libgomp.so.1 for the system's, or none.

    find-torch.py SOURCE_ROOT [TORCH_DIR]

Never imports torch. Exit code 1 with one sentence on stderr when there is none that will do.
"""
import glob
import os
import re
import subprocess
import sys

OLDEST = (2, 6)


def facts(how, include, lib):
    """The first five lines, or nothing when there is no torch with headers."""
    header = os.path.join(include, "torch", "headeronly", "version.h")
    if not os.path.exists(header):
        header = os.path.join(include, "torch", "csrc", "api", "include", "torch", "version.h")
    if not os.path.exists(header) or not os.path.exists(os.path.join(lib, "libtorch_cpu.so")):
        return None
    with open(header, encoding="utf-8") as file:
        text = file.read()
    number = [re.search(rf"#define TORCH_VERSION_{part} (\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    if not all(number):
        return None
    cuda = "cuda" if os.path.exists(os.path.join(lib, "libtorch_cuda.so")) else "cpu"
    return [include, lib, ".".join(m.group(1) for m in number), cuda, how]


def python_torch():
    """Folder of the torch that python3 would import, or ""."""
    ask = ("import importlib.util as u; found = u.find_spec('torch'); "
           "print(list(found.submodule_search_locations)[0] if found else '')")
    try:
        # At the root: python3 -c would also look where it is run.
        return subprocess.run(["python3", "-c", ask], capture_output=True, text=True, cwd="/").stdout.strip()
    except OSError:
        return ""


def candidates(root, torch_dir, ask_python, usr):
    """Include and library folders in the order in which they are tried, each with how it is found."""
    if torch_dir:
        yield "-Dtorch_dir", os.path.join(torch_dir, "include"), os.path.join(torch_dir, "lib")
        return
    for folder in sorted(glob.glob(os.path.join(root, ".venv", "lib", "python3*", "site-packages", "torch"))):
        yield ".venv", os.path.join(folder, "include"), os.path.join(folder, "lib")
    folder = ask_python()
    if folder:
        yield "python3", os.path.join(folder, "include"), os.path.join(folder, "lib")
    for lib in sorted(glob.glob(os.path.join(usr, "lib", "*-linux-gnu"))) + [os.path.join(usr, "lib64")]:
        yield "system", os.path.join(usr, "include"), lib
    yield "system", os.path.join(usr, "local", "include"), os.path.join(usr, "local", "lib")


def find(root, torch_dir="", ask_python=python_torch, usr="/usr"):
    """The first five lines, of the first that will do. Raises LookupError with one sentence."""
    too_old = ""
    for candidate in candidates(root, torch_dir, ask_python, usr):
        found = facts(*candidate)
        if not found:
            continue
        if tuple(map(int, found[2].split(".")[:2])) >= OLDEST:
            return found
        too_old = too_old or (f"torch {found[2]} in {found[1]} is too old, "
                              f"{OLDEST[0]}.{OLDEST[1]} is the oldest that will do")
    miss = f"no torch in {torch_dir} (it should hold include/ and lib/)" if torch_dir else "torch was not found"
    raise LookupError(f"{too_old or miss}. Run ./pipelines/setup.sh, or pass -Dtorch_dir=FOLDER")


def dynamic(library, tag):
    """Names under a tag of a library's dynamic section."""
    try:
        listing = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=False).stdout
    except OSError:
        return []
    return re.findall(rf"\({tag}\).*\[(.+)\]", listing)


def openmp(lib, read=dynamic):
    """The runtime to link, so that a program has one. Older wheels give theirs a name with a hash, and one that goes by
    another name inside could not be linked."""
    for name in read(os.path.join(lib, "libtorch_cpu.so"), "NEEDED"):
        if not name.startswith("libgomp"):
            continue
        path = os.path.join(lib, name)
        if not os.path.exists(path):
            return name if name == "libgomp.so.1" else "none"
        return path if read(path, "SONAME") == [name] else "none"
    return "none"


if __name__ == "__main__":
    try:
        lines = find(*sys.argv[1:])
        print("\n".join(lines + [openmp(lines[1])]))
    except LookupError as miss:
        sys.exit(miss.args[0])
