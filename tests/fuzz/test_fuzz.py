"""Damaged files at every reader: `fuzz.py` in a process of its own, whose memory is bounded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PEAK = 1 << 30  # bytes of a whole process, at most


def fuzz(*options, timeout):
    """reader -> counts of `fuzz.py`, after checking that nothing went wrong."""
    done = subprocess.run(
        [sys.executable, HERE / "fuzz.py", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.stdout.startswith("{"), done.stderr[-3000:]
    told = json.loads(done.stdout)
    failed = {
        name: counts["failed"][:5] for name, counts in told["readers"].items() if counts["failed"]
    }
    assert not failed and done.returncode == 0, failed
    assert told["peak_bytes"] < PEAK
    return told["readers"]


def test_a_thousand_damaged_files():
    found = fuzz("--each", 70, "--seed", 7, timeout=120)
    assert len(found) == 13 and sum(n["read"] + n["refused"] for n in found.values()) > 900
    # which lists what is damaged
    assert all(n["refused"] for name, n in found.items() if name != "datasets")


@pytest.mark.slow
def test_twenty_thousand_damaged_files():
    found = fuzz("--each", 1800, "--seed", 11, timeout=1800)
    assert sum(n["read"] + n["refused"] for n in found.values()) > 20_000
    assert all(n["read"] for n in found.values()), (
        "damage that hits nothing, to see that not all is refused"
    )


def test_files_that_once_went_wrong():
    found = fuzz("--corpus", HERE / "corpus", timeout=120)
    cases = sum(n["read"] + n["refused"] for n in found.values())
    # Returns whose deviation overflows are told as unknown, and so is a count of episodes that is
    # no number.
    assert {name: n["read"] for name, n in found.items() if n["read"]} == {"npz": 1, "datasets": 1}
    assert cases == len([path for path in (HERE / "corpus").iterdir() if path.is_dir()]) > 10
