#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which torch the build takes, on trees of empty files.

    find_torch_test.py FIND_TORCH
"""
import importlib.util
import os
import sys
import tempfile
import unittest

spec = importlib.util.spec_from_file_location("find_torch", sys.argv.pop(1))
find_torch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(find_torch)


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class FindTorch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.usr = os.path.join(self.root, "usr")
        self.python = ""

    def make(self, version, include, lib, header="torch/headeronly/version.h", cuda=False):
        lines = (f"#define TORCH_VERSION_{part} {number}"
                 for part, number in zip(("MAJOR", "MINOR", "PATCH"), version.split(".")))
        write(os.path.join(self.root, include, header), "\n".join(lines))
        write(os.path.join(self.root, lib, "libtorch_cpu.so"))
        if cuda:
            write(os.path.join(self.root, lib, "libtorch_cuda.so"))

    def make_wheel(self, folder, version, **more):
        self.make(version, os.path.join(folder, "include"), os.path.join(folder, "lib"), **more)
        return os.path.join(self.root, folder)

    def find(self, torch_dir=""):
        return find_torch.find(self.root, torch_dir, lambda: self.python, self.usr)

    def test_order(self):
        old_header = "torch/csrc/api/include/torch/version.h"
        self.make("2.6.0", "usr/include", "usr/lib/x86_64-linux-gnu", header=old_header)
        lib = os.path.join(self.usr, "lib", "x86_64-linux-gnu")
        self.assertEqual(self.find(), [os.path.join(self.usr, "include"), lib, "2.6.0", "cpu", "system"])
        self.python = self.make_wheel("python/torch", "2.9.1")
        self.assertEqual(self.find()[2:], ["2.9.1", "cpu", "python3"])
        venv = self.make_wheel(".venv/lib/python3.11/site-packages/torch", "2.11.0", cuda=True)
        self.assertEqual(self.find(), [f"{venv}/include", f"{venv}/lib", "2.11.0", "cuda", ".venv"])
        self.assertEqual(self.find(self.make_wheel("mine", "2.7.0"))[2:], ["2.7.0", "cpu", "-Dtorch_dir"])

    def test_openmp_runtime(self):
        """torch's own, whatever its file is called, unless it cannot be linked by that name."""
        lib = self.make_wheel("torch", "2.7.0") + "/lib"

        def runtime(needed, soname, file=True):
            if file:
                write(os.path.join(lib, needed))
            names = {"libtorch_cpu.so": ["libc10.so", needed], needed: [soname]}
            return find_torch.openmp(lib, lambda path, tag: names[os.path.basename(path)])

        self.assertEqual(runtime("libgomp.so.1", "libgomp.so.1", file=False), "libgomp.so.1")
        self.assertEqual(runtime("libgomp.so.1", "libgomp.so.1"), f"{lib}/libgomp.so.1")
        self.assertEqual(runtime("libgomp-98b21ff3.so.1.0.0", "libgomp-98b21ff3.so.1.0.0"), f"{lib}/libgomp-98b21ff3.so.1.0.0")
        self.assertEqual(runtime("libgomp-1dd373e6.so.1.0.0", "libgomp.so.1"), "none")
        self.assertEqual(runtime("libgomp-d22c30c5.so.1.0.0", "", file=False), "none")
        self.assertEqual(runtime("libiomp5.so", "libiomp5.so"), "none")

    def test_local(self):
        self.make("2.8.0", "usr/local/include", "usr/local/lib")
        self.assertEqual(self.find()[1:], [os.path.join(self.usr, "local", "lib"), "2.8.0", "cpu", "system"])

    def test_miss(self):
        sentence = r"^torch was not found\. Run \./pipelines/setup\.sh, or pass -Dtorch_dir=FOLDER$"
        with self.assertRaisesRegex(LookupError, sentence):
            self.find()
        # A folder that is named is meant: nothing else is taken in its place.
        self.python = self.make_wheel("python/torch", "2.9.1")
        with self.assertRaisesRegex(LookupError, r"^no torch in /nowhere \(.*\./pipelines/setup\.sh"):
            self.find("/nowhere")

    def test_too_old_is_passed_over(self):
        self.python = self.make_wheel("python/torch", "2.5.1")
        with self.assertRaisesRegex(LookupError, r"^torch 2\.5\.1 in .*python/torch/lib is too old, 2\.6 .*setup\.sh"):
            self.find()
        self.make("2.10.0", "usr/include", "usr/lib64")
        self.assertEqual(self.find()[2:], ["2.10.0", "cpu", "system"])

    def test_half_a_torch_is_none(self):
        self.python = self.make_wheel("python/torch", "2.9.1")
        os.remove(os.path.join(self.python, "lib", "libtorch_cpu.so"))
        with self.assertRaises(LookupError):
            self.find()


if __name__ == "__main__":
    unittest.main()
