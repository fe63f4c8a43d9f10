"""From raw lines to scores, intervals and times to learn."""

from typing import Any

import numpy as np

from imitax.benchmark.grid import PLANS, Cell, references
from imitax.benchmark.paper import published
from imitax.benchmark.raw import Line, Results
from imitax.errors import ImitaxError
from imitax.stats.estimates import bootstrap_interval, interquartile_mean, normalised

LEARNT = 0.9  # normalised score of training episodes from which a run has learnt the task
Summary = dict[str, Any]


def summarise(cells: list[Cell], results: Results) -> Summary:
    """The scale of each environment, and the returns and scores of every cell that has lines.

    A score is 0 for the random policy and 1 for the expert with sampled actions, as demonstrated.
    """
    scales = {env: _scale(env, results) for env in PLANS if references(env)[0].name in results}
    entries = {}
    for cell in cells:
        if cell.name in results and cell.env in scales:
            lines = [results[cell.name][seed] for seed in sorted(results[cell.name])]
            entries[cell.name] = _entry(cell, lines, scales[cell.env])
    return {"environments": scales, "cells": entries}


def _scale(env: str, results: Results) -> Summary:
    expert, random = (results.get(end.name, {}).get(0) for end in references(env))
    if expert is None or random is None:
        raise ImitaxError(
            f"The raw results lack the expert's or the random policy's line of '{env}'."
        )
    return {
        "time_limit": expert["time_limit"],
        "expert": _described(expert["sampled"]),
        "expert_deterministic": _described(expert["deterministic"]),
        "random": _described(random["sampled"]),
        "expert_env_steps": expert["env_steps"],
    }


def _entry(cell: Cell, lines: list[Line], scale: Summary) -> Summary:
    ends = scale["random"]["mean"], scale["expert"]["mean"]
    deterministic = [np.mean(line["deterministic"]) for line in lines]
    score = normalised(deterministic, *ends)
    sampled = normalised([np.mean(line["sampled"]) for line in lines], *ends)
    entry = {
        "env": cell.env,
        "learner": cell.learner,
        "shown": cell.demos,
        "seeds": len(lines),
        **_described(np.concatenate([line["deterministic"] for line in lines])),
        "scores": np.round(score, 4).tolist(),
        "score": float(interquartile_mean(score)),
        "interval": list(bootstrap_interval(score, interquartile_mean)),
        "score_sampled": float(interquartile_mean(sampled)),
        "env_steps": lines[0]["env_steps"],
        "seconds": float(np.sum([line["seconds"] for line in lines])),
    }
    learnt = [_learnt(line, ends) for line in lines if line["curve"]]
    if learnt:
        entry["learnt"] = sum(x is not None for x in learnt)
        entry["learnt_env_steps"] = _median_or_none(
            [
                None if x is None else x * line["env_steps"]
                for x, line in zip(learnt, lines, strict=True)
            ]
        )
        entry["learnt_seconds"] = _median_or_none(
            [
                None if x is None else x * line["seconds"]
                for x, line in zip(learnt, lines, strict=True)
            ]
        )
    paper = published().get((cell.env, cell.method, cell.demos))
    if paper is not None and not cell.preset:
        entry["paper"] = {"mean": paper.mean, "std": paper.std, "score": paper.score}
    return entry


def _learnt(line: Line, ends: tuple[float, float]) -> float | None:
    """Fraction of training until the mean score of 3 iterations reaches `LEARNT`; None if
    never.
    """
    curve = np.array([np.nan if x is None else x for x in line["curve"]])
    score = normalised(curve, *ends)
    for last in range(2, len(score)):
        if (
            np.all(np.isfinite(score[last - 2 : last + 1]))
            and score[last - 2 : last + 1].mean() >= LEARNT
        ):
            return (last + 1) / len(score)
    return None


def _median_or_none(values: list[float | None]) -> float | None:
    """The median, where a run that never learnt counts as infinite; None if it is infinite."""
    median = float(np.median([np.inf if x is None else x for x in values]))
    return median if np.isfinite(median) else None


def _described(returns) -> Summary:
    return {"mean": float(np.mean(returns)), "std": float(np.std(returns))}
