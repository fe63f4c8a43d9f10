"""Cells of a summary that belong together."""

import numpy as np

from imitax.benchmark.grid import JUNK, PLANS
from imitax.benchmark.summary import Summary

CONTROLS = (
    ("GAIL, expert's demonstrations", "gail", None),  # the plan's `compared` trajectories
    ("constant reward", "constant", ""),
    ("GAIL, a random policy's demonstrations", "gail", JUNK[0]),
    ("GAIL, demonstrations of one constant action", "gail", JUNK[1]),
)


def learner_of(method: str, agent: str) -> str:
    """The learner of a method's cells in the grid of `agent`."""
    return method if method == "bc" else f"{method}-{agent}"


def entry_of(summary: Summary, env: str, learner: str, demos: str = "") -> Summary | None:
    """The entry of a cell; None if it has not run."""
    return summary["cells"].get("/".join(part for part in (env, learner, demos) if part))


def by_count(summary: Summary, method: str, agent: str) -> dict[str, dict[int, Summary]]:
    """Environment -> number of trajectories -> entry, for the cells that have run."""
    learner = learner_of(method, agent)
    return {
        env: {
            n: entry
            for n in PLANS[env].counts
            if (entry := entry_of(summary, env, learner, str(n)))
        }
        for env in summary["environments"]
    }


def controls(
    summary: Summary, agent: str
) -> list[tuple[str, list[tuple[Summary | None, Summary | None]]]]:
    """Rows of (label, (ours, literal) per environment); empty without any control."""
    rows = []
    for label, method, kind in CONTROLS:
        learner = f"{method}-{agent}"
        pairs = []
        for env in summary["environments"]:
            demos = str(PLANS[env].compared) if kind is None else kind
            ours = entry_of(summary, env, learner, demos)
            pairs.append((ours, entry_of(summary, env, f"literal-{learner}", demos)))
        rows.append((label, pairs))
    return rows if any(entry for _, pairs in rows[1:] for pair in pairs for entry in pair) else []


def ablation(
    summary: Summary, agent: str, form: str, env: str
) -> tuple[Summary | None, Summary | None]:
    """(with absorbing states, without)."""
    learner, demos = f"gail-{agent}-{form}", str(PLANS[env].compared)
    return (
        entry_of(summary, env, f"{learner}-absorbing", demos),
        entry_of(summary, env, f"{learner}-literal", demos),
    )


def score_groups(summary: Summary, method: str, agent: str) -> list[np.ndarray]:
    """The scores [S] of every cell of a method."""
    return [
        np.array(entry["scores"])
        for entries in by_count(summary, method, agent).values()
        for entry in entries.values()
    ]
