"""Losses that wrap losses: each wrapper against its closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.losses import gradient_penalty
from imitax.rewards.losses import (
    Batch,
    Logits,
    cross_entropy,
    on_logits,
    with_entropy_bonus,
    with_gradient_penalty,
    with_label_smoothing,
    without_absorbing,
)

# Four kinds of pair, as often as said here on each side, and absorbed shares that differ.
EXPERT_COUNTS, POLICY_COUNTS = np.asarray([4, 3, 2, 1]), np.asarray([1, 1, 6, 2])
EXPERT_MASS, POLICY_MASS = 0.2, 0.6
KINDS = np.eye(5, dtype=np.float32)  # the fifth is the absorbing state


def scalar(x):
    return jnp.asarray(x, jnp.float32)


def batch():
    """Features are one-hot, so the weights of a linear network are its logits."""
    expert, policy = (KINDS[np.repeat(np.arange(4), n)] for n in (EXPERT_COUNTS, POLICY_COUNTS))
    sides = map(jnp.asarray, (expert, policy, KINDS[4:]))
    return Batch(*sides, scalar(EXPERT_MASS), scalar(POLICY_MASS))


def value_of(loss, weights, key):
    """The loss of the linear network with these weights [5]."""
    return loss(lambda x: x @ jnp.asarray(weights, jnp.float32)[:, None], batch(), key)


def softplus(x):
    return np.logaddexp(0.0, x)


def by_the_book(weights, expert_mass=EXPERT_MASS, policy_mass=POLICY_MASS):
    """−E_expert[log D] − E_policy[log(1 − D)] in float64."""
    live, gone = np.asarray(weights, np.float64)[:4], float(weights[4])
    expert = (1 - expert_mass) * (EXPERT_COUNTS / 10) @ softplus(-live) + expert_mass * softplus(
        -gone
    )
    policy = (1 - policy_mass) * (POLICY_COUNTS / 10) @ softplus(live) + policy_mass * softplus(
        gone
    )
    return expert + policy


@pytest.fixture
def weights(rng):
    return rng.normal(size=5)


def test_cross_entropy_of_a_network(weights, key):
    value = value_of(on_logits(cross_entropy), weights, key)
    np.testing.assert_allclose(value.criterion, by_the_book(weights), rtol=1e-5)
    assert value.total == value.criterion
    np.testing.assert_allclose(
        value.logits.expert, weights[np.repeat(np.arange(4), EXPERT_COUNTS)], rtol=1e-6
    )
    np.testing.assert_allclose(
        value.logits.policy, weights[np.repeat(np.arange(4), POLICY_COUNTS)], rtol=1e-6
    )
    np.testing.assert_allclose(value.logits.absorbing, weights[4], rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_optimal_logit_of_smoothed_labels(smoothing, key):
    # Let a = (1 − m_E) ρ_E(x) and b = (1 − m_π) ρ_π(x) be the occupancies of a live pair, and a =
    # m_E, b = m_π those of the absorbing state. With targets 1 − s for the expert and s for the
    # policy, the loss is Σ_x a [softplus(l) − (1 − s) l] + b [softplus(l) − s l], and its
    # derivative in l is   a (σ(l) − 1 + s) + b (σ(l) − s) = 0   ⇔   σ(l) = ((1 − s) a + s b) / (a
    # + b).
    a = np.append((1 - EXPERT_MASS) * EXPERT_COUNTS / EXPERT_COUNTS.sum(), EXPERT_MASS)
    b = np.append((1 - POLICY_MASS) * POLICY_COUNTS / POLICY_COUNTS.sum(), POLICY_MASS)
    d = ((1 - smoothing) * a + smoothing * b) / (a + b)
    best = jnp.asarray(np.log(d / (1 - d)), jnp.float32)
    loss = on_logits(with_label_smoothing(cross_entropy, smoothing))
    loss_and_slope = jax.jit(jax.value_and_grad(lambda w: value_of(loss, w, key).total))
    least, slope = loss_and_slope(best)
    np.testing.assert_allclose(slope, np.zeros(5), atol=1e-7)
    # and it is a minimum: the loss rises in every direction
    for shift in (-0.5, 0.5):
        for x in range(5):
            assert loss_and_slope(best + shift * KINDS[x])[0] > least


def test_label_smoothing_by_hand():
    # s = ¼ at logit l on both sides: (softplus(l) − ¾ l) + (softplus(l) − ¼ l) = 2 softplus(l) −
    # l.
    logit = 1.5
    logits = Logits(jnp.full(3, logit), jnp.full(3, logit), scalar(logit))
    masses = batch()._replace(expert_mass=scalar(0.3), policy_mass=scalar(0.6))
    loss = with_label_smoothing(cross_entropy, 0.25)(logits, masses)
    np.testing.assert_allclose(loss, 2 * np.log1p(np.exp(logit)) - logit, rtol=1e-6)


def test_without_absorbing_states_only_live_pairs_count(weights, key):
    value = value_of(without_absorbing(on_logits(cross_entropy)), weights, key)
    np.testing.assert_allclose(value.total, by_the_book(weights, 0.0, 0.0), rtol=1e-5)
    assert abs(by_the_book(weights, 0.0, 0.0) - by_the_book(weights)) > 1e-2


def test_entropy_bonus_is_the_mean_entropy_of_live_pairs(weights, key):
    # H(D) = −D log D − (1 − D) log(1 − D), over the 20 pairs of both sides and not the absorbing
    # state.
    plain = on_logits(cross_entropy)
    value = value_of(with_entropy_bonus(plain, 0.5), weights, key)
    d = 1 / (1 + np.exp(-weights[:4]))
    entropy = (EXPERT_COUNTS + POLICY_COUNTS) / 20 @ (-d * np.log(d) - (1 - d) * np.log(1 - d))
    np.testing.assert_allclose(value.total, by_the_book(weights) - 0.5 * entropy, rtol=1e-5)
    assert value.criterion == value_of(plain, weights, key).criterion


def test_gradient_penalty_of_a_linear_network(weights, key):
    # ∇ (x·w) = w everywhere: (‖w‖ − 1)², whatever the points.
    plain = on_logits(cross_entropy)
    value = value_of(with_gradient_penalty(plain, 3.0), weights, key)
    expected = by_the_book(weights) + 3.0 * (np.linalg.norm(weights) - 1.0) ** 2
    np.testing.assert_allclose(value.total, expected, rtol=1e-5)
    assert value.criterion == value_of(plain, weights, key).criterion


def test_gradient_penalty_lies_between_expert_and_policy(key):
    # ½‖x‖² has slope x, so its penalty tells where it was taken: between 3 and 7 in each of 200
    # pairs.
    sides = jnp.full((200, 1), 3.0), jnp.full((200, 1), 7.0)
    both = Batch(*sides, jnp.zeros((1, 1)), scalar(0.0), scalar(0.0))

    def network(x):
        return 0.5 * jnp.sum(x**2, axis=-1, keepdims=True)

    plain = on_logits(cross_entropy)
    penalty = (
        with_gradient_penalty(plain, 1.0)(network, both, key).total
        - plain(network, both, key).total
    )
    # E (x − 1)² of x uniform on [3, 7] = (6³ − 2³) / (3 · 4) = 17⅓; over 200 pairs ± 0.7.
    np.testing.assert_allclose(penalty, 52 / 3, atol=3.0)
    np.testing.assert_allclose(gradient_penalty(network, sides[1], sides[1], key), 36.0, rtol=1e-5)


def test_wrappers_nest(weights, key):
    # The penalty does not care what it wraps, and the first loss of a discriminator is always 2 ln
    # 2.
    loss = with_gradient_penalty(
        with_entropy_bonus(without_absorbing(on_logits(cross_entropy)), 0.5), 3.0
    )
    alone = value_of(
        with_entropy_bonus(without_absorbing(on_logits(cross_entropy)), 0.5), weights, key
    )
    penalty = 3.0 * (np.linalg.norm(weights) - 1.0) ** 2
    np.testing.assert_allclose(value_of(loss, weights, key).total, alone.total + penalty, rtol=1e-5)
    smoothed = on_logits(with_label_smoothing(cross_entropy, 0.1))
    np.testing.assert_allclose(
        value_of(smoothed, np.zeros(5), key).criterion, 2 * np.log(2.0), rtol=1e-6
    )
