#!/usr/bin/env python3
"""Counts what ctest, GoogleTest and lit left in a directory; prints "N passed, M failed" as its last line.

usage: count_tests.py RESULTS

RESULTS holds ctest.xml (JUnit), gtest/NAMETests.json for the ctest test NAME, lit.json, python.xml (JUnit), and,
where fuzz targets ran, fuzz/TARGET.passed or fuzz/TARGET.failed. A result
that should be there and is not, such as that of a test program that crashed, counts as one failure.
"""
import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

LIT_PASSED = {"PASS", "FLAKYPASS", "XFAIL"}
LIT_LEFT_OUT = {"UNSUPPORTED", "SKIPPED", "EXCLUDED"}


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def count_program(name, ok, path):
    """Passed, failed and the failures' names of one ctest test, by its GoogleTest cases if it has any."""
    report = read_json(path)
    if report is None:
        # No report: not a GoogleTest program, or one that died; the exit status tells which.
        return (1, 0, []) if ok else (0, 1, [f"{name} (no report: it crashed, hung or did not start)"])
    passed, failures = 0, []
    for suite in report["testsuites"]:
        for case in suite["testsuite"]:
            if "failures" in case:
                failures.append(f"{name}: {suite['name']}.{case['name']}")
            elif case.get("result") == "COMPLETED":
                passed += 1
    if not ok and not failures:
        failures.append(f"{name} (all cases passed, but the program failed)")
    return passed, len(failures), failures


def count_units(directory):
    try:
        cases = list(ElementTree.parse(directory / "ctest.xml").getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return 0, 1, ["ctest (no results)"]
    passed, failed, names = 0, 0, []
    for case in cases:
        name, ok = case.get("name"), case.get("status") == "run"
        skipped = case.find("skipped")
        if skipped is not None and skipped.get("message", "").startswith("SKIP_RETURN_CODE"):
            continue  # what it needs is not there, such as a GPU
        counts = count_program(name, ok, directory / "gtest" / f"{name}Tests.json")
        passed, failed, names = passed + counts[0], failed + counts[1], names + counts[2]
    if not cases:
        return 0, 1, ["ctest (no tests found)"]
    return passed, failed, names


def count_lit(path):
    report = read_json(path)
    if report is None or not report.get("tests"):
        return 0, 1, ["lit (no results)"]
    passed, names = 0, []
    for test in report["tests"]:
        if test["code"] in LIT_PASSED:
            passed += 1
        elif test["code"] not in LIT_LEFT_OUT:
            names.append(f"{test['name']} ({test['code']})")
    return passed, len(names), names


def count_python(path):
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return 0, 1, ["python-frontend (no results)"]
    names = [f"{case.get('classname')}.{case.get('name')}" for case in cases
             if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return len(cases) - len(names) - skipped, len(names), names


def count_fuzz(directory):
    if not directory.exists():
        return 0, 0, []
    names = [f"fuzz-{path.stem}" for path in sorted(directory.glob("*.failed"))]
    passed = len(list(directory.glob("*.passed")))
    if not passed and not names:
        names = ["fuzz targets (no results)"]
    return passed, len(names), names


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = Path(sys.argv[1])
    kinds = {"unit": count_units(directory), "lit": count_lit(directory / "lit.json"),
             "python": count_python(directory / "python.xml"), "fuzz": count_fuzz(directory / "fuzz")}
    for _, _, names in kinds.values():
        for name in names:
            print(f"failed: {name}")
    print("; ".join(f"{kind}: {counts[0]} passed, {counts[1]} failed" for kind, counts in kinds.items()))
    passed = sum(counts[0] for counts in kinds.values())
    failed = sum(counts[1] for counts in kinds.values())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
