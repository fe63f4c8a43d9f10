"""Runs a study: a file of raw results per case, and figures and summary from these files alone.

A second call runs only the cases whose file is missing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from imitax.errors import ImitaxError, brief, one_line, unknown
from imitax.files.read import check_file, read_arrays, read_json
from imitax.files.write import write_arrays, write_json, write_text
from imitax.stats import figures
from imitax.studies import acrobot, theory
from imitax.studies.study import Arrays, Study

STUDIES = {"acrobot": acrobot, "theory": theory}

ProgressBar = Callable[[str], AbstractContextManager]  # case -> context with its callbacks


def find(name: str) -> Study:
    """The study called `name`; `ImitaxError` if there is none."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name].STUDY


def run_study(
    name: str,
    path: Path,
    seeds: int,
    iterations: int | None,
    only: tuple[str, ...],
    progress_bar: ProgressBar,
) -> dict[str, Any]:
    """Run the missing cases into `path`/raw, then draw each figure whose cases have all run.

    Args:
        iterations: per run; None: the study's own number
        only: the cases to run; empty: all of them

    Raises:
        ImitaxError: no such study or case, a number below 1, results made with other settings, or
            a damaged file of results.
    """
    study = find(name)
    iterations = study.iterations if iterations is None else iterations
    for case in only:
        if case not in study.cases:
            raise unknown("case", case, study.cases)
    for option, value in (("seeds", seeds), ("iterations", iterations)):
        if value < 1:
            raise ImitaxError(f"Option {option} is {value}: expected at least 1.")
    raw = path / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    settings = {"seeds": seeds, "iterations": iterations, "steps": study.steps}
    check_settings(raw / "settings.json", settings)
    for case in only or study.cases:
        file = raw / f"{case}.npz"
        if not file.exists():
            with progress_bar(case) as callbacks:
                write_arrays(file, study.run(case, seeds, iterations, callbacks))
    return _write_summary(study, path)


def read_case(path: Path) -> Arrays:
    """The results of one case; `ImitaxError` if the file is damaged."""
    try:
        check_file(path)
        with path.open("rb") as file:
            return read_arrays(file)
    except Exception as error:
        raise ImitaxError(
            f"File '{path}' is damaged ({one_line(error)}): remove it to run its case again."
        ) from error


def check_settings(path: Path, settings: dict[str, int]) -> None:
    """Write the settings of a new study to `path`; `ImitaxError` if an earlier one had others."""
    if not path.exists():
        write_json(path, settings)
    elif (earlier := read_json(path)) != settings:
        raise ImitaxError(
            f"'{path}' is of another study, {brief(earlier)}: expected {settings}, or another "
            "folder."
        )


def _write_summary(study: Study, path: Path) -> dict[str, Any]:
    files = {case: path / "raw" / f"{case}.npz" for case in study.cases}
    results = {case: read_case(file) for case, file in files.items() if file.exists()}
    (path / "figures").mkdir(exist_ok=True)
    for name, cases, draw in study.figures:
        if all(case in results for case in cases):
            figures.save(draw({case: results[case] for case in cases}), path / "figures" / name)
    summary = study.summarise(results)
    write_json(path / "summary.json", summary)
    write_text(path / "results.md", _markdown(*study.table(summary)))
    return summary


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace(" --- ", "---") for line in lines)
