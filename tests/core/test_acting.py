"""Policies applied to single transitions and to rollouts, with and without a carry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.acting import act, is_recurrent, log_prob, memoryless_output, sequences
from imitax.core.distributions import categorical
from imitax.core.spaces import blank, vector
from imitax.networks import mlp_policy
from imitax.types import Discrete, EnvSpec, Policy

SPEC = EnvSpec("Toy", vector(1), Discrete(2), 100)
T, B = 5, 3


def unroll(params, obs, first, carry):
    """Logits (0, weight · sum of the observations of the episode so far); the carry is that sum
    [B].
    """

    def step(total, x):
        value, begins = x
        total = jnp.where(begins, 0.0, total) + value[:, 0]
        return total, jnp.stack([jnp.zeros_like(total), params * total], axis=-1)

    carry, logits = jax.lax.scan(step, carry, (obs, first))
    return logits, carry


SUMMING = Policy(categorical, lambda key: jnp.float32(2.0), lambda batch: jnp.zeros(batch), unroll)


@pytest.fixture
def rollout(rng):
    """One episode border in the second environment, at step 2."""
    step = np.tile(np.arange(T)[:, None], (1, B))
    step[2:, 1] -= 2
    return blank(SPEC, (T, B))._replace(
        obs=jnp.asarray(rng.normal(size=(T, B, 1)), jnp.float32),
        action=jnp.asarray(rng.integers(2, size=(T, B)), jnp.int32),
        step=jnp.asarray(step, jnp.int32),
    )


def log_sigmoid(x):
    return -np.logaddexp(0.0, -np.asarray(x, np.float64))


def test_only_a_carry_makes_a_policy_recurrent():
    assert is_recurrent(SUMMING)
    assert not is_recurrent(mlp_policy(SPEC, (4,)))


def test_acting_step_by_step_is_unrolling(rollout):
    first = rollout.step == 0
    at_once, end = SUMMING.unroll(jnp.float32(2.0), rollout.obs, first, SUMMING.carry(B))
    carry = SUMMING.carry(B)
    for t in range(T):
        logits, carry = act(SUMMING, jnp.float32(2.0), rollout.obs[t], first[t], carry)
        np.testing.assert_array_equal(logits, at_once[t])
    np.testing.assert_array_equal(carry, end)
    # By hand: sums within episodes, and the border forgets.
    obs = np.asarray(rollout.obs[..., 0])
    sums = [obs[:, 0].sum(), obs[2:, 1].sum(), obs[:, 2].sum()]
    np.testing.assert_allclose(at_once[-1, :, 1] / 2, sums, rtol=1e-5, atol=1e-6)


def test_single_transitions_are_asked_without_memory(rollout):
    # π(1 | s) = σ(2 s), whatever came before; its log-probability is log σ(±2 s).
    expected = log_sigmoid(
        np.where(rollout.action == 1, 2.0, -2.0) * np.asarray(rollout.obs[..., 0])
    )
    for shape in ((T, B), (T * B,)):  # a rollout and a sample
        t = jax.tree.map(lambda x, s=shape: x.reshape(*s, *x.shape[2:]), rollout)
        out = log_prob(SUMMING, jnp.float32(2.0), t)
        assert out.shape == shape
        np.testing.assert_allclose(out, expected.reshape(shape), rtol=1e-5, atol=1e-6)


@pytest.mark.rank_promotion  # biases are added to batches
def test_log_prob_of_a_feedforward_policy_is_that_of_its_rollout(rollout, key):
    policy = mlp_policy(SPEC, (4,))
    params = jax.tree.map(lambda x: x + 0.3, policy.init(key))
    output, _ = policy.unroll(params, rollout.obs, rollout.step == 0, ())
    expected = categorical.log_prob(output, rollout.action)
    np.testing.assert_allclose(log_prob(policy, params, rollout), expected, rtol=1e-5)


def test_memoryless_outputs_are_those_of_first_steps():
    obs = jnp.asarray([[1.0], [-2.0]])
    logits = memoryless_output(SUMMING, jnp.float32(2.0), obs, 2)
    np.testing.assert_array_equal(logits, [[0.0, 2.0], [0.0, -4.0]])


def test_sequences_stay_whole_only_where_there_is_a_carry(rollout):
    np.testing.assert_array_equal(sequences(SUMMING, rollout).obs, rollout.obs)
    rows = sequences(mlp_policy(SPEC, (4,)), rollout)
    assert rows.obs.shape == (1, T * B, 1) and rows.step.shape == (1, T * B)
    np.testing.assert_array_equal(rows.step[0], rollout.step.reshape(-1))
