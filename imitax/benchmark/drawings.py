"""Figures of a benchmark, each for one agent; None where there is nothing to draw."""

import numpy as np

from imitax.benchmark.grid import CLASSIC, FORMS, METHODS, PLANS
from imitax.benchmark.summary import Summary
from imitax.benchmark.views import ablation, by_count, controls, score_groups
from imitax.catalogue import method_title
from imitax.stats import figures
from imitax.stats.estimates import performance_profile, profile_band


def draw_trajectories(summary: Summary, agent: str):
    """Score by number of trajectories, as in the paper's figure 1(a); open markers: its means."""
    if not score_groups(summary, "gail", agent):
        return None
    figure, axes = _grid(summary["environments"], 3.4)
    for axis, env in zip(axes.flat, summary["environments"], strict=False):
        figures.level(axis, 1.0, "expert")
        figures.level(axis, 0.0, "random", ":")
        for method, colour in zip(METHODS, figures.COLOURS, strict=False):
            entries = by_count(summary, method, agent)[env]
            if not entries:
                continue
            x = list(entries)
            low, high = zip(*(entry["interval"] for entry in entries.values()), strict=True)
            middle = [entry["score"] for entry in entries.values()]
            axis.plot(x, middle, "o-", color=colour, markersize=4, label=method_title(method))
            axis.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
            paper = {
                count: entry["paper"]["score"]
                for count, entry in entries.items()
                if "paper" in entry
            }
            label = "the paper's mean" if method == METHODS[-1] else None
            axis.plot(
                list(paper),
                list(paper.values()),
                "o",
                mfc="none",
                color=colour,
                markersize=7,
                label=label,
            )
        limit = summary["environments"].get(env, {}).get("time_limit", "?")
        axis.set(
            xlabel="demonstrated trajectories",
            title=f"{env}, limit {limit}",
            xticks=PLANS[env].counts,
        )
        few, many = PLANS[env].counts[0], PLANS[env].counts[-1]
        axis.set_xlim(few - (0.05 * (many - few) or 1), many + (0.05 * (many - few) or 1))
        axis.set_ylim(min(-0.1, axis.get_ylim()[0]), max(1.1, axis.get_ylim()[1]))
    axes[0, 0].set_ylabel("normalised score")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False
    )
    return figure


def draw_profiles(summary: Summary, agent: str):
    """Performance profile: the share of runs, over all cells, that score above τ."""
    if not score_groups(summary, "gail", agent):
        return None
    figure, axes = figures.new(width=5.6, height=3.6)
    axis, thresholds = axes[0, 0], np.linspace(-0.1, 1.2, 261)
    for method, colour in zip(METHODS, figures.COLOURS, strict=False):
        groups = score_groups(summary, method, agent)
        if groups:
            axis.plot(
                thresholds,
                performance_profile(groups, thresholds),
                color=colour,
                label=method_title(method),
            )
            axis.fill_between(
                thresholds, *profile_band(groups, thresholds), color=colour, alpha=0.18, linewidth=0
            )
    axis.set(xlabel="normalised score τ", ylabel="share of runs with score > τ", ylim=(0, 1.03))
    axis.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def draw_controls(summary: Summary, agent: str):
    """GAIL and its controls, our setting beside the literal one."""
    rows_of_controls = controls(summary, agent)
    if not rows_of_controls:
        return None
    labels = [label for label, _ in rows_of_controls]
    rows = {
        env: [pairs[i] for _, pairs in rows_of_controls]
        for i, env in enumerate(summary["environments"])
    }
    return _draw_pairs(
        rows, labels, ("ours: relative to the absorbing state", "literal: the paper's reward")
    )


def draw_ablation(summary: Summary, agent: str):
    """Every reward form, with and without absorbing states."""
    envs = [env for env in CLASSIC if env in summary["environments"]]
    rows = {env: [ablation(summary, agent, form, env) for form in FORMS] for env in envs}
    if not any(entry for row in rows.values() for pair in row for entry in pair):
        return None
    return _draw_pairs(rows, list(FORMS), ("absorbing states", "literal"))


def _grid(envs, height: float):
    """A panel for each environment, three in a row; the rest of the last row is blank."""
    rows = -(-len(envs) // 3)
    figure, axes = figures.new(rows, min(len(envs), 3), width=4.2, height=height)
    for axis in axes.flat[len(envs) :]:
        axis.axis("off")
    return figure, axes


def _draw_pairs(rows, labels: list[str], kinds: tuple[str, str]):
    """Means, intervals, and a dot per seed, of rows[environment][label] = (entry, entry).

    Of the two `kinds`, one without any entry is left out.
    """
    figure, axes = _grid(rows, 0.9 + 0.55 * len(labels))
    present = [
        kind for kind in (0, 1) if any(pair[kind] for pairs in rows.values() for pair in pairs)
    ]
    for axis, (env, pairs) in zip(axes.flat, rows.items(), strict=False):
        for x, style in ((0.0, ":"), (1.0, "--")):
            axis.axvline(x, color="0.35", linestyle=style, linewidth=1.0)
        for kind in present:
            colour, offset, marker = (
                (figures.COLOURS[0], -0.15, "o"),
                (figures.COLOURS[1], 0.15, "s"),
            )[kind]
            for y, pair in enumerate(pairs):
                if (entry := pair[kind]) is not None:
                    low, high = entry["interval"]
                    at = y + offset
                    axis.plot(entry["scores"], [at] * entry["seeds"], ".", color=colour, alpha=0.35)
                    axis.plot([low, high], [at, at], color=colour, linewidth=2)
                    axis.plot(entry["score"], at, marker, color=colour, markersize=6)
            axis.plot([], [], marker, color=colour, label=kinds[kind])
        axis.set(title=env, xlabel="normalised score", ylim=(len(labels) - 0.5, -0.5))
        axis.set_yticks(
            range(len(labels)), labels if axis in axes[:, 0] else [""] * len(labels), fontsize=8
        )
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


FIGURES = {
    "trajectories": draw_trajectories,
    "profiles": draw_profiles,
    "controls": draw_controls,
    "ablation": draw_ablation,
}
