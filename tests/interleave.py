#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs two commands in turns, so that both see the same machine, and compares their medians.

    tests/interleave.py [--rounds N] A... -- B...

Each command prints JSON lines; the last one's `ms_p50` (or `median_ms`) counts. One JSON line: the medians over the
rounds and A's share of B.
"""
import json
import statistics
import subprocess
import sys


def milliseconds(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"interleave: {command[0]} ended with {done.returncode}")
    last = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    return last.get("ms_p50", last.get("median_ms"))


def main():
    words = sys.argv[1:]
    rounds = 5
    if words[:1] == ["--rounds"]:
        rounds, words = int(words[1]), words[2:]
    if "--" not in words:
        sys.exit(__doc__)
    at = words.index("--")
    times = {"a": [], "b": []}
    for i in range(rounds):
        for name, command in (("a", words[:at]), ("b", words[at + 1:])):
            times[name].append(milliseconds(command))
        print(f"round {i + 1}: a {times['a'][-1]:.1f} ms, b {times['b'][-1]:.1f} ms", file=sys.stderr, flush=True)
    a, b = statistics.median(times["a"]), statistics.median(times["b"])
    print(json.dumps({"a_ms": round(a, 2), "b_ms": round(b, 2), "a/b": round(a / b, 4), "rounds": rounds}))


main()
