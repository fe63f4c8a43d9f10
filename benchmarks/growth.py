"""What time and memory of one training iteration do as each size grows, the others at their least.

    python benchmarks/growth.py                        # half an hour, and 16 GB of memory, at most
    python benchmarks/growth.py --only seeds envs --seconds 60 --gigabytes 4
    python benchmarks/growth.py --quick                # does it run? its figures mean little

The learner is GAIL with PPO; environment and demonstrations are made up. Every row runs in a
process of its own, which is ended when it exceeds the limits; larger values of that size are then
left out. An exponent is the power by which a cost grew from the row above: 1 where it doubled as
the size doubled. Rows above 1.2 are flagged.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CHILD = Path(__file__).resolve().parent / "growth_child.py"
SIZES = {
    "pairs": (10**3, 10**4, 10**5, 10**6, 10**7),
    "seeds": (1, 4, 16, 64),
    "envs": (8, 64, 512, 4096),
    "observations": (4, 100, 1000, 10_000),
}
QUICK = {"pairs": (10**3, 10**4), "seeds": (1, 2), "envs": (8, 16), "observations": (4, 8)}
LINEAR = 1.2  # exponents up to here are taken for linear growth: measured, not exact
FLAG = "faster than linear"


class Row(NamedTuple):
    """One measurement; the costs are None where a limit was exceeded."""

    size: str
    value: int
    seconds: float | None  # of an iteration, without compilation
    bytes: int | None  # at the most, beyond those of libraries and data
    note: str = ""


class Limits(NamedTuple):
    """When a row is ended."""

    seconds: float  # compilation included
    bytes: float


def resident_bytes(process: int) -> int:
    """Memory of a running process now; 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * 4096


def run_row(size: str, value: int, limits: Limits) -> Row:
    """Measure one value in a process of its own."""
    command = [sys.executable, str(CHILD), f"--{size}", str(value)]
    start = time.monotonic()
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        note = ""
        while process.poll() is None and not note:
            if time.monotonic() - start > limits.seconds:
                note = f"more than {limits.seconds:g} s"
            elif resident_bytes(process.pid) > limits.bytes:
                note = f"more than {limits.bytes / 1e9:g} GB"
            time.sleep(0.05)
        if note:
            process.kill()
            return Row(size, value, None, None, note)
        answer = process.stdout.read()
        if process.returncode:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            return Row(size, value, None, None, last)
    costs = json.loads(answer)
    return Row(size, value, costs["seconds"], costs["bytes"])


def measure(sizes: dict[str, tuple[int, ...]], limits: Limits) -> Iterator[tuple[Row, Row | None]]:
    """Each row and the one above it; a size ends with the first row that fails."""
    for size, values in sizes.items():
        above = None
        for value in values:
            row = run_row(size, value, limits)
            yield row, above
            if row.seconds is None:
                break
            above = row


def exponent(row: Row, above: Row | None, cost: str) -> float | None:
    """The power of the size by which a cost grew; None where it cannot be said."""
    new, old = getattr(row, cost), above and getattr(above, cost)
    if not new or not old:
        return None
    return math.log(new / old) / math.log(row.value / above.value)


def cells(row: Row, above: Row | None) -> list[str]:
    """A row of the table as text."""
    powers = [exponent(row, above, cost) for cost in ("seconds", "bytes")]
    fast = any(power is not None and power > LINEAR for power in powers)
    return [
        row.size,
        f"{row.value:,}",
        "" if row.seconds is None else f"{row.seconds:.4g}",
        "" if row.bytes is None else f"{row.bytes / 1e6:.0f}",
        *("" if power is None else f"{power:.2f}" for power in powers),
        row.note or (FLAG if fast else ""),
    ]


def line(texts: list[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(texts)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=SIZES, default=list(SIZES), help="measure only these"
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="end a row after this time")
    parser.add_argument(
        "--gigabytes", type=float, default=16.0, help="end a row that needs more memory"
    )
    parser.add_argument("--quick", action="store_true", help="two small values of each size")
    options = parser.parse_args()
    sizes = {size: (QUICK if options.quick else SIZES)[size] for size in options.only}
    header = ["size", "value", "s / iteration", "MB", "exponent of time", "exponent of memory", ""]
    print(line(header))
    print(line(["---"] * len(header)))
    for row, above in measure(sizes, Limits(options.seconds, options.gigabytes * 1e9)):
        print(line(cells(row, above)), flush=True)


if __name__ == "__main__":
    main()
