"""Networks: a policy that is told of new statistics goes on to do what it did."""

import jax
import numpy as np
import pytest

from imitax.core.statistics import empty_moments, merge_moments, normalise
from imitax.networks import mlp, policy_network, rebased
from imitax.types import Box, Discrete


@pytest.mark.parametrize("space", [Discrete(3), Box((-1.0, -1.0), (1.0, 1.0))])
def test_a_rebased_policy_does_the_same_with_the_new_statistics(rng, key, space):
    few, many = rng.normal(3.0, 2.0, (20, 4)), rng.normal(-1.0, 5.0, (500, 4))
    few[:, 3] = many[:, 3] = 7.0  # a dimension that never varies
    old = merge_moments(empty_moments((4,)), np.float32(few))
    new = merge_moments(old, np.float32(many))
    policy = policy_network(key, 4, space, (8, 8))
    network = mlp(key, (4, 8, 8, space.size), 1.0)  # not zero, as a fresh policy is
    policy = network if isinstance(space, Discrete) else type(policy)(network, policy.log_std - 1.0)
    obs = np.float32(rng.normal(2.0, 3.0, (50, 4)))
    obs[:, 3] = 7.0
    before, after = policy(normalise(old, obs)), rebased(policy, old, new)(normalise(new, obs))
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    changed = policy(normalise(new, obs))
    assert np.abs(jax.tree.leaves(changed)[0] - jax.tree.leaves(before)[0]).max() > 0.1  # it had to be told
