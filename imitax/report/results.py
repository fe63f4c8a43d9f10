"""The headline: the returns of the policies, compared with the expert, chance and one another."""

from collections import Counter
from typing import Any, NamedTuple

from imitax.catalogue import method_info, method_title
from imitax.runs.read import RunData
from imitax.stats.estimates import normalised


class Estimate(NamedTuple):
    """A mean return with its 95 % interval, and the same as scores (None without an expert)."""

    middle: float
    low: float
    high: float
    score: float | None
    score_low: float | None
    score_high: float | None


class Row(NamedTuple):
    """A row of the table of results."""

    label: str
    note: str  # sample size: "3 seeds"
    run: int | None  # index of the run; None for the two references
    deterministic: Estimate | None
    sampled: Estimate | None


class Results(NamedTuple):
    """All rows of the table, and which run the report is about."""

    rows: list[Row]
    lead: int
    random: float
    expert: float | None


def labels_of(runs: list[RunData]) -> list[str]:
    """A name for each run; where two have the same method, the folder as well."""
    titles = [method_title(run.run["method"], run.run["agent"]) for run in runs]
    names = titles
    for folders in ([run.path.name for run in runs], [str(run.path) for run in runs]):
        counts = Counter(names)
        names = [
            f"{title} · {folder}" if counts[name] > 1 else name
            for name, title, folder in zip(names, titles, folders, strict=True)
        ]
    return names


def results_of(runs: list[RunData], labels: list[str]) -> Results:
    """The runs, then the expert and the random policy.

    Score 0 is the random policy, score 1 the demonstrations: those of the run with the most
    episodes. The report is about the first run that learns a reward from demonstrations.
    """
    random = runs[0].summary["random"]
    experts = [run.summary["expert"] for run in runs if isinstance(run.summary.get("expert"), dict)]
    expert = max(experts, key=lambda described: described["episodes"], default=None)
    scale = random["mean"], None if expert is None else expert["mean"]

    rows = []
    for index, (run, label) in enumerate(zip(runs, labels, strict=True)):
        seeds = len(run.seeds)
        note = f"{seeds} seed{'s' * (seeds > 1)}"
        both = (_estimate(run.summary[kind], *scale) for kind in ("deterministic", "sampled"))
        rows.append(Row(label, note, index, *both))
    if expert is not None:
        episodes = expert["episodes"]
        note = f"{episodes} demonstrated episode{'s' * (episodes > 1)}"
        rows.append(Row("the expert", note, None, None, _estimate(expert, *scale)))
    rows.append(Row("a random policy", "uniform actions", None, None, _estimate(random, *scale)))
    lead = next(
        (i for i, run in enumerate(runs) if method_info(run.run["method"]).learns_reward), 0
    )
    return Results(rows, lead, *scale)


def _estimate(described: dict[str, Any], random: float, expert: float | None) -> Estimate:
    middle = described.get("interquartile_mean", described["mean"])
    values = middle, *described["interval"]
    if expert is None or expert == random:
        return Estimate(*values, None, None, None)
    return Estimate(*values, *normalised(values, random, expert).tolist())
