"""Rollouts made by hand, for agents that never see an environment."""

import jax.numpy as jnp
import numpy as np
import pytest

from imitax.types import Box, Discrete, EnvSpec, Rollout

TOY = {
    "Discrete": EnvSpec("Toy", 3, Discrete(2), 100),
    "Box": EnvSpec("ToyBox", 3, Box((-3.0, 0.0), (3.0, 1.0)), 100),
}


@pytest.fixture(params=TOY)
def toy(request):
    """The description of an environment with 3 observations: 2 actions, or a box of 2 dimensions."""
    return TOY[request.param]


@pytest.fixture
def discrete():
    """The one of the two with Discrete actions."""
    return TOY["Discrete"]


@pytest.fixture
def box():
    """The one with Box actions."""
    return TOY["Box"]


@pytest.fixture
def make_rollout(rng):
    """Builds a rollout [T, B] at random; fields can be given."""

    def make(spec, shape=(16, 8), **fields):
        space = spec.action_space
        if isinstance(space, Discrete):
            action = rng.integers(space.n, size=shape).astype(np.int32)
        else:
            action = rng.normal(size=(*shape, space.size)).astype(np.float32)
        random = {
            "obs": rng.normal(size=(*shape, 3)).astype(np.float32),
            "action": action,
            "reward": rng.normal(size=shape).astype(np.float32),
            "next_obs": rng.normal(size=(*shape, 3)).astype(np.float32),
            "terminated": rng.random(shape) < 0.1,
            "truncated": rng.random(shape) < 0.1,
            "step": np.zeros(shape, np.int32),
        }
        return Rollout(**{name: jnp.asarray(value) for name, value in (random | fields).items()})

    return make
