"""Demonstrations in the form that methods take."""

import jax.numpy as jnp
import numpy as np

from imitax.core.spaces import from_environment
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.training.config import RunConfig
from imitax.types import EnvSpec, Sample, Transition


def choose(demonstrations: Demonstrations, config: RunConfig) -> Demonstrations:
    """The first K trajectories of the configuration, subsampled with random offsets from its
    seed.
    """
    if config.trajectories is not None:
        demonstrations = demonstrations.choose(config.trajectories)
    if config.subsample != 1:
        demonstrations = demonstrations.subsample(
            config.subsample, np.random.default_rng(config.seed)
        )
    return demonstrations


def hold_out(
    demonstrations: Demonstrations, config: RunConfig
) -> tuple[Demonstrations, Demonstrations]:
    """(training, validation) episodes of cloning, drawn with the configuration's seed."""
    fraction = 1.0 - config.settings["bc"].train_fraction
    return demonstrations.split(fraction, np.random.default_rng(config.seed))


def expert_sample(
    demonstrations: Demonstrations, spec: EnvSpec, asks: frozenset[str] = frozenset()
) -> Sample:
    """The demonstrations as transitions [N], in agent units, and their absorbing mass.

    Next observations take as much memory as observations, so they are there only where a reward
    model `asks` for "next_obs"; pairs of which they are unknown are then left out.

    Raises:
        ImitaxError: next observations are asked for, and none is known.
    """
    rows, next_obs = slice(None), None
    if "next_obs" in asks:
        following, known = demonstrations.next_observations()
        if not known.any():
            raise ImitaxError(
                "The reward model needs next observations, but these demonstrations hold none: "
                "record episodes with one observation more than actions."
            )
        rows, next_obs = known, jnp.asarray(following[known])
    actions = demonstrations.actions
    transitions = Transition(
        obs=jnp.asarray(demonstrations.observations[rows]),
        action=None if actions is None else from_environment(spec.action, actions[rows]),
        next_obs=next_obs,
        reward=jnp.full(len(demonstrations.observations[rows]), jnp.nan),
        terminated=jnp.asarray(demonstrations.pair_terminated[rows]),
        truncated=jnp.asarray(demonstrations.pair_truncated[rows]),
        step=jnp.asarray(demonstrations.steps[rows], jnp.int32),
    )
    return Sample(transitions, jnp.float32(demonstrations.absorbing_mass(spec.time_limit)))
