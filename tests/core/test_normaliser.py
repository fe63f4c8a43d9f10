"""The observation normaliser on observations with parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.normaliser import empty_normaliser, merge_observations, normalise_observation
from imitax.core.spaces import vector
from imitax.types import Box, Dict, Discrete, MultiBinary, Tuple

# `normalise` subtracts a mean [D] from observations [B, D]. Remove this once it is reshaped.
pytestmark = pytest.mark.rank_promotion

PIXELS = Box(0, 255, (2, 2, 1), "uint8")
SPACE = Dict(
    (
        ("camera", PIXELS),
        ("joints", vector(3)),
        ("mode", Discrete(4)),
        ("rest", Tuple((Box(-1, 1, (2, 2)), MultiBinary(2)))),
    )
)


def observations(rng, *lead):
    return {
        "camera": jnp.asarray(rng.integers(256, size=(*lead, 2, 2, 1)), jnp.uint8),
        "joints": jnp.asarray(rng.normal([5, -3, 0], [2, 0.1, 7], size=(*lead, 3)), jnp.float32),
        "mode": jnp.asarray(rng.integers(4, size=lead), jnp.int32),
        "rest": (
            jnp.asarray(rng.normal(4.0, 2.0, size=(*lead, 2, 2)), jnp.float32),
            jnp.asarray(rng.integers(2, size=(*lead, 2)), jnp.int32),
        ),
    }


def test_numbers_are_normalised_and_nothing_else(rng):
    obs = observations(rng, 200)
    normaliser = merge_observations(SPACE, empty_normaliser(SPACE), obs)
    out = normalise_observation(SPACE, normaliser, obs)
    for x in (out["joints"], out["rest"][0]):
        np.testing.assert_allclose(x.mean(axis=0), np.zeros(x.shape[1:]), atol=1e-4)
        np.testing.assert_allclose(x.std(axis=0), np.ones(x.shape[1:]), atol=1e-4)
    for x, y in (
        (out["camera"], obs["camera"]),
        (out["mode"], obs["mode"]),
        (out["rest"][1], obs["rest"][1]),
    ):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
    # Of what is not normalised nothing is kept either.
    assert normaliser["camera"] == normaliser["mode"] == normaliser["rest"][1] == ()
    assert normaliser["rest"][0].mean.shape == (2, 2)


def test_statistics_are_those_of_all_observations(rng):
    one, other = observations(rng, 30), observations(rng, 7, 10)  # [N] and [T, B]
    normaliser = merge_observations(SPACE, empty_normaliser(SPACE), one)
    normaliser = merge_observations(SPACE, normaliser, other)
    rows = np.concatenate([one["joints"], np.reshape(other["joints"], (70, 3))]).astype(np.float64)
    assert normaliser["joints"].count == 100
    np.testing.assert_allclose(normaliser["joints"].mean, rows.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(normaliser["joints"].variance, rows.var(axis=0), rtol=1e-4)


def test_nothing_seen_changes_nothing(rng):
    obs = observations(rng, 5)
    obs["joints"] = jnp.clip(obs["joints"], -10, 10)
    out = normalise_observation(SPACE, empty_normaliser(SPACE), obs)
    for a, b in zip(jax.tree.leaves(out), jax.tree.leaves(obs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_any_leading_axes_give_the_same(rng):
    obs = observations(rng, 6, 4)
    normaliser = merge_observations(SPACE, empty_normaliser(SPACE), obs)
    flat = jax.tree.map(lambda x: x.reshape(24, *x.shape[2:]), obs)
    out, rows = (normalise_observation(SPACE, normaliser, x) for x in (obs, flat))
    for a, b in zip(jax.tree.leaves(out), jax.tree.leaves(rows), strict=True):
        np.testing.assert_array_equal(a.reshape(b.shape), b)


def test_the_normaliser_keeps_its_structure_under_jit(rng):
    obs = observations(rng, 5)
    fresh = empty_normaliser(SPACE)
    merged = jax.jit(lambda n, x: merge_observations(SPACE, n, x))(fresh, obs)
    assert jax.tree.structure(merged) == jax.tree.structure(fresh)


def test_a_space_without_numbers_has_an_empty_normaliser(rng):
    normaliser = empty_normaliser(PIXELS)
    pixels = observations(rng, 3)["camera"]
    assert normaliser == merge_observations(PIXELS, normaliser, pixels) == ()
    np.testing.assert_array_equal(normalise_observation(PIXELS, (), pixels), pixels)
