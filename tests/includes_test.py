# SPDX-License-Identifier: Apache-2.0
"""Dependencies point one way: pipelines, gst -> core/rgbd.h -> nothing but the standard library.

    includes_test.py SOURCE_ROOT

No torch in gst/, pipelines/ or core/rgbd.h; no GStreamer or GLib in core/; CUDA headers in core/cuda/ and one file of
gst/ alone. Includes in quotes are paths from the root that exist.
"""
import os
import re
import sys
import unittest

ROOT = sys.argv.pop(1)
SOURCE = (".h", ".cpp", ".cu", ".cuh")
TORCH = re.compile(r"<(ATen|c10|torch|caffe2)/")
TORCH_TYPE = re.compile(r"\b(at|c10|torch|caffe2)::")
GSTREAMER = re.compile(r"<(gst/|glib|gobject/|gio/|gmodule)")
CUDA = re.compile(r"<(cuda|cublas|cudnn|nvrtc|nvToolsExt|nvtx|gst/cuda/|c10/cuda/|ATen/cuda/|ATen/cudnn/)")
LIBRARIES = {"torch": TORCH, "GStreamer": GSTREAMER, "CUDA": CUDA}


def layer_of(path):
    if path == "core/rgbd.h":
        return "public header"
    if path.startswith("core/cuda/"):
        return "core/cuda"
    return path.split("/")[0]


# Of each layer: the project's files that it may include, and the libraries that it may not.
RULES = {
    "public header": (r"$.", ["torch", "GStreamer", "CUDA"]),
    "core": (r"core/(?!cuda/)", ["GStreamer", "CUDA"]),
    "core/cuda": (r"core/", ["GStreamer"]),
    "gst": (r"(gst/|core/rgbd\.h$)", ["torch"]),
    # The picture of rgbd-refine has depthcolorize's colours.
    "pipelines": (r"(pipelines/|core/rgbd\.h$|gst/colorize/colormap\.h$)", ["torch", "CUDA"]),
}


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def violations(files):
    """`files`: path from the root -> text. One sentence for each include that points the wrong way."""
    found = []
    cuda_in_gst = []
    for path, text in sorted(files.items()):
        layer = layer_of(path)
        if layer not in RULES:
            continue
        allowed, forbidden = RULES[layer]
        code = without_comments(text)
        for included in re.findall(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")', code, flags=re.M):
            name = included[1:-1]
            if included[0] == '"':
                if name not in files:
                    found.append(f"{path}: {included} is no file of the project, counted from the root")
                elif not re.match(allowed, name):
                    found.append(f"{path}: {layer} must not include {included}")
                continue
            library = next((of for of in forbidden if LIBRARIES[of].match(included)), None)
            if library:
                found.append(f"{path}: {layer} must not include {library}'s {included}")
            elif layer == "public header" and "/" in name:
                found.append(f"{path}: {included} is not of the standard library")
            elif layer == "gst" and CUDA.match(included) and path not in cuda_in_gst:
                cuda_in_gst.append(path)
        if "torch" in forbidden and TORCH_TYPE.search(code):
            found.append(f"{path}: {layer} must not name a type of torch")
    if len(cuda_in_gst) > 1:
        found.append(f"{', '.join(cuda_in_gst)}: CUDA belongs in one file of gst/")
    return found


def project():
    files = {}
    for layer in ("core", "gst", "pipelines"):
        for folder, _, names in os.walk(os.path.join(ROOT, layer)):
            for name in names:
                if name.endswith(SOURCE):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        files[os.path.relpath(path, ROOT).replace(os.sep, "/")] = file.read()
    return files


class Includes(unittest.TestCase):
    def test_project(self):
        files = project()
        self.assertGreater(len(files), 50)
        self.assertIn("core/rgbd.h", files)
        self.assertEqual(violations(files), [])

    def test_wrong_directions_are_found(self):
        good = {"core/rgbd.h": "#include <vector>\n", "core/ops.h": "#include <ATen/core/Tensor.h>\n",
                "gst/a.h": '#include "core/rgbd.h"\n', "core/cuda/k.h": "#include <cuda.h>\n",
                "pipelines/p.h": "#include <gst/gst.h>\n"}
        self.assertEqual(violations(good), [])
        wrong = [("core/rgbd.h", "#include <ATen/core/Tensor.h>"), ("core/rgbd.h", '#include "core/ops.h"'),
                 ("core/rgbd.h", "at::Tensor x;"), ("core/rgbd.h", "#include <nlohmann/json.hpp>"),
                 ("core/x.cpp", "#include <gst/gst.h>"), ("core/x.cpp", "#include <glib.h>"),
                 ("core/x.cpp", '#include "gst/a.h"'), ("core/x.cpp", '#include "core/cuda/k.h"'),
                 ("core/x.cpp", "#include <c10/cuda/CUDAStream.h>"), ("core/x.cpp", "#  include <cuda_runtime.h>"),
                 ("core/cuda/x.cu", "#include <gst/cuda/gstcuda.h>"), ("core/x.cpp", '#include "ops.h"'),
                 ("gst/x.cpp", '#include "core/ops.h"'), ("gst/x.cpp", "#include <torch/torch.h>"),
                 ("gst/x.cpp", "c10::Device d;"), ("gst/x.cpp", '#include "pipelines/p.h"'),
                 ("pipelines/x.cpp", '#include "core/ops.h"'), ("pipelines/x.cpp", '#include "gst/a.h"')]
        for path, line in wrong:
            with self.subTest(path=path, line=line):
                files = dict(good)
                files[path] = files.get(path, "") + line + "\n"
                self.assertEqual(len(violations(files)), 1)

    def test_comments_and_one_cuda_file_are_no_violations(self):
        files = {"core/rgbd.h": "// as at::Tensor does\n/* <gst/gst.h>\n at::x */\n",
                 "gst/cuda_bridge.cpp": "#include <gst/cuda/gstcuda.h>\n#include <cuda.h>\n"}
        self.assertEqual(violations(files), [])
        files["gst/other.cpp"] = "#include <cuda.h>\n"
        self.assertEqual(len(violations(files)), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
