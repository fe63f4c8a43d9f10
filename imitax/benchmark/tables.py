"""Tables of a benchmark, in Markdown."""

import numpy as np

from imitax.benchmark.grid import AGENTS, CLASSIC, FORMS, METHODS, PLANS
from imitax.benchmark.summary import LEARNT, Summary
from imitax.benchmark.views import ablation, by_count, controls, score_groups
from imitax.catalogue import method_title
from imitax.stats.estimates import (
    interquartile_mean,
    probability_of_improvement,
    stratified_interval,
)

Table = list[str]  # lines; empty without results


def all_tables(summary: Summary) -> str:
    """All tables that have results, as Markdown."""
    tables = [_ends(summary)]
    for agent in AGENTS:
        tables += [_main_table(summary, env, agent) for env in summary["environments"]]
        tables += [
            _over_all(summary, agent),
            _controls_table(summary, agent),
            _ablation_table(summary, agent),
        ]
    tables.append(_agents_table(summary))
    return "\n\n".join("\n".join(lines) for lines in tables if lines) + "\n"


def _row(*cells) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _header(*cells) -> Table:
    return [_row(*cells), _row(*["---"] * len(cells))]


def _score(entry: Summary | None) -> str:
    if entry is None:
        return ""
    low, high = entry["interval"]
    return f"{entry['score']:.2f} [{low:.2f}, {high:.2f}]"


def _spread(entry: Summary | None) -> str:
    return "" if entry is None else f"{entry['mean']:.1f} ± {entry['std']:.1f}"


def _ends(summary: Summary) -> Table:
    columns = (
        "time limit",
        "random",
        "expert, sampled (score 1)",
        "expert, deterministic",
        "its steps",
    )
    lines = _header("environment", *columns)
    for env, scale in summary["environments"].items():
        spreads = (_spread(scale[name]) for name in ("random", "expert", "expert_deterministic"))
        lines.append(_row(env, scale["time_limit"], *spreads, f"{scale['expert_env_steps']:,}"))
    return lines


def _main_table(summary: Summary, env: str, agent: str) -> Table:
    if agent != AGENTS[0] and not by_count(summary, "gail", agent)[env]:
        return []
    lines = [f"**{env}**, {agent.upper()}", ""]
    lines += _header("trajectories", "method", "paper", "ours", "paper, score", "ours, score")
    rows = []
    for count in PLANS[env].counts:
        for method in METHODS:
            entry = by_count(summary, method, agent)[env].get(count)
            if entry is not None:
                paper = entry.get("paper")
                score = "" if paper is None else f"{paper['score']:.2f}"
                rows.append(
                    _row(
                        count,
                        method_title(method),
                        _spread(paper),
                        _spread(entry),
                        score,
                        _score(entry),
                    )
                )
    return lines + rows if rows else []


def _over_all(summary: Summary, agent: str) -> Table:
    """Every method over all cells, compared with GAIL."""
    lines = [f"**All cells**, {agent.upper()}", ""]
    lines += _header("method", "score", "cells", "least score of a cell", "P(GAIL scores higher)")
    rows = []
    for method in METHODS:
        groups = score_groups(summary, method, agent)
        if not groups:
            continue
        middle, (low, high) = (
            interquartile_mean(np.concatenate(groups)),
            stratified_interval(groups),
        )
        least = min(float(interquartile_mean(group)) for group in groups)
        score = f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        rows.append(
            _row(
                method_title(method),
                score,
                len(groups),
                f"{least:.2f}",
                _gail_is_better(summary, method, agent),
            )
        )
    return lines + rows if len(rows) > 1 else []


def _gail_is_better(summary: Summary, method: str, agent: str) -> str:
    """P(a run of GAIL scores higher than one of `method`), averaged over shared cells."""
    gail, others = by_count(summary, "gail", agent), by_count(summary, method, agent)
    chances = [
        probability_of_improvement(gail[env][count]["scores"], entry["scores"])
        for env, entries in others.items()
        for count, entry in entries.items()
        if count in gail[env]
    ]
    return f"{np.mean(chances):.2f}" if chances and method != "gail" else ""


def _controls_table(summary: Summary, agent: str) -> Table:
    entries = controls(summary, agent)
    if not entries:
        return []
    lines = [f"**Controls**, {agent.upper()}", ""]
    envs, literal = summary["environments"], any(pair[1] for _, pairs in entries for pair in pairs)
    if not literal:  # no empty columns
        rows = [_row(label, *(_score(ours) for ours, _ in pairs)) for label, pairs in entries]
        return lines + _header("learner", *envs) + rows
    lines += _header("learner", *(f"{env}, {kind}" for env in envs for kind in ("ours", "literal")))
    return lines + [
        _row(label, *(_score(e) for pair in pairs for e in pair)) for label, pairs in entries
    ]


def _ablation_table(summary: Summary, agent: str) -> Table:
    envs = [env for env in CLASSIC if env in summary["environments"]]
    counts = " or ".join(sorted({str(PLANS[env].compared) for env in envs}))
    lines = [f"**Reward form × absorbing states**, {agent.upper()}, {counts} trajectories", ""]
    lines += _header(
        "reward form", *(f"{env}, {kind}" for env in envs for kind in ("absorbing", "literal"))
    )
    rows = []
    for form in FORMS:
        entries = [entry for env in envs for entry in ablation(summary, agent, form, env)]
        if any(entries):
            rows.append(_row(f"`{form}`", *map(_score, entries)))
    return lines + rows if rows else []


def _agents_table(summary: Summary) -> Table:
    """How soon each agent learns, in steps and in seconds."""
    by_agent = {agent: by_count(summary, "gail", agent) for agent in AGENTS}
    if not all(any(entries.values()) for entries in by_agent.values()):
        return []
    lines = [f"**PPO and TRPO**: GAIL's median way to a score of {LEARNT} in training episodes", ""]
    names = ("score", "learnt", "steps", "seconds a seed")
    columns = [f"{agent.upper()}, {name}" for agent in AGENTS for name in names]
    lines += _header("environment", "trajectories", *columns)
    for env in summary["environments"]:
        for count in PLANS[env].counts:
            entries = [entry for agent in AGENTS if (entry := by_agent[agent][env].get(count))]
            if len(entries) == len(AGENTS):
                lines.append(
                    _row(env, count, *(text for entry in entries for text in _speed(entry)))
                )
    return lines


def _speed(entry: Summary) -> tuple[str, str, str, str]:
    steps, seconds = entry["learnt_env_steps"], entry["learnt_seconds"]
    learnt = f"{entry['learnt']} of {entry['seeds']}"
    if steps is None:
        return _score(entry), learnt, "never", ""
    return _score(entry), learnt, f"{steps:,.0f}", f"{seconds:.1f}"
