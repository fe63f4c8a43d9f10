"""Categorical and diagonal Gaussian against scipy.stats."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from imitax.core import distributions
from imitax.types import Distribution


# Compiled, as in training; one program each is also quicker than one for every operation.
def compiled(family):
    *functions, parameters = family
    return Distribution(*map(jax.jit, functions), parameters)


categorical = compiled(distributions.categorical)
diagonal_gaussian = compiled(distributions.diagonal_gaussian)
SIZES = (2, 3, 2)
several = compiled(distributions.independent_categoricals(SIZES))


def softmax(logits):
    weights = np.exp(np.asarray(logits, np.float64))
    return weights / weights.sum(-1, keepdims=True)


@pytest.fixture
def logits(rng):
    """Parameters of two categoricals, [2, 5, 4]."""
    return jnp.asarray(rng.normal(scale=2.0, size=(2, 5, 4)), jnp.float32)


@pytest.fixture
def gaussians(rng):
    """Parameters of two Gaussians, each (mean, log_std) of [5, 3]."""
    mean, log_std = jnp.asarray(rng.normal(size=(2, 2, 5, 3)), jnp.float32)
    return (mean[0], 0.5 * log_std[0]), (mean[1], 0.5 * log_std[1])


def frozen(params):
    """The same Gaussian, each dimension by itself, in scipy."""
    mean, log_std = (np.asarray(x, np.float64) for x in params)
    return scipy.stats.norm(mean, np.exp(log_std))


def test_categorical_log_prob(logits):
    expected = np.log(softmax(logits[0]))
    for action in range(4):
        log_prob = categorical.log_prob(logits[0], jnp.asarray([action] * 5, jnp.int32))
        np.testing.assert_allclose(log_prob, expected[:, action], rtol=1e-5, atol=1e-6)
        one_hot = np.eye(4, dtype=int)[action]
        scipys = [scipy.stats.multinomial(1, p).logpmf(one_hot) for p in softmax(logits[0])]
        np.testing.assert_allclose(log_prob, scipys, rtol=1e-5, atol=1e-6)


def test_categorical_entropy(logits):
    expected = scipy.stats.entropy(softmax(logits[0]), axis=-1)
    np.testing.assert_allclose(categorical.entropy(logits[0]), expected, rtol=1e-5)
    np.testing.assert_allclose(categorical.entropy(jnp.zeros(4)), np.log(4.0), rtol=1e-6)


def test_categorical_kl(logits):
    p, q = logits
    expected = scipy.stats.entropy(softmax(p), softmax(q), axis=-1)
    np.testing.assert_allclose(categorical.kl(p, q), expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(categorical.kl(q, p), expected, rtol=1e-2)  # p comes first


def test_categorical_ignores_a_shift_of_the_logits(logits):
    p, q = logits
    np.testing.assert_allclose(
        categorical.kl(p + 7.0, q - 3.0), categorical.kl(p, q), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(categorical.entropy(p + 7.0), categorical.entropy(p), rtol=1e-5)


def test_categorical_with_near_certain_actions():
    sure = jnp.asarray([500.0, -500.0, 0.0])
    action = jnp.arange(3, dtype=jnp.int32)
    log_prob = categorical.log_prob(jnp.broadcast_to(sure, (3, 3)), action)
    np.testing.assert_array_equal(log_prob, [0.0, -1000.0, -500.0])
    entropy, slope = jax.jit(jax.value_and_grad(categorical.entropy))(sure)
    assert entropy == 0.0 and np.all(np.isfinite(slope))
    assert np.isfinite(categorical.kl(sure, -sure))


def test_categorical_score_has_mean_zero(logits):
    # Σ_a p(a) ∇log p(a) = ∇ Σ_a p(a) = 0
    row = logits[0, 0]
    score = jax.jit(jax.vmap(jax.grad(categorical.log_prob), (None, 0)))
    scores = score(row, jnp.arange(4, dtype=jnp.int32))
    np.testing.assert_allclose(softmax(row) @ np.asarray(scores), np.zeros(4), atol=1e-6)


def test_categorical_sample_frequencies(logits, key):
    n = 20_000
    row = logits[0, 0]
    samples = categorical.sample(jnp.broadcast_to(row, (n, 4)), key)
    assert samples.shape == (n,) and samples.dtype == jnp.int32
    counts = np.bincount(np.asarray(samples), minlength=4)
    assert scipy.stats.chisquare(counts, n * softmax(row)).pvalue > 1e-3


def test_categorical_mode(logits):
    mode = categorical.mode(logits[0])
    assert mode.dtype == jnp.int32
    np.testing.assert_array_equal(mode, np.argmax(np.asarray(logits[0]), -1))


def test_gaussian_log_prob(gaussians, rng):
    params, _ = gaussians
    action = rng.normal(scale=2.0, size=(5, 3)).astype(np.float32)
    expected = frozen(params).logpdf(action).sum(-1)
    np.testing.assert_allclose(
        diagonal_gaussian.log_prob(params, jnp.asarray(action)), expected, rtol=1e-5
    )
    mean, log_std = (np.asarray(x, np.float64) for x in params)
    joint = [
        scipy.stats.multivariate_normal(m, np.diag(np.exp(2 * s))).logpdf(a)
        for m, s, a in zip(mean, log_std, action, strict=True)
    ]
    np.testing.assert_allclose(
        diagonal_gaussian.log_prob(params, jnp.asarray(action)), joint, rtol=1e-5
    )


def test_gaussian_entropy(gaussians):
    params, _ = gaussians
    expected = frozen(params).entropy().sum(-1)
    np.testing.assert_allclose(diagonal_gaussian.entropy(params), expected, rtol=1e-5)


def test_gaussian_kl(gaussians):
    # KL(p ‖ q) = E_p[log p − log q], integrated numerically and summed over independent
    # dimensions.
    p, q = gaussians
    kl = diagonal_gaussian.kl(p, q)
    for row in range(2):
        expected = 0.0
        for d in range(3):
            one, other = (
                scipy.stats.norm(float(mean[row, d]), float(np.exp(np.float64(log_std[row, d]))))
                for mean, log_std in (p, q)
            )
            expected += one.expect(lambda x, one=one, other=other: one.logpdf(x) - other.logpdf(x))
        np.testing.assert_allclose(kl[row], expected, rtol=1e-4)


def test_gaussian_sample_distribution(key):
    n = 20_000
    mean, std = np.asarray([1.0, -2.0]), np.asarray([0.5, 3.0])
    params = tuple(
        jnp.broadcast_to(jnp.asarray(x, jnp.float32), (n, 2)) for x in (mean, np.log(std))
    )
    samples = np.asarray(diagonal_gaussian.sample(params, key))
    assert samples.shape == (n, 2)
    for d in range(2):
        assert (
            scipy.stats.kstest(samples[:, d], scipy.stats.norm(mean[d], std[d]).cdf).pvalue > 1e-3
        )
    assert abs(np.corrcoef(samples.T)[0, 1]) < 4.0 / np.sqrt(n)


def test_gaussian_mode_is_the_mean(gaussians):
    np.testing.assert_array_equal(diagonal_gaussian.mode(gaussians[0]), gaussians[0][0])


def test_kl_of_a_distribution_with_itself_is_zero(logits, gaussians):
    np.testing.assert_array_equal(categorical.kl(logits[0], logits[0]), np.zeros(5))
    np.testing.assert_array_equal(diagonal_gaussian.kl(gaussians[0], gaussians[0]), np.zeros(5))


def test_kl_is_flat_at_itself(logits, gaussians):
    # KL ≥ 0 with equality at q = p, so its gradient in q is 0 there.
    slope = jax.jit(jax.grad(lambda q: categorical.kl(logits[0], q).sum()))(logits[0])
    np.testing.assert_allclose(slope, np.zeros((5, 4)), atol=1e-6)
    slopes = jax.jit(jax.grad(lambda q: diagonal_gaussian.kl(gaussians[0], q).sum()))(gaussians[0])
    for slope in slopes:
        np.testing.assert_allclose(slope, np.zeros((5, 3)), atol=1e-6)


def test_kl_is_not_negative(logits, gaussians):
    assert np.all(np.asarray(categorical.kl(*logits)) > 0.0)
    assert np.all(np.asarray(diagonal_gaussian.kl(*gaussians)) > 0.0)


@pytest.mark.parametrize("functions", [categorical, diagonal_gaussian])
def test_samples_follow_the_key(functions, logits, gaussians, key):
    params = logits[0] if functions is categorical else gaussians[0]
    first, again = functions.sample(params, key), functions.sample(params, key)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, functions.sample(params, jax.random.key(1)))


# Independent categoricals, against the categorical over all combinations
# ------------------------------------

COMBINATIONS = np.array(list(itertools.product(*map(range, SIZES))), np.int32)  # [12, 3]


@pytest.fixture
def several_logits(rng):
    """Parameters of two distributions, [2, 5, Σ n]."""
    return jnp.asarray(rng.normal(scale=1.5, size=(2, 5, sum(SIZES))), jnp.float32)


def joint(logits):
    """Probabilities [..., 12] of all combinations, in float64."""
    first, second, third = np.split(np.asarray(logits, np.float64), np.cumsum(SIZES)[:-1], axis=-1)
    product = np.einsum("...i,...j,...k->...ijk", softmax(first), softmax(second), softmax(third))
    return product.reshape(*product.shape[:-3], -1)


def test_several_log_probs_are_those_of_the_joint(several_logits):
    p = joint(several_logits[0])
    np.testing.assert_allclose(p.sum(-1), 1.0)
    for i, combination in enumerate(COMBINATIONS):
        log_prob = several.log_prob(several_logits[0], jnp.tile(combination, (5, 1)))
        np.testing.assert_allclose(log_prob, np.log(p[:, i]), rtol=1e-5, atol=1e-5)


def test_several_entropies_and_kls_are_those_of_the_joint(several_logits):
    p, q = joint(several_logits)
    entropy = scipy.stats.entropy(p, axis=-1)
    np.testing.assert_allclose(several.entropy(several_logits[0]), entropy, rtol=1e-5)
    kl = scipy.stats.entropy(p, q, axis=-1)
    np.testing.assert_allclose(several.kl(*several_logits), kl, rtol=1e-4, atol=1e-6)


def test_several_modes_are_the_likeliest_combination(several_logits):
    mode = several.mode(several_logits[0])
    assert mode.dtype == jnp.int32
    np.testing.assert_array_equal(mode, COMBINATIONS[joint(several_logits[0]).argmax(-1)])


def test_several_sample_frequencies(several_logits, key):
    n, row = 20_000, several_logits[0, 0]
    samples = several.sample(jnp.broadcast_to(row, (n, sum(SIZES))), key)
    assert samples.shape == (n, 3) and samples.dtype == jnp.int32
    index = np.ravel_multi_index(np.asarray(samples).T, SIZES)
    # of combinations: parts that were correlated would show
    counts = np.bincount(index, minlength=12)
    assert scipy.stats.chisquare(counts, n * joint(row)).pvalue > 1e-3
