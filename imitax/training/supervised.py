"""Runs of behaviour cloning: all seeds, and all rounds, in one compiled program."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from imitax.core.compiling import jit
from imitax.demonstrations import Demonstrations
from imitax.methods.registry import build_cloning, policy_of
from imitax.training.collecting import fold
from imitax.training.config import RunConfig
from imitax.training.data import expert_sample, hold_out
from imitax.training.lanes import lanes_of, over_lanes
from imitax.types import EnvSpec, Learner, Policy


@lru_cache(maxsize=16)
def _program(spec: EnvSpec, policy: Policy, structure):
    def init(leaves, key, expert):
        settings = jax.tree.unflatten(structure, leaves)
        return build_cloning(spec, policy, settings).init(key, expert)

    def fit(leaves, learner, train, validation, key):
        settings = jax.tree.unflatten(structure, leaves)
        return build_cloning(spec, policy, settings).fit(learner, train, validation, key)

    return jit(over_lanes(init, (0, 0, None))), jit(over_lanes(fit, (0, 0, None, None, 0)))


class Clones(NamedTuple):
    """A clone of each lane."""

    learner: Learner
    losses: dict[str, np.ndarray]  # [S, R], of the rounds that the longest of them took
    rounds: Int[np.ndarray, "S"]


def clone_policies(
    configs: Sequence[RunConfig],
    spec: EnvSpec,
    demonstrations: Demonstrations,
    policy: Policy | None = None,
) -> Clones:
    """Behaviour cloning of every lane, into `policy` or the multilayer perceptron of the
    settings.
    """
    config, lanes = configs[0], lanes_of(configs)
    train, validation = (expert_sample(part, spec) for part in hold_out(demonstrations, config))
    policy = policy or policy_of("bc", spec, config.settings)
    init, fit = _program(spec, policy, lanes.structure)
    learner = init(lanes.leaves, lanes.keys, train)
    learner, history, rounds = fit(lanes.leaves, learner, train, validation, fold(lanes.keys, 1))
    longest = int(np.max(rounds))
    losses = {name: np.asarray(values)[:, :longest] for name, values in history.items()}
    return Clones(learner, losses, np.asarray(rounds))
