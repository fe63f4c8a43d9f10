"""Small MDPs."""

import numpy as np
import pytest

from imitax.tabular.worlds import gridworld, random_mdp


@pytest.fixture
def small(rng):
    """5 states, 3 actions, every episode endless."""
    return random_mdp(5, 3, rng)


@pytest.fixture
def grid():
    """A grid with a wall, a hole and a goal; moves slip."""
    return gridworld(["S..G", ".#.H", "...."], slip=0.2, discount=0.9)


@pytest.fixture
def any_policy(rng):
    """Builds a random policy of an MDP."""
    return lambda mdp: rng.dirichlet(np.ones(mdp.actions), mdp.states)
