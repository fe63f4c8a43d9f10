"""Runs of behaviour cloning: all seeds, and all rounds, in one compiled program."""

from collections.abc import Sequence
from functools import lru_cache

import jax
import numpy as np

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


def clone_policies(
    configs: Sequence[RunConfig], spec: EnvSpec, demonstrations: Demonstrations
) -> tuple[Learner, dict[str, np.ndarray]]:
    """The clone of each lane, and the losses [S, E] of the rounds that the longest of them
    took.
    """
    config, lanes = configs[0], lanes_of(configs)
    train, validation = (expert_sample(part, spec) for part in hold_out(demonstrations, config))
    init, fit = _program(spec, policy_of("bc", spec, config.settings), lanes.structure)
    learner = init(lanes.leaves, lanes.keys, train)
    learner, history, rounds = fit(lanes.leaves, learner, train, validation, fold(lanes.keys, 1))
    longest = int(np.max(rounds))
    return learner, {name: np.asarray(values)[:, :longest] for name, values in history.items()}
