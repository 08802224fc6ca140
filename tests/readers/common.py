"""What the readers share: the expectation, the list of files, and how a difference is told."""

import json
import pathlib
import sys


def arguments():
    """EXPECTED.json and the segment files, from the command line."""
    expected = json.loads(pathlib.Path(sys.argv[1]).read_text())
    files = sys.argv[2:]
    assert files, "no segment files"
    return expected, files


def same(what, found, expected):
    if found != expected:
        sys.exit(f"{sys.argv[0]}: {what}: expected {expected!r}, found {found!r}")
