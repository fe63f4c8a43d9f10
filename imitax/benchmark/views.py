"""Which cells of a summary belong together. Never imports JAX."""

import numpy as np

from imitax.benchmark.grid import JUNK, PLANS
from imitax.benchmark.summary import Summary

CONTROLS = (
    ("GAIL, expert's demonstrations", "gail", None),  # as many as are compared
    ("constant reward", "constant", ""),
    ("GAIL, a random policy's demonstrations", "gail", JUNK[0]),
    ("GAIL, demonstrations of one constant action", "gail", JUNK[1]),
)


def learner_of(method: str, agent: str) -> str:
    """The name that a method's cells have in the grid of `agent`."""
    return method if method == "bc" else f"{method}-{agent}"


def entry_of(summary: Summary, env: str, learner: str, shown: str = "") -> Summary | None:
    """What is known of a cell, if it was run."""
    return summary["cells"].get("/".join(part for part in (env, learner, shown) if part))


def by_count(summary: Summary, method: str, agent: str) -> dict[str, dict[int, Summary]]:
    """Environment -> number of trajectories -> entry, of those that there are."""
    learner = learner_of(method, agent)
    return {
        env: {n: entry for n in PLANS[env].counts if (entry := entry_of(summary, env, learner, str(n)))}
        for env in summary["environments"]
    }


def controls(summary: Summary, agent: str) -> list[tuple[str, list[tuple[Summary | None, Summary | None]]]]:
    """(label, per environment (ours, literal)); empty without any control."""
    found = []
    for label, method, shown in CONTROLS:
        learner = f"{method}-{agent}"
        pairs = []
        for env in summary["environments"]:
            of = str(PLANS[env].compared) if shown is None else shown
            pairs.append(
                (entry_of(summary, env, learner, of), entry_of(summary, env, f"literal-{learner}", of))
            )
        found.append((label, pairs))
    return found if any(entry for _, pairs in found[1:] for pair in pairs for entry in pair) else []


def ablation(summary: Summary, agent: str, form: str, env: str) -> tuple[Summary | None, Summary | None]:
    """(with absorbing states, without)."""
    learner, shown = f"gail-{agent}-{form}", str(PLANS[env].compared)
    return (
        entry_of(summary, env, f"{learner}-absorbing", shown),
        entry_of(summary, env, f"{learner}-literal", shown),
    )


def score_groups(summary: Summary, method: str, agent: str) -> list[np.ndarray]:
    """The scores [S] of every cell of a method."""
    return [
        np.array(entry["scores"])
        for entries in by_count(summary, method, agent).values()
        for entry in entries.values()
    ]
