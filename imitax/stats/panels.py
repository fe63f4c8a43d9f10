"""The metrics of a run for people: the panels of its figures, and the columns of its live
table.
"""

from typing import NamedTuple

import numpy as np


class Panel(NamedTuple):
    """One figure: lines of one unit over training."""

    section: str  # of the report
    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]  # (metric, label)
    note: str  # how to read it
    levels: tuple[tuple[float, str], ...] = ()  # reference lines


class Column(NamedTuple):
    """A metric in the live table."""

    metric: str
    heading: str
    digits: int


PANELS = (
    Panel(
        "learning",
        "Return of training episodes",
        "true return",
        (("episode_return", "sampled actions"),),
        "The true reward, which an imitator never sees. Good: it rises to the expert's line and "
        "stays.",
    ),
    Panel(
        "learning",
        "Length of training episodes",
        "steps",
        (("episode_length", "sampled actions"),),
        "Steps until the task or the time limit ended an episode.",
    ),
    Panel(
        "discriminator",
        "Discriminator scores",
        "mean D",
        (("expert_score", "expert pairs"), ("policy_score", "policy pairs")),
        "D: the probability that a pair is the expert's. Good: the two part early, then meet near "
        "½.",
        ((0.5, "½"),),
    ),
    Panel(
        "discriminator",
        "Discriminator loss",
        "nats",
        (("discriminator_loss", "cross-entropy"),),
        "Good: it ends near 2 ln 2: expert and policy cannot be told apart. Near 0: they always "
        "can.",
        ((2 * float(np.log(2)), "2 ln 2"),),
    ),
    Panel(
        "discriminator",
        "Feature gap",
        "gap",
        (("feature_gap", "expert − policy"),),
        "How far expert and policy are apart in the features. Good: it falls towards 0.",
        ((0.0, "0"),),
    ),
    Panel(
        "reward",
        "Mean of the reward",
        "reward",
        (("reward_mean", "mean"),),
        "Reward of one step, on average. Its level says little; a drift says that the reward "
        "still changes.",
    ),
    Panel(
        "reward",
        "Standard deviation of the reward",
        "reward",
        (("reward_std", "standard deviation"),),
        "How much the reward differs between steps. At 0 there is nothing to learn from.",
    ),
    Panel(
        "reward",
        "Objective of IRL",
        "nats",
        (("irl_objective", "objective"),),
        "What inverse reinforcement learning maximises. Good: it rises, then settles.",
    ),
    Panel(
        "policy",
        "Entropy of the policy",
        "nats",
        (("entropy", "entropy"),),
        "How random actions are. A fall to the floor at once is a policy that stopped exploring.",
    ),
    Panel(
        "policy",
        "Change of the policy",
        "KL, nats",
        (("kl", "KL divergence"),),
        "How far one iteration moves the policy. Spikes are steps that were too large.",
    ),
    Panel(
        "cloning",
        "Loss of cloning",
        "negative log likelihood, nats",
        (("train_loss", "training pairs"), ("validation_loss", "held-out pairs")),
        "The policy that is best on held-out pairs is kept: where the two part, it overfits.",
    ),
)

COLUMNS = (
    Column("episode_return", "return", 1),
    Column("episode_length", "length", 0),
    Column("discriminator_accuracy", "D accuracy", 2),
    Column("validation_loss", "validation loss", 3),
    Column("feature_gap", "feature gap", 4),
)


def panels_with(metrics: set[str]) -> list[Panel]:
    """The panels of which at least one line is there."""
    return [panel for panel in PANELS if any(name in metrics for name, _ in panel.lines)]
