"""Running moments against numpy over everything seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitax.core import statistics
from imitax.core.statistics import Moments, empty_moments

# `normalise` subtracts a mean [D] from observations [B, D]. Remove this once it is reshaped.
pytestmark = pytest.mark.rank_promotion

# Compiled, as in training; one program each is also quicker than one for every operation.
merge_moments = jax.jit(statistics.merge_moments, static_argnums=2)
normalise = jax.jit(statistics.normalise, static_argnums=2)

SIZES = (1, 2, 5)  # few sizes, so that few programs are compiled


def merged(chunks, memory=jnp.inf):
    moments = empty_moments(chunks[0].shape[1:])
    for chunk in chunks:
        moments = merge_moments(moments, jnp.asarray(chunk, jnp.float32), memory)
    return moments


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    offset=st.sampled_from([-5.0, 0.0, 5.0]),
)
def test_merging_equals_all_at_once(sizes, seed, scale, offset):
    rng = np.random.default_rng(seed)
    chunks = [(scale * (rng.normal(size=(n, 2)) + offset)).astype(np.float32) for n in sizes]
    moments = merged(chunks)
    everything = np.concatenate(chunks).astype(np.float64)
    assert moments.count == sum(sizes)
    np.testing.assert_allclose(moments.mean, everything.mean(0), rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(moments.variance, everything.var(0), rtol=1e-4, atol=1e-5 * scale**2)


def test_first_batch_replaces_the_empty_moments(rng):
    batch = jnp.asarray(rng.normal(3.0, 2.0, size=(7, 2)), jnp.float32)
    moments = merge_moments(empty_moments((2,)), batch)
    np.testing.assert_allclose(moments.mean, batch.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, batch.var(0), rtol=1e-6)


def test_scalar_moments():
    # 1, 3 and 8: mean 4, variance (9 + 1 + 16) / 3
    moments = merged([np.asarray([1.0, 3.0]), np.asarray([8.0])])
    assert moments.count == 3 and moments.mean.shape == ()
    np.testing.assert_allclose(moments.mean, 4.0, rtol=1e-6)
    np.testing.assert_allclose(moments.variance, 26.0 / 3.0, rtol=1e-6)


def test_a_large_offset_loses_no_variance(rng):
    # The sum of squares less the squared mean would cancel here; Chan's update does not.
    chunks = [(1e4 + rng.normal(size=(50, 1))).astype(np.float32) for _ in range(20)]
    everything = np.concatenate(chunks).astype(np.float64)
    np.testing.assert_allclose(merged(chunks).variance, everything.var(0), rtol=1e-2)


def test_merging_under_jit_and_vmap(rng):
    batches = jnp.asarray(rng.normal(size=(3, 10, 2)), jnp.float32)
    mapped = jax.jit(jax.vmap(lambda b: merge_moments(empty_moments((2,)), b)))(batches)
    np.testing.assert_array_equal(mapped.count, [10.0] * 3)
    np.testing.assert_allclose(mapped.mean, np.mean(batches, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mapped.variance, np.var(batches, 1), rtol=1e-5)


def test_memory_caps_the_weight_of_the_past():
    # With count ≥ M before each batch of n, the past keeps the share M / (M + n). From mean 0 and
    # batches of ones, after k batches: mean = 1 − (M / (M + n))^k. One batch from variance 0: the
    # mixture of a share q = n / (M + n) at 1 has variance q (1 − q).
    memory, n = 30.0, 10
    past = Moments(jnp.asarray(1000.0), jnp.zeros(1), jnp.zeros(1))
    moments = merge_moments(past, jnp.ones((n, 1)), memory)
    assert moments.count == memory + n
    np.testing.assert_allclose(moments.mean, [0.25], rtol=1e-6)
    np.testing.assert_allclose(moments.variance, [0.25 * 0.75], rtol=1e-6)
    for k in range(2, 8):
        moments = merge_moments(moments, jnp.ones((n, 1)), memory)
        np.testing.assert_allclose(moments.mean, [1.0 - 0.75**k], rtol=1e-5)


def test_capped_memory_follows_drift_and_endless_memory_lags(rng):
    # Ten batches around 0, then ten around 5: all of it has mean 2.5, the recent part 5.
    chunks = [rng.normal(m, 1.0, size=(100, 1)) for m in [0.0] * 10 + [5.0] * 10]
    endless, capped = merged(chunks), merged(chunks, memory=100.0)
    np.testing.assert_allclose(endless.mean, [2.5], atol=0.2)
    np.testing.assert_allclose(capped.mean, [5.0], atol=0.2)  # the past keeps 5 · 2⁻¹⁰
    np.testing.assert_allclose(capped.variance, [1.0], atol=0.3)
    assert endless.variance > 5.0


def test_memory_that_is_not_reached_changes_nothing(rng):
    chunks = [rng.normal(size=(5, 2)) for _ in range(4)]
    for one, other in zip(merged(chunks), merged(chunks, memory=20.0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_empty_moments_normalise_nothing(rng):
    x = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)
    np.testing.assert_array_equal(normalise(empty_moments((3,)), x), x)


def test_normalised_data_has_mean_zero_and_deviation_one(rng):
    x = (rng.normal(size=(200, 3)) * [0.01, 1.0, 50.0] + [5.0, 0.0, -100.0]).astype(np.float32)
    y = np.asarray(normalise(merged([x]), jnp.asarray(x)))
    np.testing.assert_allclose(y.mean(0), np.zeros(3), atol=1e-3)
    np.testing.assert_allclose(y.std(0), np.ones(3), rtol=1e-3)


def test_normalise_clips():
    moments = Moments(jnp.asarray(1.0), jnp.asarray([1.0]), jnp.asarray([4.0]))
    x = jnp.asarray([[3.0], [100.0], [-100.0]])
    np.testing.assert_array_equal(normalise(moments, x), [[1.0], [10.0], [-10.0]])
    np.testing.assert_array_equal(normalise(moments, x, 5.0), [[1.0], [5.0], [-5.0]])


def test_constant_dimension_is_only_centred(rng):
    # Dimension 0 never varies: 2 maps to 0, and a later 2.5 to 0.5, not to the clip.
    x = np.stack([np.full(50, 2.0), rng.normal(size=50)], -1)
    moments = merged([x, x])
    y = np.asarray(normalise(moments, jnp.asarray([[2.0, 0.0], [2.5, 0.0]], jnp.float32)))
    np.testing.assert_allclose(y[:, 0], [0.0, 0.5], atol=1e-6)


@pytest.mark.parametrize("constant", [0.1, 100.3, 1000.7])
def test_any_constant_dimension_is_only_centred(constant):
    # The mean of equal numbers may be an ulp off, and an ulp of 1000 is 6e-5. That is still a
    # constant.
    batch = jnp.full((100, 1), constant, jnp.float32)
    moments = merge_moments(merge_moments(empty_moments((1,)), batch), batch)
    np.testing.assert_allclose(normalise(moments, batch), np.zeros((100, 1)), atol=1e-2)
    np.testing.assert_allclose(normalise(moments, batch + 0.5), 0.5 * np.ones((100, 1)), atol=1e-2)


def test_normalise_under_any_batch_shape(rng):
    moments = merged([rng.normal(2.0, 3.0, size=(50, 3))])
    x = jnp.asarray(rng.normal(size=(4, 2, 3)), jnp.float32)
    np.testing.assert_allclose(normalise(moments, x)[1, 1], normalise(moments, x[1, 1]), rtol=1e-6)
