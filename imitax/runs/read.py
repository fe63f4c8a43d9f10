"""Runs as plain data, read from their folders for reports and diagnoses. Never imports JAX."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imitax.errors import ImitaxError, brief, one_line
from imitax.files.read import is_number, parse_json, read_text
from imitax.runs.samples import ObservationSamples, load_samples
from imitax.runs.schema import check_parts, read_config, read_summary

_INDEX = ("iteration", "seed")  # of a line of metrics.jsonl; all else are metrics, and the seconds


class RunData(NamedTuple):
    """A finished run as plain data: S seeds, I iterations (of cloning: rounds)."""

    path: Path
    config: dict[str, Any]  # config.json
    summary: dict[str, Any]  # summary.json
    iterations: np.ndarray  # [I], from 0
    metrics: dict[str, np.ndarray]  # name -> [S, I], NaN where there was nothing to measure
    seconds: np.ndarray | None  # [I], wall time since the start; None if it was not recorded
    visits: ObservationSamples | None  # None if they were not kept

    @property
    def run(self) -> dict[str, Any]:
        """The configuration that determines the run."""
        return self.config["run"]

    @property
    def seeds(self) -> list[int]:
        """The seeds, which were trained side by side."""
        return list(range(self.run["seed"], self.run["seed"] + self.run["seeds"]))


def read_runs(paths: list[Path]) -> list[RunData]:
    """The runs in these folders, to be compared.

    Raises:
        ImitaxError: no folder is given, one is missing, incomplete, damaged or given twice, or the
            runs are not of one environment with one time limit.
    """
    if not paths:
        raise ImitaxError("A report needs at least one run folder, found none.")
    runs = [read_run(path) for path in paths]
    for index, run in enumerate(runs):
        if run.path.resolve() in [other.path.resolve() for other in runs[:index]]:
            raise ImitaxError(f"Run folder '{run.path}' is given twice: expected different runs.")
        if _task(run) != _task(runs[0]):
            raise ImitaxError(
                f"Runs of different tasks cannot be compared: '{runs[0].path}' is of "
                f"{_task(runs[0])}, '{run.path}' of {_task(run)}."
            )
    return runs


def read_run(path: Path, unfinished: bool = False) -> RunData:
    """One run folder; `ImitaxError` names the file that is missing or damaged, and what is wrong
    with it.

    With `unfinished`, its summary may be missing, which is then empty, and its last lines may be
    cut off.
    """
    unfinished &= not (path / "summary.json").is_file()
    check_parts(path, ("config.json", "metrics.jsonl", *(() if unfinished else ("summary.json",))))
    config = read_config(path / "config.json")
    seeds = config["run"]["seeds"]
    summary = {} if unfinished else read_summary(path / "summary.json", seeds)
    iterations, metrics = _read_metrics(
        path / "metrics.jsonl", config["run"]["seed"], seeds, unfinished
    )
    seconds = metrics.pop("seconds", None)
    seconds = None if seconds is None or np.isnan(seconds).any() else seconds[0]
    return RunData(
        path, config, summary, iterations, metrics, seconds, load_samples(path / "visits.npz")
    )


def _task(run: RunData) -> str:
    limit = run.run.get("time_limit")
    return run.run["env"] + (f" with a time limit of {limit}" if limit else "")


def _read_metrics(
    path: Path, first: int, seeds: int, unfinished: bool
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(iterations [I], name -> values [S, I]) of a file with one line for each iteration and seed.

    The last iteration of an `unfinished` file is left out if it is incomplete.
    """
    cells: dict[tuple[int, int], dict[str, float]] = {}
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ImitaxError(f"File '{path}' cannot be read: {one_line(error)}.") from error
    lines = text.splitlines()
    if unfinished:
        complete = text.count("\n")
        lines = lines[: complete - complete % seeds]  # the seeds of an iteration stand together
    for number, line in enumerate(lines, start=1):
        try:
            entry = parse_json(line)
            position = _count(entry["iteration"]), _count(entry["seed"]) - first
            values = {name: _number(value) for name, value in entry.items() if name not in _INDEX}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImitaxError(
                f"File '{path}', line {number}: expected an object of numbers with an iteration "
                f"and a seed, found {brief(line)}."
            ) from error
        cells[position] = values
    iterations = sorted({iteration for iteration, _ in cells})
    if not cells or set(cells) != {(i, seed) for i in iterations for seed in range(seeds)}:
        raise ImitaxError(
            f"File '{path}' lacks lines: expected one for each iteration and {seeds} seed(s)."
        )
    names = sorted({name for values in cells.values() for name in values})
    metrics = {
        name: np.array(
            [[cells[i, seed].get(name, np.nan) for i in iterations] for seed in range(seeds)]
        )
        for name in names
    }
    return np.array(iterations), metrics


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError("not a count")
    return value


def _number(value: Any) -> float:
    if value is not None and not is_number(value):
        raise ValueError("not a number")
    return np.nan if value is None else float(value)
