"""The figures of the theory study, each drawn from the results of its cases."""

import numpy as np

from imitax.catalogue import method_title
from imitax.stats import figures
from imitax.stats.estimates import interquartile_mean
from imitax.studies.study import Arrays
from imitax.tabular.solve import policy_of
from imitax.tabular.worlds import MAPS, MOVES

_CELLS = np.array([list(row) for row in MAPS["gridworld"]])
_COUNTS = (4, 64)  # numbers of trajectories in the figure of occupancies


def _grid(axis, values: np.ndarray, title: str, colours: str, low: float, high: float):
    """A map of values [S] with dark walls, and letters for start, goal and hole."""
    cells = np.where(_CELLS == "#", np.nan, values.reshape(_CELLS.shape))
    image = axis.imshow(cells, cmap=colours, vmin=low, vmax=high)
    axis.set_facecolor("0.25")
    for (y, x), letter in np.ndenumerate(_CELLS):
        if letter in "SGH":
            axis.text(x - 0.45, y - 0.2, letter, fontsize=8, fontweight="bold", color="#D55E00")
    axis.set(title=title, xticks=[], yticks=[])
    axis.grid(False)
    return image


def _arrows(axis, rho: np.ndarray) -> None:
    """Arrows for the mean move of the policy in every visited cell."""
    steps = np.array([(dx, -dy) for dy, dx in MOVES.values()])
    visits = rho.sum(axis=1)
    mean = policy_of(rho) @ steps
    cells = np.flatnonzero(visits > 0.01 * visits.max())
    y, x = np.divmod(cells, _CELLS.shape[1])
    axis.quiver(x, y, *mean[cells].T, color="0.25", scale=18, width=0.008)


def occupancies(results: dict[str, Arrays]):
    """(a) Discounted visits of the expert, and of learners from few and many trajectories."""
    grid = results["grid"]
    panels = [("expert", grid["expert"])]
    for count in _COUNTS:
        panels += [(f"MCE IRL, {count} trajectories", grid[f"irl_{count}"])]
        panels += [(f"cloning, {count} trajectories", grid[f"bc_{count}"])]
    figure, axes = figures.new(1, len(panels), width=2.7, height=2.9)
    high = grid["expert"].sum(axis=1).max()
    images = []
    for axis, (title, rho) in zip(axes[0], panels, strict=True):
        images.append(_grid(axis, rho.sum(axis=1), title, "Blues", 0, high))
        _arrows(axis, rho)
    figure.colorbar(images[-1], ax=axes[0, -1], label="discounted visits ρ(s)", shrink=0.8)
    return figure


def rewards(results: dict[str, Arrays]):
    """(b) True and learnt rewards, and the returns of planning with a learnt one elsewhere."""
    grid = results["grid"]
    figure, axes = figures.new(1, 4, width=3.0, height=2.9)
    panels = (
        ("true reward", "reward"),
        ("learnt, linear", "reward_linear"),
        ("learnt, each pair", "reward_tabular"),
    )
    for axis, (title, key) in zip(axes[0], panels, strict=False):
        values = grid[key].mean(axis=1)
        if key != "reward":
            title += f" (corr. {float(grid[key.replace('reward', 'correlation')]):.2f})"
        # A reward is determined up to shaping and scale: each map has its own colour scale.
        limit = abs(values[_CELLS.reshape(-1) != "#"]).max()
        _grid(axis, values, title, "PuOr", -limit, limit)
    axis = axes[0, 3]
    labels = ("random", "old policy", "replanned", "best")
    for row, (name, values) in enumerate(results["transfer"].items()):
        axis.plot(values, np.arange(4) + 5 * row, "o", color=figures.COLOURS[row], label=name)
    axis.set(
        yticks=[*range(4), *range(5, 9)],
        yticklabels=labels * 2,
        title="the linear reward elsewhere",
    )
    axis.set(xlabel="true return, discounted")
    axis.legend(frameon=False, fontsize=7, loc="upper left")
    return figure


