"""The results of Ho & Ermon 2016 (arXiv 1606.03476), tables 1 and 3, over pooled episodes."""

import csv
from functools import cache
from importlib import resources
from typing import NamedTuple

# Our environment -> the paper's: the classic ones have a limit of 200 steps, the MuJoCo ones other
# rewards and another engine.
NAMES = {
    "CartPole-v1": "CartPole-v0",
    "Acrobot-v1": "Acrobot-v0",
    "MountainCar-v0": "MountainCar-v0",
    **{
        f"{name}-v5": f"{name}-v1"
        for name in ("Reacher", "HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid")
    },
}


class Published(NamedTuple):
    """A published return; its score is 0 for the paper's random policy and 1 for its expert."""

    mean: float
    std: float
    score: float


@cache
def published() -> dict[tuple[str, str, str], Published]:
    """(our environment, method, trajectories) -> result; methods include "expert" and "random"."""
    results = {}
    ends = {row["environment"]: row for row in _rows("gail_paper_table1.csv")}
    for env, name in NAMES.items():
        low, high = float(ends[name]["random_mean"]), float(ends[name]["expert_mean"])

        def result(mean: str, std: str, low=low, high=high) -> Published:
            return Published(float(mean), float(std), (float(mean) - low) / (high - low))

        for kind in ("expert", "random"):
            results[env, kind, ""] = result(ends[name][f"{kind}_mean"], ends[name][f"{kind}_std"])
        for row in _rows("gail_paper_table3.csv"):
            if row["environment"] == name:
                # Of three settings on Reacher, the one without an entropy bonus, as elsewhere.
                method = row["method"].removesuffix(" (entropy 0)")
                results[env, method, row["trajectories"]] = result(row["mean"], row["std"])
    return results


def _rows(name: str) -> list[dict[str, str]]:
    return list(
        csv.DictReader(resources.files("imitax.benchmark").joinpath(name).read_text().splitlines())
    )
