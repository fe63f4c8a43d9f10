"""PPO: sizes, closed forms on rollouts made by hand, and probes that it must learn."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imitax.agents.critic import advantages_and_targets, predict
from imitax.agents.ppo import PPOConfig, ppo
from imitax.core.spaces import vector
from imitax.networks import LOG_STD_FLOOR, mlp_policy, parameter_count
from imitax.types import Discrete, EnvSpec

QUICK = PPOConfig(
    hidden=(8,), learning_rate=3e-2, epochs=4, minibatches=2, discount=0.5, gae_lambda=0.9
)
SHAPE = (16, 8)


def log_prob(policy, obs, action):
    """Of a diagonal Gaussian, by the textbook."""
    mean, log_std = policy(obs)  # the network itself
    return jax.scipy.stats.norm.logpdf(action, mean, jnp.exp(log_std)).sum(-1)


def plain_advantages(rollout, discount, gae_lambda):
    """GAE by a loop over numpy scalars, for a value function that is 0 everywhere."""
    reward, terminated, truncated = map(
        np.asarray, (rollout.reward, rollout.terminated, rollout.truncated)
    )
    advantage = np.zeros(reward.shape)
    for i in range(reward.shape[1]):
        tail = 0.0
        for t in reversed(range(len(reward))):
            ended = terminated[t, i] or truncated[t, i]
            tail = reward[t, i] + (0.0 if ended else discount * gae_lambda * tail)
            advantage[t, i] = tail
    return advantage


def assert_trees_equal(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameter_counts_of_the_original_system():
    # 6 inputs, two layers of 100, 3 actions: 600 + 100 + 10,000 + 100 + 300 + 3 = 11,103;
    # the value's one output instead of three: 11,103 − 300 − 3 + 100 + 1 = 10,901.
    spec = EnvSpec("Acrobot-v1", vector(6), Discrete(3), 500)
    policy = mlp_policy(spec, PPOConfig().hidden)

    def init(key):
        params = policy.init(key)
        return params, ppo(spec, policy).init(params, key)

    shapes = jax.eval_shape(init, jax.random.key(0))
    params, state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    assert parameter_count(params) == 11_103
    assert parameter_count(state.critic.network) == 10_901


def test_a_fresh_agent_is_nearly_uniform_and_values_nothing(toy, key, make_rollout, compiled):
    agent = compiled(ppo, toy, QUICK)
    state, rollout = agent.init(key), make_rollout(toy)
    np.testing.assert_array_equal(
        predict(state.critic, toy.observation, rollout.obs), np.zeros(SHAPE)
    )
    output = state.policy(rollout.obs)
    if isinstance(toy.action, Discrete):
        np.testing.assert_allclose(jax.nn.softmax(output), 0.5, atol=0.05)
    else:
        np.testing.assert_allclose(output[0], 0.0, atol=0.1)
        np.testing.assert_allclose(output[1], -0.5)


def test_first_surrogate_ratio_is_one(toy, key, make_rollout, compiled):
    agent = compiled(ppo, toy, QUICK)
    state = agent.init(key)
    for i in range(3):
        state, metrics = agent.update(state, make_rollout(toy), jax.random.key(i))
        # The old log-probabilities come from the whole rollout, the new ones from a minibatch: two
        # pieces of compiled code, so the ratio may be off by some roundings of log π, and by no
        # more.
        assert metrics["first_ratio_deviation"] < 1e-5
        assert metrics["ratio_deviation"] > 1e-3  # the last one's is another: the policy has moved
        assert all(np.isfinite(value) for value in metrics.values())


def test_zero_reward_leaves_the_policy_as_it_was(toy, key, make_rollout, compiled):
    # V = 0 and r = 0, so every δ is 0, every advantage, and every gradient; Adam of 0 is 0.
    agent = compiled(ppo, toy, QUICK)
    state, rollout = agent.init(key), make_rollout(toy, reward=np.zeros(SHAPE, np.float32))
    advantage, target, _ = advantages_and_targets(
        state.critic, toy.observation, rollout, rollout.reward, QUICK.discount, QUICK.gae_lambda
    )
    np.testing.assert_array_equal(advantage, np.zeros(SHAPE))
    np.testing.assert_array_equal(target, np.zeros(SHAPE))
    after = state
    for i in range(2):
        after, metrics = agent.update(after, rollout, jax.random.key(i))
    assert_trees_equal(after.policy, state.policy)
    assert_trees_equal(after.critic.network, state.critic.network)
    np.testing.assert_allclose(metrics["kl"], 0.0, atol=1e-6)


def test_one_full_batch_step_is_the_vanilla_policy_gradient(box, key, make_rollout, compiled):
    # At ratio 1 the gradient of ratio · A is that of log π · A; no clipping at all, one step.
    # Adam's first moment after one step from 0 is (1 − β₁) times the gradient, β₁ = 0.9.
    config = PPOConfig(
        (8,), epochs=1, minibatches=1, clip=1e9, discount=0.9, gae_lambda=0.8, max_gradient_norm=1e9
    )
    agent = compiled(ppo, box, config)
    state, rollout = agent.init(key), make_rollout(box)
    after, _ = agent.update(state, rollout, key)
    policy_moment, value_moment = optax.tree_utils.tree_get(after.optimiser, "mu")

    advantage = plain_advantages(rollout, 0.9, 0.8)
    # of returns as well, since V = 0
    normalised = (advantage - advantage.mean()) / advantage.std()
    assert advantage.std() > config.advantage_floor

    def policy_loss(policy):
        return -jnp.mean(log_prob(policy, rollout.obs, rollout.action) * normalised)

    def value_loss(network):
        return 0.5 * jnp.mean((network(rollout.obs)[..., 0] - normalised) ** 2)

    for moment, gradient in (
        (policy_moment, jax.grad(policy_loss)(state.policy)),
        (value_moment, jax.grad(value_loss)(state.critic.network)),
    ):
        for m, g in zip(jax.tree.leaves(moment), jax.tree.leaves(gradient), strict=True):
            np.testing.assert_allclose(m / 0.1, g, rtol=2e-4, atol=2e-6)


def paid(spec, obs, action):
    """1 for the action that the first observation asks for, or less the further an action is from
    it.
    """
    right = obs[..., 0] > 0
    if isinstance(spec.action, Discrete):
        return jnp.where(action == right, 1.0, 0.0)
    return -jnp.sum((action - jnp.where(right, 0.5, -0.5)[..., None]) ** 2, axis=-1)


def test_it_learns_a_contextual_bandit(toy, key, make_rollout, compiled):
    agent = compiled(ppo, toy, QUICK)
    state = agent.init(key)
    ends = np.ones(SHAPE, bool)
    for i in range(40):
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
        # surer than at the start
        assert (output[1] < -0.7).all() and (output[1] >= LOG_STD_FLOOR).all()


def fit_values(
    discrete, key, make_rollout, compiled, position, next_position, terminated, truncated
):
    """Values [3] after learning from reward 1, where observations are one-hot positions."""
    agent = compiled(ppo, discrete, QUICK)
    state, eye = agent.init(key), np.eye(3, dtype=np.float32)
    rollout = make_rollout(
        discrete,
        obs=np.tile(eye[position][:, None], (1, SHAPE[1], 1)),
        next_obs=np.tile(eye[next_position][:, None], (1, SHAPE[1], 1)),
        reward=np.ones(SHAPE, np.float32),
        terminated=np.tile(terminated[:, None], (1, SHAPE[1])),
        truncated=np.tile(truncated[:, None], (1, SHAPE[1])),
    )
    for i in range(60):
        state, metrics = agent.update(state, rollout, jax.random.key(i))
    return predict(state.critic, discrete.observation, jnp.asarray(eye)), metrics


def test_values_of_episodes_that_terminate(discrete, key, make_rollout, compiled):
    # Three steps at reward 1, then nothing, γ = ½: V = 1 + ½ + ¼, 1 + ½ and 1. The last,
    # unfinished episode of the rollout bootstraps from position 1, and must not disturb that.
    position = np.arange(16) % 3
    terminated = position == 2
    values, metrics = fit_values(
        discrete,
        key,
        make_rollout,
        compiled,
        position,
        (position + 1) % 3,
        terminated,
        np.zeros(16, bool),
    )
    np.testing.assert_allclose(values, [1.75, 1.5, 1.0], atol=0.05)
    assert metrics["explained_variance"] > 0.9


@pytest.mark.parametrize("truncated, expected", [(True, 2.0), (False, 1.0)])
def test_a_time_limit_bootstraps_and_termination_does_not(
    discrete, key, make_rollout, compiled, truncated, expected
):
    # Episodes of one step at reward 1 in a state that leads to itself, γ = ½. Cut off by a time
    # limit: V = 1 + ½ V = 2. Terminated: V = 1.
    position, ends = np.zeros(16, int), np.ones(16, bool)
    values, _ = fit_values(
        discrete,
        key,
        make_rollout,
        compiled,
        position,
        position,
        ends & (not truncated),
        ends & truncated,
    )
    np.testing.assert_allclose(values[0], expected, atol=0.05)


def test_the_same_key_gives_the_same_bits(toy, key, make_rollout, compiled):
    agent = compiled(ppo, toy, QUICK)
    rollout = make_rollout(toy)
    one, two = (agent.update(agent.init(key), rollout, jax.random.key(1)) for _ in range(2))
    assert_trees_equal(one, two)
    other, _ = agent.update(agent.init(key), rollout, jax.random.key(2))  # other minibatches
    assert not all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one[0]), jax.tree.leaves(other), strict=True)
    )
    obs = rollout.obs.reshape(-1, 3)
    np.testing.assert_array_equal(agent.act(one[0], obs, key), agent.act(one[0], obs, key))


def test_nothing_crosses_an_episode_border(discrete, key, make_rollout, compiled):
    # What happens after a time limit, in the next episode, is no concern of the steps before it.
    agent = compiled(ppo, discrete, QUICK)
    critic = agent.init(key).critic
    truncated = np.zeros(SHAPE, bool)
    truncated[7] = True
    rollout = make_rollout(discrete, terminated=np.zeros(SHAPE, bool), truncated=truncated)
    later = rollout._replace(
        reward=rollout.reward.at[8:].add(100.0), obs=rollout.obs.at[8:].add(1.0)
    )
    one, other = (
        advantages_and_targets(critic, discrete.observation, r, r.reward, 0.9, 0.9)[0]
        for r in (rollout, later)
    )
    np.testing.assert_array_equal(one[:8], other[:8])
    assert (np.abs(one[8:] - other[8:]) > 1.0).all()


def test_warming_the_value_up_leaves_the_policy_alone(toy, key, make_rollout, compiled):
    agent = compiled(ppo, toy, QUICK)
    state, rollout = agent.init(key), make_rollout(toy)
    errors = []
    for i in range(30):
        warm, metrics = agent.wait(state, rollout, jax.random.fold_in(key, i))
        assert_trees_equal(warm.policy, state.policy)
        errors.append(float(metrics["value_loss"]))
        state = warm
    assert errors[-1] < 0.9 * errors[0]
    # Nor does Adam owe it a step: what it remembers of the policy's gradients is nothing.
    _, adam = state.optimiser
    for moments in (adam.mu[0], adam.nu[0]):
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(moments))
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(adam.mu[1]))


@pytest.mark.parametrize(("progress", "factor"), [(0.0, 1.0), (0.5, 0.55), (1.0, 0.1)])
def test_the_learning_rate_falls_linearly_to_its_last_fraction(
    discrete, key, make_rollout, compiled, progress, factor
):
    # Adam's step is the rate times a factor of its history: with the same history, that share of
    # the step.
    one = replace(QUICK, epochs=1, minibatches=1)
    constant, falling = (
        compiled(ppo, discrete, replace(one, final_lr_fraction=x)) for x in (1.0, 0.1)
    )
    rollout, state = make_rollout(discrete), constant.init(key)
    whole, _ = constant.update(state, rollout, key, progress)
    part, _ = falling.update(state, rollout, key, progress)
    for start, a, b in zip(
        *map(jax.tree.leaves, (state.policy, whole.policy, part.policy)), strict=True
    ):
        np.testing.assert_allclose(b - start, factor * (a - start), rtol=1e-3, atol=1e-6)
    assert max(np.abs(x).max() for x in jax.tree.leaves(whole.policy)) > 1e-2
    for one, other in zip(
        *map(jax.tree.leaves, (whole.agent.optimiser, part.agent.optimiser)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
