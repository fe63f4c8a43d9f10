"""Studies: sets of runs whose raw results are small files, from which alone the figures are made.

A second call makes only what is missing.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imitax.errors import ImitaxError, brief, one_line, unknown
from imitax.files.read import check_file, read_arrays, read_json
from imitax.files.write import write_arrays, write_json, write_text
from imitax.stats import figures

Arrays = dict[str, np.ndarray]


class Study(NamedTuple):
    """What a study is made of."""

    title: str
    cases: tuple[str, ...]
    iterations: int  # of each run, by default
    steps: int  # environment steps of an iteration
    run: Callable[[str, int, int, Any], Arrays]  # (case, seeds, iterations, progress) -> what a case leaves
    figures: tuple[tuple[str, tuple[str, ...], Callable], ...]  # (name, cases that it needs, drawing of them)
    summarise: Callable[[dict[str, Arrays]], dict]  # case -> plain data, of the cases that are there
    table: Callable[[dict], tuple[list[str], list[list[str]]]]  # the summary as columns and rows


def find(name: str) -> Study:
    """The study called `name`."""
    from imitax.studies import acrobot, theory

    known = {"acrobot": acrobot.STUDY, "theory": theory.STUDY}
    if name not in known:
        raise unknown("study", name, known)
    return known[name]


def study(
    name: str, path: Path, seeds: int, iterations: int | None, only: tuple[str, ...], progress_bar: Callable
) -> dict:
    """Run what is missing in `path`/raw, then draw every figure for which all cases are there."""
    found = find(name)
    iterations = found.iterations if iterations is None else iterations
    for case in only:
        if case not in found.cases:
            raise unknown("case", case, found.cases)
    for option, value in (("seeds", seeds), ("iterations", iterations)):
        if value < 1:
            raise ImitaxError(f"Option {option} is {value}: expected at least 1.")
    raw = path / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    _check_same(raw / "settings.json", {"seeds": seeds, "iterations": iterations, "steps": found.steps})
    for case in only or found.cases:
        file = raw / f"{case}.npz"
        if not file.exists():
            with progress_bar(case) as progress:
                write_arrays(file, found.run(case, seeds, iterations, progress))
    results = {case: _read(raw / f"{case}.npz") for case in found.cases if (raw / f"{case}.npz").exists()}
    (path / "figures").mkdir(exist_ok=True)
    for figure_name, needed, draw in found.figures:
        if all(case in results for case in needed):
            figures.save(draw({case: results[case] for case in needed}), path / "figures" / figure_name)
    summary = found.summarise(results)
    write_json(path / "summary.json", summary)
    write_text(path / "results.md", markdown(*found.table(summary)))
    return summary


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace(" --- ", "---") for line in lines)


def _read(path: Path) -> Arrays:
    try:
        check_file(path)
        with path.open("rb") as file:
            return read_arrays(file)
    except Exception as error:
        raise ImitaxError(
            f"File '{path}' is damaged ({one_line(error)}): remove it to have its case run again."
        ) from error


def _check_same(path: Path, settings: dict) -> None:
    if path.exists():
        found = read_json(path)
        if found != settings:
            raise ImitaxError(
                f"'{path}' is of another study, {brief(found)}: expected {settings}, or another folder."
            )
    write_text(path, json.dumps(settings) + "\n")
