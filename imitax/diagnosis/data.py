"""Whether demonstrations can come from an environment: faults that training would show only after
hours.
"""

from collections.abc import Callable

import numpy as np

from imitax.core.spaces import bounds, is_index, size
from imitax.demonstrations import Demonstrations
from imitax.diagnosis.dynamics import order, steps_of
from imitax.envs.base import Env
from imitax.findings import Finding, worst_first
from imitax.training.evaluation import record_random
from imitax.types import EnvSpec

EPISODES = 50  # of the random policy
FAR = 3.0  # ranges of the environment's first observations
FEW = 5  # episodes, below which their ends say little
MAX_LISTED = 4  # dimensions with their numbers in a sentence
MAX_NAMED = 8  # dimensions or actions in a sentence


def check_data(demonstrations: Demonstrations, env: Env) -> list[Finding]:
    """Findings about the demonstrations, compared with a few episodes of a random policy; problems
    first.
    """
    demonstrations.validate(env.spec)
    demonstrations.require_actions("This check")
    return worst_first(findings(demonstrations, record_random(env, EPISODES), env.spec))


def findings(
    demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec
) -> list[Finding]:
    """The same for episodes of a random policy that are given, in the order of the checks."""
    results = (check(demonstrations, random, spec) for check in CHECKS)
    return [finding for finding in results if finding is not None]


def starts(demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    """First observations do not depend on the policy, so demonstrated ones must look like any
    others.
    """
    complete = demonstrations.lengths == demonstrations.episode_steps
    first = demonstrations.observations[demonstrations.starts[complete]]
    if not len(first):
        return None
    possible = random.observations[random.starts]
    low, high = possible.min(axis=0), possible.max(axis=0)
    margin = FAR * np.maximum(high - low, 1e-3 * np.maximum(1.0, abs(high)))
    strange = np.flatnonzero(((first < low - margin) | (first > high + margin)).any(axis=0))
    if not len(strange):
        return None
    ranges = "; ".join(
        f"dimension {i}: {first[:, i].min():.3g} … {first[:, i].max():.3g}, in the environment "
        f"{low[i]:.3g} … {high[i]:.3g}"
        for i in strange[:MAX_LISTED]
    )
    return Finding(
        "problem",
        "Demonstrated episodes start where the environment does not",
        f"{ranges}.",
        "the same units, order and normalisation in both: raw observations, as the environment "
        "returns them.",
    )


def column_order(
    demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec
) -> Finding | None:
    """Columns of the observations that were exchanged; see `dynamics`."""
    return order(steps_of(demonstrations, spec), steps_of(random, spec))


def duplicates(
    demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec
) -> Finding | None:
    """Episodes that are equal, although the environment does not always start alike."""
    episodes = [
        (demonstrations.observations[pairs].tobytes(), demonstrations.actions[pairs].tobytes())
        for pairs in demonstrations.episodes()
    ]
    count = len(episodes) - len(set(episodes))
    if not count or len(np.unique(random.observations[random.starts], axis=0)) == 1:
        return None  # where every episode starts alike, a good policy may repeat itself
    return Finding(
        "warning",
        "Duplicate episodes",
        f"{count} of {len(episodes)} episodes {'repeats' if count == 1 else 'repeat'} another one "
        "exactly.",
        "removing them: they count twice, and leak from training into validation.",
    )


def returns(
    demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec
) -> Finding | None:
    """The demonstrations return no more than a random policy."""
    numbers = demonstrations.returns[np.isfinite(demonstrations.returns)]
    if not len(numbers) or numbers.mean() > random.returns.mean():
        return None
    return Finding(
        "warning",
        "The expert is no better than random",
        f"its mean return is {numbers.mean():.1f}, that of a random policy "
        f"{random.returns.mean():.1f}.",
        "another expert, or the true reward of the same environment: a learner becomes as good as "
        "its demonstrations.",
    )


def ends(demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    """Termination and truncation must fit the time limit."""
    steps, terminated = demonstrations.episode_steps, demonstrations.terminated
    early = ~terminated & (steps < spec.time_limit)
    if early.any():
        return Finding(
            "warning",
            "Episodes end before the time limit without termination",
            f"{early.sum()} of {len(demonstrations)} were truncated, the shortest after "
            f"{int(steps[early].min())} steps; the time limit is {spec.time_limit}.",
            "the time limit that they were recorded with (--time-limit); or marking them as "
            "terminated if the task ended them.",
        )
    if len(demonstrations) >= FEW and ((steps == spec.time_limit) & terminated).all():
        return Finding(
            "warning",
            "Every episode terminates at the time limit",
            f"all {len(demonstrations)} took {spec.time_limit} steps and are marked as terminated.",
            "marking only those as terminated that the task ended: a truncated state keeps the "
            "value of what would have followed.",
        )
    return None


def constant_dimensions(
    demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec
) -> Finding | None:
    """Dimensions of the observations that alone give the expert away."""
    constant = np.flatnonzero(
        (np.ptp(demonstrations.observations, axis=0) == 0)
        & (np.ptp(random.observations, axis=0) > 0)
    )
    # One-hot states that the expert never visits are no surprise.
    if not len(constant) or set(np.unique(demonstrations.observations)) <= {0.0, 1.0}:
        return None
    some = f"dimension{'s' * (len(constant) > 1)} {_listed(constant)}"
    return Finding(
        "warning",
        "Dimensions that never change in the demonstrations",
        f"{some} {'is' if len(constant) == 1 else 'are'} constant there, but not in the "
        "environment.",
        "recording these dimensions; the discriminator can recognise the expert by them alone.",
    )


def actions(
    demonstrations: Demonstrations, random: Demonstrations, spec: EnvSpec
) -> Finding | None:
    """Actions that never occur, or that are mostly extreme."""
    if is_index(spec.action):
        absent = sorted(set(range(size(spec.action))) - set(demonstrations.actions.tolist()))
        if not absent:
            return None
        return Finding(
            "note",
            "Actions that never occur in the demonstrations",
            f"action{'s' * (len(absent) > 1)} {_listed(absent)} of {size(spec.action)} (counted "
            "from 0).",
            "nothing, if the task does not need them; otherwise more demonstrations.",
        )
    low, high = bounds(spec.action)
    extreme = ((demonstrations.actions <= low) | (demonstrations.actions >= high)).mean()
    if extreme < 0.5:
        return None
    return Finding(
        "note",
        "Most demonstrated actions lie on a bound",
        f"{extreme:.0%} of their numbers are the least or the greatest that the environment "
        "allows.",
        "nothing, if the expert really acts like this; otherwise checking the scale of its "
        "actions.",
    )


def _listed(numbers) -> str:
    more = f" and {len(numbers) - MAX_NAMED} more" if len(numbers) > MAX_NAMED else ""
    return ", ".join(map(str, numbers[:MAX_NAMED])) + more


CHECKS: tuple[Callable[[Demonstrations, Demonstrations, EnvSpec], Finding | None], ...] = (
    starts,
    column_order,
    duplicates,
    returns,
    ends,
    constant_dimensions,
    actions,
)
