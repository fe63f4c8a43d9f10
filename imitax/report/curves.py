"""The numbers behind the curves of a report. Never imports JAX."""

from typing import Any

import numpy as np

from imitax.report.results import Results
from imitax.runs.read import RunData
from imitax.stats.estimates import band
from imitax.stats.figures import forward_fill
from imitax.stats.panels import PANELS, Panel, panels_with

MAX_POINTS = 240  # of a curve
# in all curves of a report, roughly: many runs with many seeds are drawn more coarsely
MAX_NUMBERS = 250_000


def panels_of(runs: list[RunData]) -> list[Panel]:
    """The figures for which a run has numbers."""
    return panels_with(
        {name for run in runs for name, values in run.metrics.items() if np.isfinite(values).any()}
    )


def panel_data(panel: Panel, results: Results) -> dict[str, Any]:
    """A panel for the page's script."""
    levels = [list(level) for level in panel.levels]
    if panel.lines[0][0] == "episode_return":
        references = (results.expert, "expert"), (results.random, "random")
        levels += [[y, label] for y, label in references if y is not None]
    return {
        "unit": panel.unit,
        "lines": panel.lines,
        "levels": levels,
        "epochs": panel.section == "cloning",
    }


def curves_of(runs: list[RunData]) -> list[dict[str, Any]]:
    """For each run its x axes and, by metric, the curve over seeds with its band, and that of each
    seed.

    Long curves are averaged over blocks of iterations.
    """
    names = {name for panel in PANELS for name, _ in panel.lines}
    drawn = [{name: v for name, v in run.metrics.items() if name in names} for run in runs]
    width = sum(
        len(metrics) * (len(run.seeds) + 3) for run, metrics in zip(runs, drawn, strict=True)
    )
    points = int(np.clip(MAX_NUMBERS // max(1, width), 20, MAX_POINTS))
    return [_curves(run, metrics, points) for run, metrics in zip(runs, drawn, strict=True)]


def _curves(run: RunData, metrics: dict[str, np.ndarray], points: int) -> dict[str, Any]:
    count = len(run.iterations)
    edges = np.linspace(0, count, min(points, count) + 1).round().astype(int)
    ends = edges[1:] - 1
    loop = run.run["settings"].get("loop", {})  # cloning has none
    size = loop.get("env_steps")  # of an iteration
    series = {}
    for name, values in metrics.items():
        if np.isfinite(values).any():
            values = np.add.reduceat(forward_fill(values), edges[:-1], axis=1) / np.diff(edges)
            middle, low, high = map(rounded, band(values))
            series[name] = {"middle": middle, "seeds": [rounded(one) for one in values]}
            if len(values) > 1:
                series[name] |= {"low": low, "high": high}
    return {
        "iterations": (run.iterations[ends] + 1).tolist(),
        "steps": [int(i + 1) * size for i in run.iterations[ends]] if size else None,
        "seconds": rounded(run.seconds[ends]) if size and run.seconds is not None else None,
        "series": series,
    }


def rounded(values: np.ndarray) -> list[float | None]:
    """Five significant digits; None for NaN and infinity."""
    return [float(f"{x:.5g}") if np.isfinite(x) else None for x in values]
