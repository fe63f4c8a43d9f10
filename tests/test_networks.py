"""Networks: a policy that follows new statistics does what it did."""

import jax
import numpy as np
import pytest

from imitax.core.acting import memoryless_output
from imitax.core.distributions import categorical
from imitax.core.spaces import size, vector
from imitax.core.statistics import empty_moments, merge_moments, normalise
from imitax.networks import feedforward, mlp, mlp_policy, table_network
from imitax.types import Box, Dict, Discrete, EnvSpec, MultiDiscrete

SPACES = [Discrete(3), MultiDiscrete((2, 3)), Box((-1.0, -1.0), (1.0, 1.0))]


def spec_of(space, observation=None):
    return EnvSpec("Toy", observation or vector(4), space, 100)


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_a_rebased_policy_does_the_same_with_the_new_statistics(rng, key, space, shape):
    few, many = rng.normal(3.0, 2.0, (20, 4)), rng.normal(-1.0, 5.0, (500, 4))
    few[:, 3] = many[:, 3] = 7.0  # a dimension that never varies
    few, many = (x.reshape(-1, *shape) for x in (few, many))
    old = merge_moments(empty_moments(shape), np.float32(few))
    new = merge_moments(old, np.float32(many))
    family = mlp_policy(spec_of(space, Box(-np.inf, np.inf, shape)), (8, 8))
    policy = family.init(key)
    network = mlp(key, (4, 8, 8, size(space)), 1.0)  # not zero, as a fresh policy is
    gaussian = isinstance(space, Box)
    policy = type(policy)(network, policy.log_std - 1.0) if gaussian else network
    obs = rng.normal(2.0, 3.0, (50, 4))
    obs[:, 3] = 7.0
    obs = np.float32(obs.reshape(-1, *shape))

    def output(params, moments):
        return memoryless_output(family, params, normalise(moments, obs), len(obs))

    before, after = output(policy, old), output(family.rebase(policy, old, new), new)
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    changed = output(policy, new)
    difference = np.abs(jax.tree.leaves(changed)[0] - jax.tree.leaves(before)[0])
    assert difference.max() > 0.1  # it had to follow


def test_only_vectors_of_numbers_can_be_rebased():
    image = Box(0, 255, (4, 4, 3), "uint8")
    for observation in (image, Dict((("a", vector(2)),)), Discrete(3)):
        assert mlp_policy(spec_of(Discrete(2), observation), (8,)).rebase is None
    assert feedforward(categorical, lambda key: (), lambda params, obs: obs).rebase is None


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_fresh_policy_prefers_nothing(space, key, rng):
    family = mlp_policy(spec_of(space), (8,))
    output = memoryless_output(family, family.init(key), np.float32(rng.normal(size=(5, 4))), 5)
    if isinstance(space, Box):
        np.testing.assert_array_equal(output[0], np.zeros((5, 2)))
        np.testing.assert_array_equal(output[1], np.full((5, 2), -0.5))
    else:
        np.testing.assert_array_equal(output, np.zeros((5, size(space))))


def test_equal_arguments_give_the_same_policy():
    # A compiled program that acts is kept by this object.
    assert mlp_policy(spec_of(Discrete(3)), (8,)) is mlp_policy(spec_of(Discrete(3)), (8,))
    assert mlp_policy(spec_of(Discrete(3)), (8,)) is not mlp_policy(spec_of(Discrete(3)), (9,))


def test_a_table_is_a_policy():
    table = np.array([[0.25, 0.75], [1.0, 0.0]])
    logits = table_network(table)(np.eye(2, dtype=np.float32))
    np.testing.assert_allclose(jax.nn.softmax(logits), table, atol=1e-6)
    assert logits[1, 1] == -30.0  # certain, yet finite
