"""`benchmarks/growth.py`: a small table for real, and what it makes of costs."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "growth.py"


@pytest.fixture
def growth():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("growth", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "seconds, size, time, memory, note",
    [
        (2.0, 1000, "1.00", "0.00", ""),
        (2.2, 1000, "1.14", "0.00", ""),
        (4.0, 1000, "2.00", "0.00", "faster than linear"),
        (2.0, 4000, "1.00", "2.00", "faster than linear"),
        (2.0, 0, "1.00", "", ""),
    ],
)
def test_growth_above_linear_is_flagged(growth, seconds, size, time, memory, note):
    above, row = growth.Row("seeds", 4, 1.0, 1000), growth.Row("seeds", 8, seconds, size)
    assert growth.cells(row, above)[-3:] == [time, memory, note]
    assert growth.cells(above, None) == ["seeds", "4", "1", "0", "", "", ""]


@pytest.mark.parametrize(
    "child, limits, note",
    [
        ("import time; time.sleep(60)", (0.5, 1e9), "more than 0.5 s"),
        (
            "x = bytearray(500_000_000); import time; time.sleep(60)",
            (60.0, 2e8),
            "more than 0.2 GB",
        ),
        ("raise MemoryError('no room')", (60.0, 1e9), "MemoryError: no room"),
    ],
)
def test_a_row_that_fails_says_why_and_ends_its_size(
    growth, tmp_path, monkeypatch, child, limits, note
):
    path = tmp_path / "child.py"
    path.write_text(child)
    monkeypatch.setattr(growth, "CHILD", path)
    rows = [
        row for row, _ in growth.measure({"seeds": (1, 2), "envs": (8,)}, growth.Limits(*limits))
    ]
    assert rows == [
        growth.Row(size, value, None, None, note) for size, value in (("seeds", 1), ("envs", 8))
    ]


@pytest.mark.slow
def test_a_small_table():
    command = [sys.executable, SCRIPT, "--quick", "--seconds", "600"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in answer.stdout.splitlines()[2:]
    ]
    sizes = ("pairs", "seeds", "envs", "observations")
    assert [row[0] for row in rows] == [size for size in sizes for _ in range(2)]
    assert all(float(row[2]) > 0 and float(row[3]) > 0 for row in rows), answer.stdout
