"""Whether demonstrations can be of an environment: what training would only show after hours."""

import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.diagnosis.dynamics import order, steps_of
from imitax.diagnosis.findings import Finding
from imitax.envs.base import Env
from imitax.training.evaluation import record_random
from imitax.types import Discrete, EnvSpec

EPISODES = 50  # of the random policy
FAR = 3.0  # ranges of the environment's first observations
FEW = 5  # starts of demonstrations, for what only many can show


def check_data(demonstrations: Demonstrations, env: Env) -> list[Finding]:
    """Findings from the demonstrations beside a few episodes of a random policy; problems first."""
    demonstrations.validate(env.spec)
    demonstrations.require_actions("This check")
    found = findings(demonstrations, record_random(env, EPISODES), env.spec)
    return sorted(found, key=lambda finding: ("problem", "warning", "note").index(finding.severity))


def findings(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> list[Finding]:
    """The same from what was recorded."""
    checks = (_starts, _order, _duplicates, _returns, _ends, _constant, _actions)
    return [finding for check in checks for finding in [check(shown, random, spec)] if finding]


def _starts(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    """Whoever acts, episodes begin alike: the first observation knows nothing of the policy."""
    whole = shown.lengths == shown.episode_steps
    first, begins = shown.observations[shown.starts[whole]], random.observations[random.starts]
    if not len(first):
        return None
    low, high = begins.min(axis=0), begins.max(axis=0)
    room = FAR * np.maximum(high - low, 1e-3 * np.maximum(1.0, abs(high)))
    strange = np.flatnonzero(((first < low - room) | (first > high + room)).any(axis=0))
    if not len(strange):
        return None
    told = "; ".join(
        f"dimension {i}: {first[:, i].min():.3g} … {first[:, i].max():.3g}, the environment's "
        f"{low[i]:.3g} … {high[i]:.3g}"
        for i in strange[:4]
    )
    return Finding(
        "problem", "Demonstrated episodes begin where the environment does not", f"{told}.",
        "the same units, order and normalisation in both: raw observations, as the environment hands "
        "them out.",
    )  # fmt: skip


def _order(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    return order(steps_of(shown, spec), steps_of(random, spec))


def _duplicates(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    episodes = [(shown.observations[e].tobytes(), shown.actions[e].tobytes()) for e in shown.episodes()]
    twice = len(episodes) - len(set(episodes))
    if not twice or len(np.unique(random.observations[random.starts], axis=0)) == 1:
        return None  # an environment that always begins alike may be played alike
    return Finding(
        "warning", "Episodes are there twice", f"{twice} of {len(episodes)} repeat another one exactly.",
        "leave them out: they count twice, and leak from training into validation.",
    )  # fmt: skip


def _returns(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    known = shown.returns[np.isfinite(shown.returns)]
    if not len(known) or known.mean() > random.returns.mean():
        return None
    return Finding(
        "warning", "The expert is no better than random",
        f"it returns {known.mean():.1f} on average, a random policy {random.returns.mean():.1f}.",
        "another expert, or the true reward of the same environment: a learner will be as good as what "
        "it is shown.",
    )  # fmt: skip


def _ends(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    at_limit = shown.episode_steps == spec.time_limit
    early = ~shown.terminated & (shown.episode_steps < spec.time_limit)
    if early.any():
        return Finding(
            "warning", "Episodes end before the time limit without termination",
            f"{early.sum()} of {len(shown)} were cut after {int(shown.episode_steps[early].min())} "
            "steps or later, the limit is "
            f"{spec.time_limit}.",
            "the time limit that they were recorded with (--time-limit), or mark them as terminated if "
            "the task ended them.",
        )  # fmt: skip
    if len(shown) >= FEW and (at_limit & shown.terminated).all():
        return Finding(
            "warning", "Every episode terminates at the time limit",
            f"all {len(shown)} took {spec.time_limit} steps and are marked as terminated.",
            "terminated only where the task ended the episode: a truncated state is worth what would "
            "have come.",
        )  # fmt: skip
    return None


def _constant(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    still = np.flatnonzero(
        (np.ptp(shown.observations, axis=0) == 0) & (np.ptp(random.observations, axis=0) > 0)
    )
    # One-hot states that the expert never visits are no surprise.
    if not len(still) or set(np.unique(shown.observations)) <= {0.0, 1.0}:
        return None
    return Finding(
        "warning", "Dimensions that never change in the demonstrations",
        f"{', '.join(map(str, still[:8]))} {'is' if len(still) == 1 else 'are'} constant there, but not "
        "in the environment.",
        "recording these dimensions; the discriminator can tell the expert by them alone.",
    )  # fmt: skip


def _actions(shown: Demonstrations, random: Demonstrations, spec: EnvSpec) -> Finding | None:
    if isinstance(spec.action_space, Discrete):
        never = sorted(set(range(spec.action_space.n)) - set(shown.actions.tolist()))
        if not never:
            return None
        return Finding(
            "note", "Actions that are never shown", f"{', '.join(map(str, never[:8]))} of "
            "{spec.action_space.n}.",
            "nothing, if the task does not need them; otherwise more demonstrations.",
        )  # fmt: skip
    low, high = np.array(spec.action_space.low), np.array(spec.action_space.high)
    bounded = ((shown.actions <= low) | (shown.actions >= high)).mean()
    if bounded < 0.5:
        return None
    return Finding(
        "note", "Most demonstrated actions lie on a bound", f"{bounded:.0%} of the numbers.",
        "nothing, if the expert really acts so; otherwise look at the scale of its actions.",
    )  # fmt: skip
