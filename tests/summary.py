#!/usr/bin/env python3
"""Counts the cases of a Meson test log, shows what failed and why tests were skipped.

    summary.py TESTLOG_JSON MESON_STATUS

GoogleTest programs are counted case by case from their output, other programs as one. The last line is
'N passed, N failed, N skipped'. Exit code 0 only if nothing failed and something ran.
"""
import json
import os
import re
import sys

RUN = re.compile(r"^\[ RUN      \] (\S+)")
END = re.compile(r"^\[( {7}OK|  FAILED |  SKIPPED) \] (\S+?)(?:, where .*)? \(\d+ ms\)$")
VERDICT = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def cases_of(test):
    """(name, verdict, text) of each GoogleTest case; empty when the program is not one."""
    cases, text = [], []
    for line in test.get("stdout", "").splitlines():
        end = END.match(line)
        if RUN.match(line):
            text = []
        elif end:
            cases.append((f"{test['name']} {end[2]}", VERDICT[end[1].strip()], "\n".join(text)))
        else:
            text.append(line)
    return cases


def reason(text):
    """The text given to GTEST_SKIP(), or a script's last line, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.rstrip().endswith(": Skipped")]
    return lines[-1] if lines else "no reason given"


def main():
    log, meson_status = sys.argv[1], int(sys.argv[2])
    count = {"passed": 0, "failed": 0, "skipped": 0}
    tests, failed = [], []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as lines:
            tests = [json.loads(line) for line in lines]
    for test in tests:
        cases = cases_of(test)
        result = test["result"]
        whole = "passed" if result in ("OK", "EXPECTEDFAIL") else "skipped" if result == "SKIP" else "failed"
        # A crash or a time-out leaves no line for the case it happened in.
        if not cases or (whole == "failed" and not any(verdict == "failed" for _, verdict, _ in cases)):
            cases.append((test["name"], whole, test.get("stdout", "")))
        for name, verdict, text in cases:
            count[verdict] += 1
            if verdict == "skipped":
                print(f"skipped: {name}: {reason(text)}")
        if whole == "failed":
            print(f"\n---- {test['name']}: {result}, exit code {test.get('returncode')}")
            print(test.get("stdout", "").rstrip())
            print(test.get("stderr", "").rstrip())
            print(f"---- end of {test['name']}")
        failed += [name for name, verdict, _ in cases if verdict == "failed"]
    for name in failed:
        print(f"failed: {name}")
    if not tests:
        print("no test ran: see Meson's message above")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or meson_status or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
