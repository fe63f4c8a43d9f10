"""Agent units, environment units and features of an action."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitax.core.spaces import encode, from_environment, to_environment
from imitax.types import Box, Discrete

# A Box [A] is added to actions [B, A]. Remove this once the bounds are reshaped.
pytestmark = pytest.mark.rank_promotion

BOX = Box(low=(-1.0, 0.0, -5.0), high=(3.0, 0.5, -1.0))  # no dimension is symmetric about 0


def rows(*x):
    return jnp.asarray(x, jnp.float32)


def test_box_units_by_hand():
    # low + (a + 1)/2 · (high − low): −1 and 1 are the bounds, 0 the middle
    agent = rows([-1, -1, -1], [0, 0, 0], [1, 1, 1], [0.5, -0.5, 0.5])
    environment = rows([-1, 0, -5], [1, 0.25, -3], [3, 0.5, -1], [2, 0.125, -2])
    np.testing.assert_array_equal(to_environment(BOX, agent), environment)
    np.testing.assert_array_equal(from_environment(BOX, environment), agent)


def test_samples_outside_the_box_are_executed_at_its_bounds():
    agent = rows([-1.5, 7.0, -jnp.inf], [jnp.inf, -2.0, 1.1])
    np.testing.assert_array_equal(to_environment(BOX, agent), rows([-1, 0.5, -5], [3, 0, -1]))


def test_from_environment_does_not_clip():
    # A demonstration outside the bounds stays outside: 5 is 1 half-width beyond 3.
    np.testing.assert_array_equal(from_environment(BOX, rows([5, 0.25, -7])), rows([2, 0, -2]))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    low=st.floats(-100, 100, width=32),
    width=st.floats(0.125, 100, width=32),
    position=st.floats(-1, 1, width=32),
)
def test_round_trip(low, width, position):
    space = Box((low,), (low + width,))
    agent = rows(position)
    environment = to_environment(space, agent)
    # An error of an ulp of the bounds, up to 200 · 2⁻²³, is scaled up by 2 / width.
    slack = 4 * 2.0**-23 * (1.0 + (abs(low) + width) / width)
    np.testing.assert_allclose(from_environment(space, environment), agent, atol=slack)
    again = to_environment(space, from_environment(space, environment))
    np.testing.assert_allclose(again, environment, atol=4 * 2.0**-23 * (abs(low) + width))


def test_executed_actions_are_inside_the_box(rng):
    low = rng.uniform(-5.0, 5.0, 1000).astype(np.float32)
    high = (low + rng.uniform(0.1, 5.0, 1000)).astype(np.float32)
    space = Box(tuple(map(float, low)), tuple(map(float, high)))
    for agent in (-1.0, 1.0, 3.0, 0.99999994):
        executed = np.asarray(to_environment(space, jnp.full(1000, agent)))
        assert np.all(executed >= low) and np.all(executed <= high)


def test_a_dimension_without_width_is_finite():
    # low = high: every agent action is executed there, and it is the middle of its own range.
    space = Box((0.0, 2.0), (1.0, 2.0))
    assert np.all(np.isfinite(from_environment(space, rows([0.5, 2.0]))))
    np.testing.assert_array_equal(to_environment(space, rows([0.0, 0.5])), rows([0.5, 2.0]))


def test_box_features_are_the_executed_action():
    agent = rows([-1.5, 0.25, 1.0], [0.0, 2.0, -0.75])
    features = encode(BOX, agent)
    np.testing.assert_array_equal(features, rows([-1, 0.25, 1], [0, 1, -0.75]))
    # the same whether seen before or after execution
    executed = encode(BOX, from_environment(BOX, to_environment(BOX, agent)))
    np.testing.assert_allclose(executed, features, atol=1e-6)


def test_discrete_units_are_the_index():
    space = Discrete(4)
    action = jnp.asarray([3, 0, 2], jnp.int32)
    np.testing.assert_array_equal(to_environment(space, action), action)
    back = from_environment(space, to_environment(space, action))
    np.testing.assert_array_equal(back, action)
    assert back.dtype == jnp.int32


def test_discrete_features_are_one_hot():
    action = jnp.asarray([[3, 0], [1, 2]], jnp.int32)
    features = encode(Discrete(4), action)
    assert features.shape == (2, 2, 4) and features.dtype == jnp.float32
    np.testing.assert_array_equal(features, np.eye(4)[np.asarray(action)])


def test_features_have_the_size_of_the_space():
    assert encode(Discrete(4), jnp.zeros(2, jnp.int32)).shape == (2, Discrete(4).size)
    assert encode(BOX, jnp.zeros((2, 3))).shape == (2, BOX.size)


def test_spaces_are_static_under_jit():
    units = jax.jit(to_environment, static_argnums=0)
    np.testing.assert_allclose(units(BOX, jnp.zeros((2, 3))), rows([1, 0.25, -3], [1, 0.25, -3]))


@pytest.mark.parametrize("shape", [(), (2,), (4, 2)])
def test_any_batch_shape(rng, shape):
    agent = jnp.asarray(rng.uniform(-1, 1, size=(*shape, 3)), jnp.float32)
    environment = to_environment(BOX, agent)
    assert environment.shape == (*shape, 3) and environment.dtype == jnp.float32
    np.testing.assert_allclose(from_environment(BOX, environment), agent, atol=1e-5)
