"""What a report is made of: finished runs, read from their folders. Never imports JAX."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imitax.errors import ImitaxError
from imitax.experiment.files import check_parts, read_json
from imitax.experiment.visits import Visits, load_visits

_CONFIG = {
    **{f"run.{name}": str for name in ("method", "env", "agent")},
    **{f"run.{name}": int for name in ("seed", "seeds")},
    "run.settings": dict,
}
_ESTIMATE = {
    **{"mean": float, "interquartile_mean": float, "episodes": int},
    **{"interval": list, "seed_means": list},
}
_SUMMARY = {
    "seconds": float,
    "env_steps_per_seed": int,
    "random.mean": float,
    "random.interval": list,
    **{f"{kind}.{key}": of for kind in ("deterministic", "sampled") for key, of in _ESTIMATE.items()},
}
_OPTIONAL = {  # may be null or absent, but not of another kind
    **{"demonstrations": dict, "versions": dict},
    **{"expert.mean": float, "expert.interval": list, "expert.episodes": int},
}
_KINDS = {str: "text", int: "a whole number", float: "a number", dict: "an object", list: "a list of numbers"}
_OWN = ("iteration", "seed", "seconds")  # of a line of metrics; all else are metrics


class RunData(NamedTuple):
    """A finished run as plain data: S seeds, I iterations (of cloning: epochs)."""

    path: Path
    config: dict[str, Any]  # config.json
    summary: dict[str, Any]  # summary.json
    iterations: np.ndarray  # [I], from 0
    metrics: dict[str, np.ndarray]  # name -> [S, I], NaN where there was nothing to measure
    seconds: np.ndarray | None  # [I], wall time since the start; None where it was not noted
    visits: Visits | None  # None where they were not kept

    @property
    def run(self) -> dict[str, Any]:
        """The settings that determine the run."""
        return self.config["run"]

    @property
    def seeds(self) -> list[int]:
        """The seeds that were trained side by side."""
        return list(range(self.run["seed"], self.run["seed"] + self.run["seeds"]))


def read_runs(paths: list[Path]) -> list[RunData]:
    """The runs in these folders, to be compared.

    Raises:
        ImitaxError: there is none, one is missing, incomplete, damaged or given twice, or they are not
            of one environment with one time limit.
    """
    if not paths:
        raise ImitaxError("A report needs at least one run folder, found none.")
    runs = [read_run(path) for path in paths]
    for index, run in enumerate(runs):
        if run.path.resolve() in [other.path.resolve() for other in runs[:index]]:
            raise ImitaxError(f"Run folder '{run.path}' is given twice: expected different runs.")
        if _task(run) != _task(runs[0]):
            raise ImitaxError(
                f"Runs of different tasks cannot be compared: '{runs[0].path}' is of {_task(runs[0])}, "
                f"'{run.path}' of {_task(run)}."
            )
    return runs


def read_run(path: Path) -> RunData:
    """One run folder; `ImitaxError` names the file that is missing or damaged, and what is wrong with it."""
    check_parts(path, ("config.json", "metrics.jsonl", "summary.json"))
    config = _checked(path / "config.json", _CONFIG)
    for group, values in config["run"]["settings"].items():
        if not isinstance(values, dict):
            raise ImitaxError(
                f"File '{path / 'config.json'}' is not of a run: the settings '{group}' are {values!r}, "
                "expected an object."
            )
    summary = _checked(path / "summary.json", _SUMMARY)
    seeds = config["run"]["seeds"]
    for kind in ("deterministic", "sampled", "random", "expert"):
        found = summary.get(kind) or {"interval": (0, 0)}
        means = found["seed_means"] if kind in ("deterministic", "sampled") else range(seeds)
        if len(means) != seeds or len(found["interval"]) != 2:
            raise ImitaxError(
                f"File '{path / 'summary.json'}' has '{kind}' figures of another form: expected an interval "
                f"of two numbers, and the means of {seeds} seed(s)."
            )
    iterations, metrics = _read_metrics(path / "metrics.jsonl", config["run"]["seed"], seeds)
    seconds = metrics.pop("seconds", None)
    seconds = None if seconds is None or np.isnan(seconds).any() else seconds[0]
    return RunData(path, config, summary, iterations, metrics, seconds, load_visits(path / "visits.npz"))


def _task(run: RunData) -> str:
    limit = run.run.get("time_limit")
    return run.run["env"] + (f" with a time limit of {limit}" if limit else "")


def _checked(path: Path, kinds: dict[str, type]) -> dict[str, Any]:
    """JSON data whose values at the dotted keys of `kinds`, and of `_OPTIONAL` if any, are of these kinds."""
    data = read_json(path)
    for key, kind in [*kinds.items(), *_OPTIONAL.items()]:
        value: Any = data
        if key in _OPTIONAL and data.get(key.split(".")[0]) is None:
            continue
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if not _fits(value, kind):
            raise ImitaxError(
                f"File '{path}' is not of a run: '{key}' is {str(value)[:60]!r}, expected {_KINDS[kind]}."
            )
    return data


def _fits(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(_fits(x, float) for x in value)
    if kind is float:
        return _fits(value, int) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, kind) and not isinstance(value, bool)


def _read_metrics(path: Path, first: int, seeds: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(iterations [I], name -> values [S, I]) of a file with one line for each iteration and seed."""
    cells: dict[tuple[int, int], dict[str, float]] = {}
    for number, text in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        try:
            line = json.loads(text)
            position = int(line["iteration"]), int(line["seed"]) - first
            values = {
                name: np.nan if value is None else float(value)
                for name, value in line.items()
                if name not in _OWN or name == "seconds"
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImitaxError(
                f"File '{path}', line {number}: expected an object of numbers with an iteration and a seed, "
                f"found {text[:60]!r}."
            ) from error
        cells[position] = values
    iterations = sorted({iteration for iteration, _ in cells})
    if not cells or set(cells) != {(i, seed) for i in iterations for seed in range(seeds)}:
        raise ImitaxError(f"File '{path}' lacks lines: expected one for each iteration and {seeds} seed(s).")
    names = sorted({name for values in cells.values() for name in values})
    metrics = {
        name: np.array([[cells[i, seed].get(name, np.nan) for i in iterations] for seed in range(seeds)])
        for name in names
    }
    return np.array(iterations), metrics
