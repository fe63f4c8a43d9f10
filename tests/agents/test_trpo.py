"""TRPO: the trust region holds, a failed line search changes nothing, and it learns the obvious."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.agents.critic import predict
from imitax.agents.trpo import TRPOConfig, trpo
from imitax.networks import parameter_count
from imitax.types import Discrete, EnvSpec

QUICK = TRPOConfig(
    hidden=(8,), value_learning_rate=3e-2, value_minibatches=2, fisher_every=2, discount=0.5, trace=0.9
)
SHAPE = (16, 8)


@cache
def compiled(spec):
    agent = trpo(spec, QUICK)
    return jax.jit(agent.init), jax.jit(agent.act), jax.jit(agent.update)


def mean_kl(spec, old, new, obs):
    """KL(old ‖ new), mean over all states, by the textbook in double precision."""
    p, q = (jax.tree.map(lambda x: np.asarray(x, np.float64), policy(obs)) for policy in (old, new))
    if isinstance(spec.action_space, Discrete):
        p, q = (np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in (p, q))
        return np.mean(np.sum(p * np.log(p / q), -1))
    (m, s), (n, r) = p, q
    return np.mean(np.sum(r - s + (np.exp(2 * s) + (m - n) ** 2) / (2 * np.exp(2 * r)) - 0.5, -1))


def assert_trees_equal(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameter_counts_of_the_original_system():
    shapes = jax.eval_shape(trpo(EnvSpec("Acrobot-v1", 6, Discrete(3), 500)).init, jax.random.key(0))
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    assert parameter_count(state.policy) == 11_103
    assert parameter_count(state.critic.network) == 10_901


def test_every_step_stays_in_the_trust_region(toy, key, make_rollout):
    init, _, update = compiled(toy)
    state = init(key)
    for i in range(6):
        rollout = make_rollout(toy)
        after, metrics = update(state, rollout, jax.random.key(i))
        kl = mean_kl(toy, state.policy, after.policy, rollout.obs)
        assert 0.1 * QUICK.max_kl < kl <= QUICK.max_kl * (1 + 1e-3)  # the bound, and a step worth making
        np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-2)
        assert 0 < metrics["step_fraction"] <= 1
        assert all(np.isfinite(value) for value in metrics.values())
        state = after


@pytest.mark.parametrize("reward", [0.0, np.nan])
def test_a_failed_line_search_leaves_the_policy_as_it_was(toy, key, make_rollout, reward):
    # No advantage: no direction. No number: nothing that a comparison could accept.
    init, _, update = compiled(toy)
    state = init(key)
    for i in range(2):  # away from the fresh policy, which might be special
        state, _ = update(state, make_rollout(toy), jax.random.key(i))
    # A critic that values nothing, so that no reward means no advantage.
    state = state._replace(critic=init(key).critic)
    rollout = make_rollout(toy, reward=np.full(SHAPE, reward, np.float32))
    after, metrics = update(state, rollout, key)
    assert_trees_equal(after.policy, state.policy)
    assert metrics["step_fraction"] == 0.0
    assert metrics["kl"] == 0.0


def paid(spec, obs, action):
    """1 for the action that the first observation asks for, or less the further an action is from it."""
    right = obs[..., 0] > 0
    if isinstance(spec.action_space, Discrete):
        return jnp.where(action == right, 1.0, 0.0)
    return -jnp.sum((action - jnp.where(right, 0.5, -0.5)[..., None]) ** 2, axis=-1)


def test_it_learns_a_contextual_bandit(toy, key, make_rollout):
    init, act, update = compiled(toy)
    state = init(key)
    ends = np.ones(SHAPE, bool)
    for i in range(60):
        rollout = make_rollout(toy, terminated=ends, truncated=~ends)
        flat = act(state, rollout.obs.reshape(-1, 3), jax.random.key(i))
        action = flat.reshape(*SHAPE, *flat.shape[1:])
        rollout = rollout._replace(action=action, reward=paid(toy, rollout.obs, action))
        state, _ = update(state, rollout, jax.random.key(100 + i))
    obs = make_rollout(toy).obs
    obs = obs[jnp.abs(obs[..., 0]) > 0.3]  # away from the border, where both actions are nearly as good
    right = np.asarray(obs[:, 0] > 0)
    output = state.policy(obs)
    if isinstance(toy.action_space, Discrete):
        chosen = jax.nn.softmax(output)[np.arange(len(right)), right.astype(int)]
        assert chosen.mean() > 0.9
    else:
        np.testing.assert_allclose(np.mean(output[0][right], axis=0), [0.5, 0.5], atol=0.15)
        np.testing.assert_allclose(np.mean(output[0][~right], axis=0), [-0.5, -0.5], atol=0.15)
        assert (output[1] < -0.7).all()  # surer than at the start


def test_values_of_episodes_that_terminate_and_that_are_cut_off(discrete, key, make_rollout):
    # Position 0 leads to itself at reward 1, γ = ½, and a time limit cuts each step off: V = 1 + ½ V = 2.
    # Position 1 leads to 2, which terminates: V = 1 + ½ and V = 1.
    init, _, update = compiled(discrete)
    state, eye = init(key), np.eye(3, dtype=np.float32)
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
        state, metrics = update(state, rollout, jax.random.key(i))
    np.testing.assert_allclose(predict(state.critic, jnp.asarray(eye)), [2.0, 1.5, 1.0], atol=0.05)
    assert metrics["explained_variance"] > 0.9


def test_the_same_key_gives_the_same_bits(toy, key, make_rollout):
    init, _, update = compiled(toy)
    rollout = make_rollout(toy)
    one, two = (update(init(key), rollout, jax.random.key(1)) for _ in range(2))
    assert_trees_equal(one, two)


def test_warming_the_value_up_leaves_the_policy_alone(toy, key, make_rollout):
    agent = trpo(toy, QUICK)
    state, rollout, fit_value = agent.init(key), make_rollout(toy), jax.jit(agent.fit_value)
    errors = []
    for i in range(30):
        warm, metrics = fit_value(state, rollout, jax.random.fold_in(key, i))
        for before, after in zip(*(jax.tree.leaves(s.policy) for s in (state, warm)), strict=True):
            np.testing.assert_array_equal(before, after)
        errors.append(float(metrics["value_loss"]))
        state = warm
    assert errors[-1] < 0.9 * errors[0]
