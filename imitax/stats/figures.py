"""Figures from plain arrays. Never imports JAX. Every figure is written as PNG and as SVG."""

from pathlib import Path

import numpy as np

from imitax.files.write import replacing
from imitax.stats.estimates import band

# Okabe & Ito 2008: told apart by colour-blind readers.
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
    """Write path.png and path.svg; the same data give the same bytes."""
    import matplotlib

    with (
        matplotlib.rc_context({"svg.hashsalt": "imitax"}),
        replacing(path.with_suffix(".png")) as png,
        replacing(path.with_suffix(".svg")) as svg,
    ):
        figure.savefig(png, format="png", dpi=130)
        figure.savefig(svg, format="svg", metadata={"Date": None})


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
    """The run at a glance: episode length and return, discriminator, reward; or the losses of cloning."""
    if "validation_loss" in metrics:
        figure, axes = new()
        for name, colour in (("train_loss", COLOURS[0]), ("validation_loss", COLOURS[1])):
            curve(axes[0, 0], metrics[name], name.replace("_", " "), colour)
        axes[0, 0].set(xlabel="epoch", ylabel="negative log likelihood (nats)")
        axes[0, 0].legend(frameon=False)
        return figure
    panels = [p for p in _panels(metrics, summary or {}) if any(name in metrics for name, _ in p[1])]
    columns = min(3, len(panels))
    figure, axes = new(-(-len(panels) // columns), columns, width=4.2, height=2.8)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, lines, levels) in zip(axes.flat, panels, strict=False):
        for (name, label), colour in zip(lines, COLOURS, strict=False):
            if name in metrics:
                curve(axis, metrics[name], label, colour)
        for (y, label), style in zip(levels, ("--", ":"), strict=False):
            level(axis, y, label, style)
        axis.set(xlabel="iteration", title=title)
        if len(lines) + len(levels) > 1:
            axis.legend(frameon=False, fontsize=8)
    return figure


def _panels(metrics, summary):
    """(title, [(metric, label)], [(level, label)]) of each panel."""
    references = [
        (summary[key]["mean"], key) for key in ("expert", "random") if isinstance(summary.get(key), dict)
    ]
    scores = [("expert_score", "expert pairs"), ("policy_score", "policy pairs")]
    return [
        ("true return of training episodes", [("episode_return", "sampled actions")], references),
        ("episode length (steps)", [("episode_length", "sampled actions")], []),
        ("mean discriminator score D", scores, [(0.5, "½")]),
        ("discriminator loss (nats)", [("discriminator_loss", "loss")], [(2 * np.log(2), "2 ln 2")]),
        ("reward the agent is paid", [("reward_mean", "mean"), ("reward_std", "deviation")], []),
        ("largest gap in feature expectations", [("feature_gap", "gap")], []),
        ("objective of IRL (nats)", [("irl_objective", "objective")], []),
        ("policy entropy (nats)", [("entropy", "entropy")], []),
    ]


def forward_fill(values: np.ndarray) -> np.ndarray:
    """Values [S, I] whose gaps take the last value before them; what is missing at the start stays NaN."""
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
