"""Seeds trained side by side learn what they learn alone, at the sizes of a real run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.spaces import blank, size, uniform, vector
from imitax.methods.registry import AGENTS
from imitax.networks import mlp_policy
from imitax.types import Box, Discrete, EnvSpec, Experience

SPACES = {"discrete": Discrete(3), "box": Box((-1.0,), (1.0,))}


def random_rollout(spec, key, steps=64, envs=64):
    keys = jax.random.split(key, 4)
    shape = (steps, envs)
    obs = jax.random.normal(keys[0], (*shape, size(spec.observation)))
    action = uniform(spec.action, keys[1], steps * envs)
    action = action.reshape(*shape, *action.shape[1:])
    reward = jax.random.normal(keys[2], shape)
    return blank(spec, shape)._replace(obs=obs, next_obs=obs, action=action, reward=reward)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("agent", AGENTS)
def test_seven_seeds_learn_as_each_alone(agent, space, key):
    # jaxlib 0.10.2 on a CPU: from four batched products on, that of a zero direction was infinite
    # in TRPO.
    spec, config = EnvSpec("Toy", vector(2), SPACES[space], 200), AGENTS[agent].config()
    policy = mlp_policy(spec, config.hidden)
    functions = AGENTS[agent].build(spec, policy, config)

    def learn(key):
        keys = jax.random.split(key, 3)
        params = policy.init(keys[0])
        state = functions.init(params, jax.random.fold_in(keys[0], 1))
        x = Experience(
            random_rollout(spec, keys[1]), (), None, None, lambda t: t.reward, jnp.float32(0.0)
        )
        after, _, metrics = functions.update(params, state, x, keys[2])
        return jax.tree.map(jnp.subtract, after, params), metrics

    keys = jax.random.split(key, 7)
    together, metrics = jax.jit(jax.vmap(learn))(keys)
    alone = jax.jit(learn)
    for index in (0, 3, 6):
        step, known = alone(keys[index])
        moved, expected = (
            np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
            for tree in (jax.tree.map(lambda x, i=index: x[i], together), step)
        )
        assert np.linalg.norm(expected) > 1e-2
        # Sums in another order; Adam's first steps are of unit size whatever the size of the
        # gradient.
        assert np.linalg.norm(moved - expected) < 0.05 * np.linalg.norm(expected)
        np.testing.assert_allclose(metrics["entropy"][index], known["entropy"], rtol=1e-3)
