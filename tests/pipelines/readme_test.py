#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README tells the truth: its property tables are those of gst-inspect-1.0, its commands run.

    readme_test.py README

Needs the environment of `meson devenv`. Files that the commands write to /tmp go to a folder of this test instead.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # other tests run beside this one
README = os.path.abspath(sys.argv.pop(1))
with open(README, encoding="utf-8") as file:
    TEXT = file.read()

# What every element, bin, aggregator or video filter has.
INHERITED = {"name", "parent", "emit-signals", "latency", "min-upstream-latency", "start-time", "start-time-selection",
             "async-handling", "message-forward"}
TYPES = {"String": "string", "Boolean": "boolean", "Integer": "int", "Unsigned Integer": "uint",
         "Unsigned Integer64": "uint64", "Double": "double", "Enum": "enum", "Boxed pointer": "structure"}


def documented(element):
    """{property: (type, default, changeable while playing)} of the README's table."""
    table = re.search(rf"<!-- properties: {element} -->\n((?:\|.*\n)+)", TEXT).group(1)
    rows = [[cell.strip() for cell in row.strip("|\n").split("|")] for row in table.splitlines()[2:]]
    return {re.match(r"`(.+?)`", row[0]).group(1): (row[1], row[2], row[0].endswith(r"\*")) for row in rows}


def inspected(element):
    """The same of gst-inspect-1.0, and the enums' values."""
    text = subprocess.run(["gst-inspect-1.0", element], capture_output=True, text=True, check=True).stdout
    text = text.split("Element Properties:\n")[1].split("\nElement Signals:")[0]
    found = {}
    for entry in re.split(r"\n(?=  \S)", "\n" + text):
        name = re.match(r"\s*([a-z-]+) *:", entry)
        if not name or name.group(1) in INHERITED:
            continue
        kind = re.search(r"\n +(Unsigned Integer64|Unsigned Integer|[A-Z]\w+(?: pointer)?)[. ]", entry.split("flags:")[1])
        default = re.search(r'Default: +(?:\d+, )?(.*)', entry)
        default = default.group(1).strip().strip('"') if default else ""
        default = {"null": "NULL", str(2**64 - 1): "-1"}.get(default, default)
        found[name.group(1)] = (TYPES[kind.group(1)], default, "PLAYING" in entry)
    return found


class Tables(unittest.TestCase):
    maxDiff = None

    def check(self, element, inherited=()):
        real = {name: facts for name, facts in inspected(element).items() if name not in inherited}
        self.assertEqual(documented(element), real)

    def test_rgbdrefine(self):
        self.check("rgbdrefine")

    def test_rgbdtestsrc(self):
        self.check("rgbdtestsrc")

    def test_depthcolorize(self):
        self.check("depthcolorize", inherited={"qos"})


class Commands(unittest.TestCase):
    def test_run_as_they_are_written(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        python = re.search(r"```python\n(.*?)```", TEXT, re.S).group(1)
        with open(os.path.join(folder.name, "middle.py"), "w", encoding="utf-8") as script:
            script.write(python)
        commands = re.findall(r"^    meson devenv -C build ((?:.*\\\n)*.*\n)", TEXT, re.M)
        self.assertGreaterEqual(len(commands), 7)
        for command in commands:
            if "cdm.ckpt" in command:
                continue  # the published files are not here
            python = "import gi; gi.require_version('GstApp', '1.0')"
            if "python3" in command and subprocess.run(["/usr/bin/python3", "-c", python], capture_output=True).returncode:
                print("skipped, python3-gi is not installed:", command)
                continue
            with self.subTest(command=command):
                done = subprocess.run(command.replace("/tmp/", folder.name + "/"), shell=True, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                for path in re.findall(r"(?:location=|--output(?:-depth)? )(/tmp/\S+)", command):
                    path = path.replace("/tmp/", folder.name + "/").replace("%05d", "00009")
                    self.assertGreater(os.path.getsize(path), 0, path)
                if "middle.py" in command:
                    self.assertRegex(done.stdout, r"^0\.000 s: [1-9]\.\d+ m in the middle\n0\.033 s: ")
        self.assertEqual(self.read(folder, "refined.png"), self.read(folder, "refined2.png"))

    @staticmethod
    def read(folder, name):
        with open(os.path.join(folder.name, name), "rb") as file:
            return file.read()


if __name__ == "__main__":
    unittest.main()
