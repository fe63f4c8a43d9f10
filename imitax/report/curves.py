"""The curves of a report: which figures there are, and their numbers. Never imports JAX."""

from typing import Any, NamedTuple

import numpy as np

from imitax.report.results import Results
from imitax.runs.read import RunData
from imitax.stats.estimates import band
from imitax.stats.figures import forward_fill

POINTS = 240  # of a curve, at most
NUMBERS = 250_000  # in all curves of a report, about: many runs with many seeds are drawn more coarsely


class Panel(NamedTuple):
    """One figure: lines of one unit over training."""

    section: str
    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]  # (metric, label)
    note: str
    levels: tuple[tuple[float, str], ...] = ()


PANELS = (
    Panel(
        "learning", "Return of training episodes", "true return", (("episode_return", "sampled actions"),),
        "The true reward, which an imitator never sees. Good: it rises to the expert's line and stays.",
    ),
    Panel(
        "learning", "Length of training episodes", "steps", (("episode_length", "sampled actions"),),
        "Steps until the task or the time limit ended an episode.",
    ),
    Panel(
        "discriminator", "Discriminator scores", "mean D", (("expert_score", "expert pairs"),
        ("policy_score", "policy pairs")),
        "D: the probability that a pair is the expert's. Good: the two part early, then meet near ½.",
        ((0.5, "½"),),
    ),
    Panel(
        "discriminator", "Discriminator loss", "nats", (("discriminator_loss", "cross-entropy"),),
        "Good: it ends near 2 ln 2: expert and policy cannot be told apart. Near 0: they always can.",
        ((2 * float(np.log(2)), "2 ln 2"),),
    ),
    Panel(
        "discriminator", "Feature gap", "gap", (("feature_gap", "expert − policy"),),
        "How far expert and policy are apart in the features. Good: it falls towards 0.",
        ((0.0, "0"),),
    ),
    Panel(
        "reward", "Mean of the reward", "reward", (("reward_mean", "mean"),),
        "Pay for one step, on average. Its level says little; a drift says that pay still changes.",
    ),
    Panel(
        "reward", "Deviation of the reward", "reward", (("reward_std", "deviation"),),
        "How much pay differs between steps. At 0 there is nothing to learn from.",
    ),
    Panel(
        "policy", "Entropy of the policy", "nats", (("entropy", "entropy"),),
        "How random actions are. A fall to the floor at once is a policy that stopped exploring.",
    ),
    Panel(
        "policy", "Change of the policy", "KL, nats", (("kl", "KL divergence"),),
        "How far one iteration moves the policy. Spikes are steps that were too large.",
    ),
    Panel(
        "cloning", "Loss of cloning", "negative log likelihood, nats", (("train_loss", "training pairs"),
        ("validation_loss", "held-out pairs")),
        "The policy that is best on held-out pairs is kept: where the two part, it learns by heart.",
    ),
)  # fmt: skip


def panels_of(runs: list[RunData]) -> list[Panel]:
    """The figures for which a run has numbers."""
    known = {name for run in runs for name, values in run.metrics.items() if np.isfinite(values).any()}
    return [panel for panel in PANELS if any(name in known for name, _ in panel.lines)]


def panel_data(panel: Panel, results: Results) -> dict[str, Any]:
    """A panel for the page's script."""
    levels = [list(level) for level in panel.levels]
    if panel.lines[0][0] == "episode_return":
        known = (results.expert, "expert"), (results.random, "random")
        levels += [[y, label] for y, label in known if y is not None]
    return {"unit": panel.unit, "lines": panel.lines, "levels": levels, "epochs": panel.section == "cloning"}


def curves_of(runs: list[RunData]) -> list[dict[str, Any]]:
    """For each run its x axes and, by metric, the curve over seeds with its band, and that of each seed.

    Long curves are averaged over blocks of iterations.
    """
    shown = {name for panel in PANELS for name, _ in panel.lines}
    wanted = [{name: v for name, v in run.metrics.items() if name in shown} for run in runs]
    width = sum(len(metrics) * (len(run.seeds) + 3) for run, metrics in zip(runs, wanted, strict=True))
    points = int(np.clip(NUMBERS // max(1, width), 20, POINTS))
    return [_curves(run, metrics, points) for run, metrics in zip(runs, wanted, strict=True)]


def _curves(run: RunData, metrics: dict[str, np.ndarray], points: int) -> dict[str, Any]:
    count = len(run.iterations)
    edges = np.linspace(0, count, min(points, count) + 1).round().astype(int)
    ends = edges[1:] - 1
    size = run.run["settings"].get("loop", {}).get("steps")  # of an iteration; cloning has none
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
    """Five significant digits; None for what is not a number."""
    return [float(f"{x:.5g}") if np.isfinite(x) else None for x in values]
