"""Rollouts made by hand, for agents that never see an environment."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.acting import act
from imitax.core.spaces import size, vector
from imitax.networks import mlp_policy
from imitax.types import Box, Discrete, EnvSpec, Experience, Params, Transition

TOY = {
    "Discrete": EnvSpec("Toy", vector(3), Discrete(2), 100),
    "Box": EnvSpec("ToyBox", vector(3), Box((-3.0, 0.0), (3.0, 1.0)), 100),
}


class Trained(NamedTuple):
    """The parameters of a policy, and what improves them."""

    policy: Params
    agent: Any

    @property
    def critic(self):
        return self.agent.critic

    @property
    def optimiser(self):
        return self.agent.optimiser


class Functions(NamedTuple):
    """An agent with the feed-forward policy of its settings, compiled; it learns from the true
    reward.
    """

    init: Callable  # key -> Trained
    act: Callable  # (Trained, observations [N, O], key) -> actions
    update: Callable  # (Trained, rollout, key, progress=0) -> (Trained, metrics)
    wait: Callable


@cache
def _compiled(build, spec, config):
    policy = mlp_policy(spec, config.hidden)
    agent = build(spec, policy, config)

    def init(key):
        key_policy, key_agent = jax.random.split(key)
        params = policy.init(key_policy)
        return Trained(params, agent.init(params, key_agent))

    def sample(trained, obs, key):
        parameters, _ = act(policy, trained.policy, obs, jnp.zeros(len(obs), bool), ())
        return policy.distribution.sample(parameters, key)

    def step_of(function):
        def step(trained, rollout, key, progress=0.0):
            x = Experience(rollout, (), None, None, lambda t: t.reward, jnp.float32(progress))
            params, state, metrics = function(*trained, x, key)
            return Trained(params, state), metrics

        return jax.jit(step)

    return Functions(*map(jax.jit, (init, sample)), step_of(agent.update), step_of(agent.wait))


@pytest.fixture
def compiled():
    """(ppo or trpo, spec, settings) -> `Functions`, compiled once for all tests."""
    return _compiled


@pytest.fixture(params=TOY)
def toy(request):
    """The description of an environment with 3 observations: 2 actions, or a box of 2
    dimensions.
    """
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
        space = spec.action
        if isinstance(space, Discrete):
            action = rng.integers(space.n, size=shape).astype(np.int32)
        else:
            action = rng.normal(size=(*shape, size(space))).astype(np.float32)
        random = {
            "obs": rng.normal(size=(*shape, 3)).astype(np.float32),
            "action": action,
            "reward": rng.normal(size=shape).astype(np.float32),
            "next_obs": rng.normal(size=(*shape, 3)).astype(np.float32),
            "terminated": rng.random(shape) < 0.1,
            "truncated": rng.random(shape) < 0.1,
            "step": np.zeros(shape, np.int32),
        }
        return Transition(**{name: jnp.asarray(value) for name, value in (random | fields).items()})

    return make
