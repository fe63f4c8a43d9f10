"""The headline: what the policies return, beside the expert, chance and one another. Never imports JAX."""

from collections import Counter
from typing import Any, NamedTuple

from imitax.runs.read import RunData
from imitax.stats.estimates import normalised

NAMES = {
    "bc": "behaviour cloning",
    "fem": "FEM",
    "gail": "GAIL",
    "gtal": "GTAL",
    "constant": "constant reward (control)",
    "rl": "{agent} on the true reward",
}
BESIDE = ("bc", "constant", "rl")  # what a method is compared with; one of the others comes first


class Estimate(NamedTuple):
    """A mean return with its 95 % interval, and the same as scores (None without an expert)."""

    middle: float
    low: float
    high: float
    score: float | None
    score_low: float | None
    score_high: float | None


class Row(NamedTuple):
    """A line of the table of results."""

    label: str
    note: str  # of how much it is known
    run: int | None  # index of the run; None for the two references
    deterministic: Estimate | None
    sampled: Estimate | None


class Results(NamedTuple):
    """All lines of the table, and which run the report is about."""

    rows: list[Row]
    lead: int
    random: float
    expert: float | None


def labels_of(runs: list[RunData]) -> list[str]:
    """A name for each run; where two have the same method, the folder as well."""
    names = [NAMES.get(r.run["method"], r.run["method"]).format(agent=r.run["agent"].upper()) for r in runs]
    for extra in ([run.path.name for run in runs], [str(run.path) for run in runs]):
        many = Counter(names)
        if max(many.values()) == 1:
            break
        names = [
            f"{name.split(' · ')[0]} · {more}" if many[name] > 1 else name
            for name, more in zip(names, extra, strict=True)
        ]
    return names


def results_of(runs: list[RunData], labels: list[str]) -> Results:
    """Runs, then the expert and the random policy.

    Score 0 is the random policy, score 1 the demonstrations: of all runs, those with most episodes.
    """
    random = runs[0].summary["random"]
    shown = [run.summary["expert"] for run in runs if isinstance(run.summary.get("expert"), dict)]
    expert = max(shown, key=lambda described: described["episodes"], default=None)
    ends = random["mean"], None if expert is None else expert["mean"]

    rows = []
    for index, (run, label) in enumerate(zip(runs, labels, strict=True)):
        seeds = len(run.seeds)
        note = f"{seeds} seed{'s' * (seeds > 1)}"
        both = (_estimate(run.summary[kind], *ends) for kind in ("deterministic", "sampled"))
        rows.append(Row(label, note, index, *both))
    if expert is not None:
        episodes = expert["episodes"]
        note = f"{episodes} demonstrated episode{'s' * (episodes > 1)}"
        rows.append(Row("the expert", note, None, None, _estimate(expert, *ends)))
    rows.append(Row("a random policy", "uniform actions", None, None, _estimate(random, *ends)))
    lead = next((i for i, run in enumerate(runs) if run.run["method"] not in BESIDE), 0)
    return Results(rows, lead, *ends)


def _estimate(described: dict[str, Any], random: float, expert: float | None) -> Estimate:
    middle = described.get("interquartile_mean", described["mean"])
    values = middle, *described["interval"]
    if expert is None or expert == random:
        return Estimate(*values, None, None, None)
    return Estimate(*values, *normalised(values, random, expert).tolist())
