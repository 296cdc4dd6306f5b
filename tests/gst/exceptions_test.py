# SPDX-License-Identifier: Apache-2.0
"""Errors of librgbd in a process where libstdc++ was there before GStreamer, as in Python with numpy, and where it was not, with GStreamer
for all to see and not: messages, not the end of the process (see gst/refine/unwinder.h).

    exceptions_test.py PLUGIN LIBRGBD MODEL
"""
import os
import subprocess
import sys
import tempfile
import unittest

PLUGIN, LIBRGBD, MODEL = (os.path.abspath(path) for path in sys.argv[1:4])
del sys.argv[1:4]

# ctypes, so that no GObject bindings are needed.
WAYS = [(when, how) for when in ("early", "late") for how in ("global", "local")]
PROGRAM = """
import ctypes, sys
when, how, model, end = sys.argv[1:]
if when == "early":
    ctypes.CDLL("libstdc++.so.6")
gst = ctypes.CDLL("libgstreamer-1.0.so.0", ctypes.RTLD_GLOBAL if how == "global" else ctypes.RTLD_LOCAL)
pointer = ctypes.c_void_p
class Error(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]
for name in ("gst_parse_launch", "gst_element_get_bus", "gst_bus_timed_pop_filtered"):
    getattr(gst, name).restype = pointer
ERROR, EOS, PLAYING, NULL = 2, 1, 4, 1
gst.gst_init(None, None)
pipeline = pointer(gst.gst_parse_launch((
    "rgbdtestsrc name=s num-buffers=2 ! video/x-raw,width=64,height=48 ! r.rgb s.depth ! video/x-raw,width=64,height=48 ! r.depth "
    "rgbdrefine name=r device=cpu model=" + model + " ! fakesink").encode(), None))
gst.gst_element_set_state(pipeline, PLAYING)
bus = pointer(gst.gst_element_get_bus(pipeline))
message = pointer(gst.gst_bus_timed_pop_filtered(bus, ctypes.c_uint64(60 * 10**9), ERROR if end == "error" else EOS))
error = ctypes.POINTER(Error)()
if message and end == "error":
    gst.gst_message_parse_error(message, ctypes.byref(error), None)
print(error.contents.message.decode() if error else "ended" if message else "nothing came")
gst.gst_element_set_state(pipeline, NULL)
"""


class Exceptions(unittest.TestCase):
    def run_with(self, when, how, model, end):
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, GST_REGISTRY=os.path.join(folder, "registry.bin"), GST_PLUGIN_PATH=os.path.dirname(PLUGIN),
                               RGBD_LIBRARY=LIBRGBD, OMP_WAIT_POLICY="passive")
            result = subprocess.run([sys.executable, "-c", PROGRAM, when, how, model, end], capture_output=True, text=True, env=environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_errors_are_messages(self):
        for way in WAYS:
            with self.subTest(way):
                self.assertIn("/nowhere.ckpt: no such file", self.run_with(*way, "/nowhere.ckpt", "error"))

    def test_frames_come_through(self):
        for way in WAYS:
            with self.subTest(way):
                self.assertEqual(self.run_with(*way, MODEL, "eos"), "ended\n")


if __name__ == "__main__":
    unittest.main()
