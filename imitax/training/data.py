"""Demonstrations in the form that methods take."""

import jax.numpy as jnp
import numpy as np

from imitax.core.spaces import from_environment
from imitax.demonstrations import Demonstrations
from imitax.training.config import RunConfig
from imitax.types import EnvSpec, Sample, Transition


def choose(demonstrations: Demonstrations, config: RunConfig) -> Demonstrations:
    """The first K trajectories of the configuration, subsampled with random offsets from its seed."""
    if config.trajectories is not None:
        demonstrations = demonstrations.choose(config.trajectories)
    if config.subsample != 1:
        demonstrations = demonstrations.subsample(config.subsample, np.random.default_rng(config.seed))
    return demonstrations


def hold_out(demonstrations: Demonstrations, config: RunConfig) -> tuple[Demonstrations, Demonstrations]:
    """(training, validation) episodes of cloning, drawn with the configuration's seed."""
    fraction = 1.0 - config.settings["bc"].train_fraction
    return demonstrations.split(fraction, np.random.default_rng(config.seed))


def expert_sample(
    demonstrations: Demonstrations, spec: EnvSpec, asks: frozenset[str] = frozenset()
) -> Sample:
    """The pairs as transitions [N], in agent units, and the absorbing mass; next observations where `asks` says so."""
    del asks
    pairs = demonstrations.pairs
    transitions = Transition(
        obs=jnp.asarray(demonstrations.observations),
        action=from_environment(spec.action, demonstrations.actions),
        next_obs=None,
        reward=jnp.full(pairs, jnp.nan),
        terminated=jnp.zeros(pairs, bool),
        truncated=jnp.zeros(pairs, bool),
        step=jnp.zeros(pairs, jnp.int32),
    )
    return Sample(transitions, jnp.float32(demonstrations.absorbing_mass(spec.time_limit)))
