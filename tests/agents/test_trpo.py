"""TRPO: the trust region holds, a failed line search changes nothing, and it learns the
obvious.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.agents.critic import predict
from imitax.agents.trpo import TRPOConfig, trpo
from imitax.core.spaces import vector
from imitax.networks import mlp_policy, parameter_count
from imitax.types import Discrete, EnvSpec

QUICK = TRPOConfig(
    hidden=(8,),
    value_learning_rate=3e-2,
    value_minibatches=2,
    fisher_every=2,
    discount=0.5,
    gae_lambda=0.9,
)
SHAPE = (16, 8)


def mean_kl(spec, old, new, obs):
    """KL(old ‖ new), mean over all states, by the textbook in double precision."""
    p, q = (jax.tree.map(lambda x: np.asarray(x, np.float64), policy(obs)) for policy in (old, new))
    if isinstance(spec.action, Discrete):
        p, q = (np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in (p, q))
        return np.mean(np.sum(p * np.log(p / q), -1))
    (m, s), (n, r) = p, q
    return np.mean(np.sum(r - s + (np.exp(2 * s) + (m - n) ** 2) / (2 * np.exp(2 * r)) - 0.5, -1))


def assert_trees_equal(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameter_counts_of_the_original_system():
    spec = EnvSpec("Acrobot-v1", vector(6), Discrete(3), 500)
    policy = mlp_policy(spec, TRPOConfig().hidden)

    def init(key):
        params = policy.init(key)
        return params, trpo(spec, policy).init(params, key)

    shapes = jax.eval_shape(init, jax.random.key(0))
    params, state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    assert parameter_count(params) == 11_103
    assert parameter_count(state.critic.network) == 10_901


def test_every_step_stays_in_the_trust_region(toy, key, make_rollout, compiled):
    agent = compiled(trpo, toy, QUICK)
    state = agent.init(key)
    for i in range(6):
        rollout = make_rollout(toy)
        after, metrics = agent.update(state, rollout, jax.random.key(i))
        kl = mean_kl(toy, state.policy, after.policy, rollout.obs)
        # the bound, and a step worth making
        assert 0.1 * QUICK.max_kl < kl <= QUICK.max_kl * (1 + 1e-3)
        np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-2)
        assert 0 < metrics["step_fraction"] <= 1
        assert all(np.isfinite(value) for value in metrics.values())
        state = after


@pytest.mark.parametrize("reward", [0.0, np.nan])
def test_a_failed_line_search_leaves_the_policy_as_it_was(toy, key, make_rollout, compiled, reward):
    # No advantage: no direction. No number: nothing that a comparison could accept.
    agent = compiled(trpo, toy, QUICK)
    state = agent.init(key)
    for i in range(2):  # away from the fresh policy, which might be special
        state, _ = agent.update(state, make_rollout(toy), jax.random.key(i))
    # A critic that values nothing, so that no reward means no advantage.
    state = state._replace(agent=state.agent._replace(critic=agent.init(key).critic))
    rollout = make_rollout(toy, reward=np.full(SHAPE, reward, np.float32))
    after, metrics = agent.update(state, rollout, key)
    assert_trees_equal(after.policy, state.policy)
    assert metrics["step_fraction"] == 0.0
    assert metrics["kl"] == 0.0


def paid(spec, obs, action):
    """1 for the action that the first observation asks for, or less the further an action is from
    it.
    """
    right = obs[..., 0] > 0
    if isinstance(spec.action, Discrete):
        return jnp.where(action == right, 1.0, 0.0)
    return -jnp.sum((action - jnp.where(right, 0.5, -0.5)[..., None]) ** 2, axis=-1)


def test_it_learns_a_contextual_bandit(toy, key, make_rollout, compiled):
    agent = compiled(trpo, toy, QUICK)
    state = agent.init(key)
    ends = np.ones(SHAPE, bool)
    for i in range(60):
        rollout = make_rollout(toy, terminated=ends, truncated=~ends)
        flat = agent.act(state, rollout.obs.reshape(-1, 3), jax.random.key(i))
        action = flat.reshape(*SHAPE, *flat.shape[1:])
        rollout = rollout._replace(action=action, reward=paid(toy, rollout.obs, action))
        state, _ = agent.update(state, rollout, jax.random.key(100 + i))
    obs = make_rollout(toy).obs
    # away from the border, where both actions are nearly as good
    obs = obs[jnp.abs(obs[..., 0]) > 0.3]
    right = np.asarray(obs[:, 0] > 0)
    output = state.policy(obs)
    if isinstance(toy.action, Discrete):
        chosen = jax.nn.softmax(output)[np.arange(len(right)), right.astype(int)]
        assert chosen.mean() > 0.9
    else:
        np.testing.assert_allclose(np.mean(output[0][right], axis=0), [0.5, 0.5], atol=0.15)
        np.testing.assert_allclose(np.mean(output[0][~right], axis=0), [-0.5, -0.5], atol=0.15)
        assert (output[1] < -0.7).all()  # surer than at the start


def test_values_of_episodes_that_terminate_and_that_are_cut_off(
    discrete, key, make_rollout, compiled
):
    # Position 0 leads to itself at reward 1, γ = ½, and a time limit cuts each step off: V = 1 + ½
    # V = 2. Position 1 leads to 2, which terminates: V = 1 + ½ and V = 1.
    agent = compiled(trpo, discrete, QUICK)
    state, eye = agent.init(key), np.eye(3, dtype=np.float32)
    position = np.tile(np.array([[0, 1], [0, 2]]), (8, 4))
    following = np.tile(np.array([[0, 2], [0, 0]]), (8, 4))
    rollout = make_rollout(
        discrete,
        obs=eye[position],
        next_obs=eye[following],
        reward=np.ones(SHAPE, np.float32),
        terminated=position == 2,
        truncated=position == 0,
    )
    for i in range(60):
        state, metrics = agent.update(state, rollout, jax.random.key(i))
    values = predict(state.critic, discrete.observation, jnp.asarray(eye))
    np.testing.assert_allclose(values, [2.0, 1.5, 1.0], atol=0.05)
    assert metrics["explained_variance"] > 0.9


def test_the_same_key_gives_the_same_bits(toy, key, make_rollout, compiled):
    agent = compiled(trpo, toy, QUICK)
    rollout = make_rollout(toy)
    one, two = (agent.update(agent.init(key), rollout, jax.random.key(1)) for _ in range(2))
    assert_trees_equal(one, two)


def test_warming_the_value_up_leaves_the_policy_alone(toy, key, make_rollout, compiled):
    agent = compiled(trpo, toy, QUICK)
    state, rollout = agent.init(key), make_rollout(toy)
    errors = []
    for i in range(30):
        warm, metrics = agent.wait(state, rollout, jax.random.fold_in(key, i))
        for before, after in zip(*(jax.tree.leaves(s.policy) for s in (state, warm)), strict=True):
            np.testing.assert_array_equal(before, after)
        errors.append(float(metrics["value_loss"]))
        state = warm
    assert errors[-1] < 0.9 * errors[0]
