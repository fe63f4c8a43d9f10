"""From run folders to an HTML file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imitax.errors import ImitaxError
from imitax.report.page import page
from imitax.runs.read import RunData, read_runs

Diagnosis = Callable[[RunData], list[str]]  # sentences about what is wrong with a run


def write_report(
    paths: list[Path], out: Path, still: bool = False, diagnosis: Diagnosis | None = None
) -> dict[str, Any]:
    """Compare the runs in one file `out` (.html), written whole or not at all; its name and size.

    `still` leaves out the animation, which plays the policies and so needs JAX and a renderer.

    Raises:
        ImitaxError: the file exists or is no .html, or what `read_runs` does not accept.
    """
    if out.suffix.lower() != ".html":
        raise ImitaxError(f"File '{out}' has the ending '{out.suffix}': expected .html.")
    if out.exists():
        raise ImitaxError(f"File '{out}' exists: choose another with --out, nothing was written.")
    runs = read_runs(paths)
    films = None
    if not still:
        from imitax.report.animation import films_of

        films = films_of(runs)
    found = [diagnosis(run) if diagnosis else [] for run in runs]
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        partial.write_text(page(runs, films, found), encoding="utf-8")
        partial.rename(out)
    finally:
        partial.unlink(missing_ok=True)
    return {"file": str(out), "bytes": out.stat().st_size}
