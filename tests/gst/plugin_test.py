# SPDX-License-Identifier: Apache-2.0
"""The plugin where no torch and no librgbd can be found, from a registry that does not exist yet.

    plugin_test.py PLUGIN

gst-inspect-1.0 lists the three elements and documents their properties, rgbdtestsrc and depthcolorize run, and
rgbdrefine says on the bus what to install. The plugin's own closure holds no torch.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

PLUGIN = os.path.abspath(sys.argv.pop(1))
ELEMENTS = ["rgbdrefine", "rgbdtestsrc", "depthcolorize"]
NOWHERE = "/nowhere/librgbd.so"


def needed(library):
    text = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", text)


class PluginWithoutTorch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.registry = os.path.join(self.folder.name, "registry.bin")

    def run_tool(self, *command):
        environment = dict(os.environ, GST_REGISTRY=self.registry, GST_PLUGIN_PATH=os.path.dirname(PLUGIN),
                           RGBD_LIBRARY=NOWHERE, LC_ALL="C")
        environment.pop("LD_LIBRARY_PATH", None)
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def inspect(self, *arguments):
        result = self.run_tool("gst-inspect-1.0", *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_closure_holds_no_torch(self):
        names = needed(PLUGIN)
        self.assertTrue(any("gstreamer" in name for name in names), names)
        for name in names:
            if not name.startswith("libgstcuda-1.0"):  # GStreamer's own, which opens libcuda when it is needed
                self.assertNotRegex(name, r"torch|c10|rgbd|cuda|caffe|mkl")
        closure = re.sub(r" \(0x[0-9a-f]+\)", "", self.run_tool("ldd", PLUGIN).stdout)  # an address may well read "c10"
        self.assertIn("libgstreamer-1.0", closure)
        self.assertNotRegex(closure, r"torch|c10|librgbd|libcuda|not found")

    def test_cold_registry_lists_three_elements(self):
        self.assertFalse(os.path.exists(self.registry))
        listing = self.inspect("rgbd")
        for element in ELEMENTS:
            self.assertRegex(listing, rf"(?m)^\s+{element}: \S")
        self.assertRegex(listing, r"3 features:\s+\+-- 3 elements")
        # And the registry that this left is as good: nothing was blacklisted.
        self.assertIn("rgbdrefine", self.inspect("rgbd"))
        self.assertNotIn("libgstrgbd", self.run_tool("gst-inspect-1.0", "-b").stdout)

    def test_licence_is_one_that_gstreamer_knows(self):
        listing = self.inspect("rgbd")
        self.assertRegex(listing, r"(?m)^ *License +Apache 2\.0$")
        self.assertNotIn("example.org", listing)

    def test_properties_are_documented(self):
        for element in ELEMENTS:
            text = self.inspect(element)
            properties = text[text.index("Element Properties:"):]
            properties = properties[:properties.find("\n\n")] if "\n\n" in properties else properties
            entries = re.split(r"(?m)^  (?=[a-z][\w-]* *: )", properties)[1:]
            self.assertGreaterEqual(len(entries), 6, element)
            for entry in entries:
                name, description = re.match(r"([\w-]+) *: (.*)", entry).groups()
                self.assertGreater(len(description), 10, f"{element} {name}")
                self.assertIn("flags:", entry, f"{element} {name}")
                if re.search(r"(Integer|Double|Unsigned)", entry):
                    self.assertRegex(entry, r"Range: .* Default:", f"{element} {name}")
                elif re.search(r"(Boolean|Enum|String)", entry):
                    self.assertIn("Default:", entry, f"{element} {name}")

    def test_refine_says_what_to_install(self):
        result = self.run_tool("gst-launch-1.0", "rgbdtestsrc", "name=s", "num-buffers=1", "rgbdrefine", "name=r", "!",
                               "fakesink", "s.rgb", "!", "queue", "!", "r.rgb", "s.depth", "!", "queue", "!", "r.depth")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(NOWHERE, result.stderr)
        self.assertIn("./pipelines/setup.sh", result.stderr)

    def test_the_others_run(self):
        picture = os.path.join(self.folder.name, "depth.rgb")
        result = self.run_tool("gst-launch-1.0", "-q", "rgbdtestsrc", "name=s", "num-buffers=1", "s.depth", "!", "queue",
                               "!", "video/x-raw,width=64,height=48", "!", "depthcolorize", "!",
                               "video/x-raw,format=RGB", "!", "filesink", f"location={picture}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(os.path.getsize(picture), 64 * 48 * 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
