"""Spaces of all six kinds: agent units, environment units, features, descriptions."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitax.core.distributions import categorical, diagonal_gaussian
from imitax.core.spaces import (
    blank,
    bounds,
    describe,
    distribution,
    encode,
    executed,
    from_environment,
    outside,
    parse,
    range_text,
    row_form,
    same_structure,
    size,
    to_environment,
    uniform,
    vector,
    zeros,
)
from imitax.errors import ImitaxError
from imitax.types import Box, Dict, Discrete, EnvSpec, MultiBinary, MultiDiscrete, Tuple

# A Box [A] is added to actions [B, A]. Remove this once the bounds are reshaped.
pytestmark = [
    pytest.mark.rank_promotion,
    # Where strategies make spaces, the type checker looks at a random entry of their tuples.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]

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
        action = np.asarray(to_environment(space, jnp.full(1000, agent)))
        assert np.all(action >= low) and np.all(action <= high)


def test_a_dimension_without_width_is_finite():
    # low = high: every agent action is executed there, and it is the middle of its own range.
    space = Box((0.0, 2.0), (1.0, 2.0))
    assert np.all(np.isfinite(from_environment(space, rows([0.5, 2.0]))))
    np.testing.assert_array_equal(to_environment(space, rows([0.0, 0.5])), rows([0.5, 2.0]))


def test_box_features_are_the_executed_action():
    agent = rows([-1.5, 0.25, 1.0], [0.0, 2.0, -0.75])
    features = encode(BOX, executed(BOX, agent))
    np.testing.assert_array_equal(features, rows([-1, 0.25, 1], [0, 1, -0.75]))
    # the same whether seen before or after execution
    after = encode(BOX, from_environment(BOX, to_environment(BOX, agent)))
    np.testing.assert_allclose(after, features, atol=1e-6)


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
    assert encode(Discrete(4), jnp.zeros(2, jnp.int32)).shape == (2, size(Discrete(4)))
    assert encode(BOX, jnp.zeros((2, 3))).shape == (2, size(BOX))


def test_spaces_are_static_under_jit():
    units = jax.jit(to_environment, static_argnums=0)
    np.testing.assert_allclose(units(BOX, jnp.zeros((2, 3))), rows([1, 0.25, -3], [1, 0.25, -3]))


@pytest.mark.parametrize("shape", [(), (2,), (4, 2)])
def test_any_batch_shape(rng, shape):
    agent = jnp.asarray(rng.uniform(-1, 1, size=(*shape, 3)), jnp.float32)
    environment = to_environment(BOX, agent)
    assert environment.shape == (*shape, 3) and environment.dtype == jnp.float32
    np.testing.assert_allclose(from_environment(BOX, environment), agent, atol=1e-5)


# All six kinds, nested at random
# ----------------------------------------------------------------------------

IMAGE = Box(0, 255, (4, 4, 3), "uint8")
COUNTS = st.integers(1, 4)
BOUNDS = st.tuples(st.floats(-50, 0, width=32), st.floats(1, 50, width=32))


@st.composite
def boxes(draw):
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    if draw(st.booleans()):
        return Box(*draw(BOUNDS), shape)
    pairs = draw(st.lists(BOUNDS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return Box(*map(tuple, zip(*pairs, strict=True)), shape)


LEAVES = st.one_of(
    COUNTS.map(Discrete),
    st.lists(COUNTS, min_size=1, max_size=3).map(lambda n: MultiDiscrete(tuple(n))),
    COUNTS.map(MultiBinary),
    boxes(),
)


def nested(parts):
    several = st.lists(parts, min_size=1, max_size=3)
    named = several.map(lambda p: Dict(tuple((f"part{i}", part) for i, part in enumerate(p))))
    return named | several.map(lambda p: Tuple(tuple(p)))


SPACES = st.recursive(LEAVES | st.just(IMAGE), nested, max_leaves=4)
ACTIONS = st.recursive(LEAVES, nested, max_leaves=4)  # no images: they are only ever seen
every_space = settings(max_examples=15, deadline=None, derandomize=True)


def trees_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@every_space
@given(space=SPACES)
def test_features_have_the_encoded_size(space):
    for lead in ((), (2,), (3, 2)):
        features = jax.eval_shape(lambda lead=lead: encode(space, zeros(space, lead)))
        assert features.shape == (*lead, size(space)) and features.dtype == jnp.float32


@every_space
@given(space=SPACES)
def test_a_description_gives_the_space_back(space):
    data = json.loads(json.dumps(describe(space)))
    assert parse(data) == space
    assert hash(parse(data)) == hash(space)


@every_space
@given(space=ACTIONS, seed=st.integers(0, 1000))
def test_actions_come_back_from_the_environment(space, seed):
    agent = uniform(space, jax.random.key(seed), 5)
    environment = to_environment(space, agent)
    assert jax.tree.structure(environment) == jax.tree.structure(zeros(space))
    back = from_environment(space, environment)
    for a, b, leaf in zip(*map(jax.tree.leaves, (agent, back, zeros(space))), strict=True):
        assert b.dtype == leaf.dtype and b.shape == (5, *leaf.shape)
        np.testing.assert_allclose(a, b, atol=1e-4)  # widths from 1 on, numbers up to 50


@every_space
@given(space=ACTIONS, seed=st.integers(0, 1000))
def test_uniform_actions_lie_inside_once_executed(space, seed):
    def check(part, values):
        match part:
            case Dict(parts):
                for name, inner in parts:
                    check(inner, values[name])
            case Tuple(parts):
                for inner, x in zip(parts, values, strict=True):
                    check(inner, x)
            case _:
                assert not outside(part, np.asarray(values)).any()

    check(space, to_environment(space, uniform(space, jax.random.key(seed), 7)))


@pytest.mark.parametrize(
    "space, expected",
    [
        (Discrete(3), [0, 1, 2]),
        (MultiDiscrete((2, 3)), [[a, b] for a in range(2) for b in range(3)]),
        (MultiBinary(2), [[a, b] for a in range(2) for b in range(2)]),
    ],
    ids=str,
)
def test_uniform_actions_reach_every_value(space, expected, key):
    drawn = np.asarray(uniform(space, key, 200))
    np.testing.assert_array_equal(np.unique(drawn, axis=0), expected)


def test_uniform_box_actions_fill_the_box(key):
    drawn = np.asarray(uniform(BOX, key, 400))
    assert (drawn.min(axis=0) < -0.95).all() and (drawn.max(axis=0) > 0.95).all()


def test_features_by_hand():
    # One-hot parts in order; the parts of a Dict in the order of the space; bytes as fractions of
    # 255.
    joint = Dict((("b", Discrete(2)), ("a", Tuple((MultiDiscrete((2, 3)), MultiBinary(2))))))
    value = {"a": (jnp.array([[1, 0]]), jnp.array([[0, 1]])), "b": jnp.array([1])}
    np.testing.assert_array_equal(encode(joint, value), rows([0, 1, 0, 1, 1, 0, 0, 0, 1]))
    pixels = jnp.array([[[0], [51]], [[255], [102]]], jnp.uint8)
    np.testing.assert_allclose(
        encode(Box(0, 255, (2, 2, 1), "uint8"), pixels), [0, 0.2, 1, 0.4], rtol=1e-6
    )
    matrix = jnp.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(encode(Box(-1, 1, (2, 3)), matrix), rows([0, 1, 2, 3, 4, 5]))


def test_only_numbers_are_scaled():
    space = Dict((("push", Box((0.0,), (4.0,))), ("gear", Discrete(3)), ("keys", MultiBinary(2))))
    agent = {"push": rows([0.5]), "gear": jnp.array([2]), "keys": jnp.array([[1, 0]])}
    environment = to_environment(space, agent)
    trees_equal(environment, agent | {"push": rows([3.0])})
    trees_equal(executed(space, agent | {"push": rows([7.0])}), agent | {"push": rows([1.0])})


@pytest.mark.parametrize(
    "space, values, expected",
    [
        (Discrete(3), [-1, 0, 2, 3], [True, False, False, True]),
        (MultiDiscrete((2, 3)), [[1, 2], [2, 0], [0, 3], [-1, 0]], [False, True, True, True]),
        (MultiBinary(2), [[0, 1], [1, 2], [-1, 0]], [False, True, True]),
        (
            Box((-1.0, 0.0), (1.0, 5.0)),
            [[1, 5], [1.1, 0], [0, -0.1], [-1, 0]],
            [False, True, True, False],
        ),
        (Box(0, 255, (2, 1), "uint8"), [[[0], [255]]], [False]),
        # Rounding to float32 is not outside: 1e-5 of the width of each dimension.
        (
            Box((0.0, 0.0), (1.0, 100.0)),
            [[1 + 9e-6, 0], [1 + 2e-5, 0], [0, 100 + 9e-4]],
            [False, True, False],
        ),
        (vector(2), [[1e30, -1e30]], [False]),
    ],
    ids=str,
)
def test_what_lies_outside(space, values, expected):
    np.testing.assert_array_equal(outside(space, np.asarray(values)), expected)


def test_what_has_parts_is_not_asked_whether_it_lies_outside():
    with pytest.raises(TypeError, match="Tuple has parts"):
        outside(Tuple((Discrete(2),)), np.zeros(1))


def test_structures_are_the_same_whatever_the_bounds():
    box = Dict((("a", Box(-1, 1, (2,))), ("b", Discrete(2))))
    assert same_structure(box, Dict((("a", Box(-7, 3, (2,))), ("b", Discrete(2)))))
    assert same_structure(Tuple((Box((0.0, 1.0), (2.0, 3.0)),)), Tuple((vector(2),)))
    for other in (
        Dict((("a", Box(-1, 1, (3,))), ("b", Discrete(2)))),
        Dict((("a", Box(-1, 1, (2,), "uint8")), ("b", Discrete(2)))),
        Dict((("a", Box(-1, 1, (2,))), ("b", Discrete(3)))),
        Dict((("a", Box(-1, 1, (2,))), ("c", Discrete(2)))),
        Tuple((Box(-1, 1, (2,)), Discrete(2))),
    ):
        assert not same_structure(box, other)
    assert not same_structure(Discrete(2), MultiBinary(2))


@every_space
@given(space=SPACES)
def test_every_space_has_its_own_structure(space):
    assert same_structure(space, space)
    assert not same_structure(space, Tuple((space,)))


@every_space
@given(observation=SPACES, action=ACTIONS)
def test_a_blank_transition_has_the_shapes_of_all(observation, action):
    spec = EnvSpec("Toy", observation, action, 10)
    t, obs, taken = jax.eval_shape(
        lambda: (blank(spec, (3, 2)), zeros(observation, (3, 2)), zeros(action, (3, 2)))
    )
    assert t.obs == obs and t.next_obs == obs and t.action == taken
    for x, kind in (
        (t.reward, "float32"),
        (t.terminated, "bool"),
        (t.truncated, "bool"),
        (t.step, "int32"),
    ):
        assert x.shape == (3, 2) and x.dtype == kind
    assert t.log_prob is None and t.teacher is None


def test_equal_boxes_have_one_form():
    assert Box((-1.0, -1.0), (1.0, 1.0)) == Box(-1.0, 1.0, (2,))
    assert Box((-1.0, -2.0), (1.0, 1.0)) == Box((-1.0, -2.0), 1.0, (2,))
    low, high = bounds(Box((-1.0, -2.0, 0.0, 1.0), 5.0, (2, 2)))
    np.testing.assert_array_equal(low, [[-1, -2], [0, 1]])
    np.testing.assert_array_equal(high, np.full((2, 2), 5))


def test_infinite_bounds_are_null_in_a_description():
    data = describe(Box((-math.inf, 0.0), math.inf, (2,)))
    assert data == {
        "kind": "Box",
        "low": [None, 0.0],
        "high": None,
        "shape": [2],
        "dtype": "float32",
    }
    assert parse(data) == Box((-math.inf, 0.0), math.inf, (2,))
    # as in 0.1.0
    assert parse({"kind": "Box", "low": [0, 1], "high": [1, 2]}) == Box((0.0, 1.0), (1.0, 2.0))


@pytest.mark.parametrize(
    "data, sentence",
    [
        (None, "found None for a space; expected the kind of one and its parts"),
        ({"kind": "Ball", "n": 3}, "for a space; expected the kind of one and its parts"),
        ({"kind": "Discrete", "n": 0}, "found 0 for a size; expected a whole number from 1"),
        ({"kind": "Discrete", "n": True}, "found True for a size; expected a whole number from 1"),
        (
            {"kind": "MultiDiscrete", "n": [2, 1.5]},
            "found 1.5 for a size; expected a whole number from 1",
        ),
        ({"kind": "Tuple", "parts": [{"kind": "MultiBinary", "n": "2"}]}, "found 2 for a size"),
        (
            {"kind": "Box", "low": 0, "high": 1, "shape": [2], "dtype": "int8"},
            "found int8 for the dtype of a Box; expected float32 or uint8",
        ),
        (
            {"kind": "Box", "low": [0, 1], "high": [1, 0]},
            "found bounds of a Box that enclose nothing or do not fit its shape",
        ),
        (
            {"kind": "Box", "low": [0, 1, 2], "high": 5, "shape": [2]},
            "found bounds of a Box that enclose nothing or do not fit its shape",
        ),
    ],
)
def test_what_describes_no_space_is_refused(data, sentence):
    with pytest.raises(ImitaxError) as refusal:
        parse(data)
    assert sentence in str(refusal.value)


def test_distribution_follows_the_space():
    assert distribution(Discrete(3)) is categorical
    assert distribution(Box((-1.0,), (1.0,))) is diagonal_gaussian
    assert distribution(MultiDiscrete((2, 3))).mode(rows([0, 1, 5, 0, 1])).tolist() == [[1, 0]]
    for space in (
        MultiBinary(2),
        Box(-1, 1, (2, 2)),
        IMAGE,
        Tuple((Discrete(2),)),
        Dict((("a", BOX),)),
    ):
        with pytest.raises(
            ImitaxError, match=f"Actions of kind {type(space).__name__} have no distribution"
        ):
            distribution(space)


def test_texts_for_messages():
    assert [
        row_form(space)
        for space in (Discrete(2), MultiDiscrete((2, 3)), MultiBinary(4), BOX, IMAGE)
    ] == [
        "integers [N]",
        "integers [N, 2]",
        "integers [N, 4]",
        "floats [N, 3]",
        "floats [N, 4, 4, 3]",
    ]
    assert row_form(Tuple((Discrete(2),))) == "a Tuple of arrays"
    assert range_text(Discrete(4)) == "0 … 3"
    assert range_text(MultiDiscrete((2, 3))) == "0 … [1, 2]"
    assert range_text(MultiBinary(4)) == "0 and 1"
    assert range_text(Box((-1.0, 0.0), (2.0, 3.0))) == "the box [-1.0, 0.0] … [2.0, 3.0]"


def test_a_dimension_that_cannot_vary_is_read_as_it_was_described():
    space = Box((0.0, 1.0), (1.0, 1.0))
    assert parse(describe(space)) == space
