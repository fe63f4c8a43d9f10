"""Figures from plain arrays, written as PNG and as SVG. Never imports JAX."""

from pathlib import Path

import numpy as np

from imitax.files.write import replacing
from imitax.stats.estimates import band
from imitax.stats.panels import Panel, panels_with

# Okabe & Ito 2008: colour-blind readers can distinguish them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new(rows: int = 1, columns: int = 1, width: float = 5.2, height: float = 3.4):
    """A figure and its axes [rows, columns], in the package's style, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, axes


def save(figure, path: Path) -> None:
    """Write path.png and path.svg; a figure of the same data gives the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # One layout for both, and no rehearsal as in `savefig`: together they take most of the time.
    figure.set_dpi(130)
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    with (
        matplotlib.rc_context({"svg.hashsalt": "imitax"}),
        replacing(path.with_suffix(".png")) as png,
        replacing(path.with_suffix(".svg")) as svg,
    ):
        FigureCanvasAgg(figure).print_png(png)
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})


def curve(axis, values: np.ndarray, label: str, colour: str, smooth: int = 1) -> None:
    """Interquartile mean over seeds of values [S, I], its 95 % interval shaded.

    Gaps (iterations in which no episode ended) take the last value before them.
    """
    values = _moving_mean(forward_fill(np.asarray(values, np.float64)), smooth)
    middle, low, high = band(values)
    x = np.arange(1, values.shape[1] + 1)
    axis.plot(x, middle, color=colour, label=label, linewidth=1.6)
    axis.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def level(axis, y: float, label: str, style: str = "--") -> None:
    """A horizontal reference line with its name in the legend."""
    axis.axhline(y, color="0.35", linestyle=style, linewidth=1.1, label=label)


def learning_curves(metrics: dict[str, np.ndarray], summary: dict | None = None):
    """The run at a glance: every panel for which there are metrics, values [S, I]."""
    panels = panels_with({name for name, values in metrics.items() if np.isfinite(values).any()})
    count = max(1, len(panels))
    columns = min(3, count)
    figure, axes = new(-(-count // columns), columns, width=4.2, height=2.8)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, panel, metrics, summary or {})
    return figure


def _draw_panel(axis, panel: Panel, metrics: dict[str, np.ndarray], summary: dict) -> None:
    """Lines, reference lines and titles; the expert's and the random policy's return come from
    `summary`.
    """
    levels = panel.levels
    if panel.lines[0][0] == "episode_return":
        names = [name for name in ("expert", "random") if isinstance(summary.get(name), dict)]
        levels += tuple((summary[name]["mean"], name) for name in names)
    for (name, label), colour in zip(panel.lines, COLOURS, strict=False):
        if name in metrics:
            curve(axis, metrics[name], label, colour)
    for (y, label), style in zip(levels, ("--", ":"), strict=False):
        level(axis, y, label, style)
    axis.set(xlabel="round" if panel.section == "cloning" else "iteration", ylabel=panel.unit)
    axis.set(title=panel.title)
    if len(panel.lines) + len(levels) > 1:
        axis.legend(frameon=False, fontsize=8)


def forward_fill(values: np.ndarray) -> np.ndarray:
    """Values [S, I] with gaps filled by the last value before them; gaps at the start stay NaN."""
    index = np.where(np.isfinite(values), np.arange(values.shape[1]), 0)
    np.maximum.accumulate(index, axis=1, out=index)
    return np.take_along_axis(values, index, axis=1)


def _moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last `width` values (fewer at the start)."""
    if width <= 1:
        return values
    total = np.cumsum(np.nan_to_num(values), axis=1)
    count = np.cumsum(np.isfinite(values), axis=1)
    total[:, width:] -= total[:, :-width].copy()
    count[:, width:] -= count[:, :-width].copy()
    return total / np.maximum(count, 1)