def matching(results: dict[str, Arrays]):
    """(c) Matching error per iteration, and true return by number of trajectories."""
    grid = results["grid"]
    figure, axes = figures.new(1, 2, width=4.8)
    left, right = axes[0]
    for name, colour in zip(("linear", "state", "tabular"), figures.COLOURS, strict=False):
        left.semilogy(np.maximum(grid[f"gaps_{name}"], 1e-12), color=colour, label=f"{name} reward")
    left.set(
        xlabel="iteration of L-BFGS",
        ylabel="maximum gap in feature expectations",
        title="MCE IRL, exact expert",
    )
    counts = sorted(int(key.removeprefix("irl_")) for key in grid if key.startswith("irl_"))
    for key, label, colour in (("irl", "MCE IRL, linear reward", 0), ("bc", method_title("bc"), 1)):
        scores = np.array([grid[f"score_{key}_{count}"] for count in counts])
        right.semilogx(
            counts, interquartile_mean(scores), "-", color=figures.COLOURS[colour], label=label
        )
        right.semilogx(counts, scores, "o", markersize=4, alpha=0.5, color=figures.COLOURS[colour])
    figures.level(right, 1.0, "expert")
    right.set(xlabel="trajectories", ylabel="true return (0 random, 1 expert)", xticks=counts)
    right.set(xticklabels=counts, title="learning from few demonstrations")
    right.minorticks_off()
    for axis in (left, right):
        axis.legend(frameon=False)
    return figure


def conjugates(results: dict[str, Arrays]):
    """(d) ψ* against the distance of occupancy measures, and the causal entropy along a
    segment.
    """
    data = results["conjugates"]
    figure, axes = figures.new(1, 3, width=4.2)
    for axis, way, title in (
        (axes[0, 0], "uniform", "towards the uniform policy"),
        (axes[0, 1], "blind", "towards one with the same features"),
    ):
        for name, style, colour in (("FEM", "-", 0), ("GTAL", "--", 1), ("GAIL", "-", 2)):
            axis.plot(
                data[f"{way}_distance"],
                data[f"{way}_{name}"],
                style,
                color=figures.COLOURS[colour],
                label=name,
            )
        axis.set(xlabel="distance from the expert (total variation)", title=title)
        axis.set(ylabel="ψ*(ρ − ρ_E), above its minimum")
        axis.legend(frameon=False)
    axis, entropy = axes[0, 2], data["uniform_entropy"]
    axis.plot(data["t"], entropy, color=figures.COLOURS[0], label="H of the mixture")
    axis.plot(data["t"][[0, -1]], entropy[[0, -1]], ":", color="0.35", label="chord")
    axis.set(xlabel="share of the uniform policy's occupancy", ylabel="causal entropy (nats)")
    axis.set(title="strictly concave in ρ")
    axis.legend(frameon=False)
    return figure


def propositions(results: dict[str, Arrays]):
    """(e) Distance between the two sides of proposition 3.2, a dot for each random MDP."""
    figure, axes = figures.new(width=5.6, height=3.2)
    axis = axes[0, 0]
    for row, values in enumerate(results["propositions"].values()):
        axis.semilogx(
            np.maximum(values, 1e-16),
            np.full(len(values), row),
            "o",
            alpha=0.6,
            color=figures.COLOURS[row],
        )
    axis.set(yticks=range(len(results["propositions"])), yticklabels=list(results["propositions"]))
    axis.set(xlabel="total variation between RL ∘ IRL_ψ and argmin −H + ψ*", xlim=(1e-16, 1))
    return figure


def sampled(results: dict[str, Arrays]):
    """(f) Sampled GAIL against the exact solution of the same problem."""
    data = results["gail"]
    figure, axes = figures.new(width=6.0, height=3.6)
    axis = axes[0, 0]
    axis.plot(data["iterations"], data["gail"].T, "o-", color=figures.COLOURS[0], alpha=0.7)
    axis.plot([], [], "o-", color=figures.COLOURS[0], label="GAIL, TRPO, each seed")
    for name, style in (("random", "--"), ("cloning", ":"), ("expert", "-.")):
        figures.level(axis, float(data[name]), name, style)
    axis.set(
        xlabel="iterations",
        ylabel="distance from the exact solution\n(total variation)",
        yscale="log",
    )
    axis.legend(fontsize=8, loc="upper right", bbox_to_anchor=(1.0, 0.97), framealpha=1.0)
    return figure
