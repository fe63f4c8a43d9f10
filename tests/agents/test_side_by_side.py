"""Seeds trained side by side learn what they learn alone, at the sizes of a real run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.methods.registry import AGENTS
from imitax.types import Box, Discrete, EnvSpec, Rollout

SPACES = {"discrete": Discrete(3), "box": Box((-1.0,), (1.0,))}


def random_rollout(spec, key, steps=64, envs=64):
    keys = jax.random.split(key, 4)
    shape = (steps, envs)
    obs = jax.random.normal(keys[0], (*shape, spec.observation_size))
    if isinstance(spec.action_space, Discrete):
        action = jax.random.randint(keys[1], shape, 0, spec.action_space.n)
    else:
        action = jax.random.normal(keys[1], (*shape, spec.action_space.size))
    never = jnp.zeros(shape, bool)
    return Rollout(obs, action, jax.random.normal(keys[2], shape), obs, never, never, jnp.zeros(shape, int))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("agent", AGENTS)
def test_seven_seeds_learn_as_each_alone(agent, space, key):
    # jaxlib 0.10.2 on a CPU: from four batched products on, that of a zero direction was infinite in TRPO.
    spec = EnvSpec("Toy", 2, SPACES[space], 200)
    functions = AGENTS[agent].build(spec, AGENTS[agent].config())

    def learn(key):
        keys = jax.random.split(key, 3)
        state = functions.init(keys[0])
        after, metrics = functions.update(state, random_rollout(spec, keys[1]), keys[2])
        return jax.tree.map(jnp.subtract, after.policy, state.policy), metrics

    keys = jax.random.split(key, 7)
    together, metrics = jax.jit(jax.vmap(learn))(keys)
    alone = jax.jit(learn)
    for index in range(7):
        step, known = alone(keys[index])
        moved, expected = (
            np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
            for tree in (jax.tree.map(lambda x, i=index: x[i], together), step)
        )
        assert np.linalg.norm(expected) > 1e-2
        # Sums in another order; Adam's first steps are of unit size whatever the size of the gradient.
        assert np.linalg.norm(moved - expected) < 0.05 * np.linalg.norm(expected)
        np.testing.assert_allclose(metrics["entropy"][index], known["entropy"], rtol=1e-3)
