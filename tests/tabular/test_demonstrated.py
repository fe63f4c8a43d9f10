"""Demonstrations as occupancy measures."""

from dataclasses import replace

import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.tabular.demonstrated import empirical_occupancy, states_of
from imitax.tabular.worlds import gridworld


def demonstrations(states, actions, mdp, one_hot=True, **fields):
    obs = np.eye(mdp.states, dtype=np.float32)[states] if one_hot else np.float32(states)[:, None]
    return Demonstrations.from_episodes([(obs, np.array(actions))], terminated=True, **fields)


@pytest.mark.parametrize("one_hot", [True, False])
def test_an_occupancy_by_hand(one_hot):
    mdp = gridworld(["S.G"], discount=0.5)
    rho = empirical_occupancy(mdp, demonstrations([0, 0, 1], [1, 1, 1], mdp, one_hot))
    expected = np.zeros((3, 4))
    expected[0, 1], expected[1, 1] = 1.5, 0.25
    np.testing.assert_allclose(rho, expected)


@pytest.mark.parametrize(
    ("states", "actions", "message"),
    [
        ([0, 4], [0, 0], "pair 1 is in state 4, which 'gridworld' cannot reach"),
        ([0], [4], "numbers below 4"),
    ],
)
def test_impossible_demonstrations_are_refused(states, actions, message):
    mdp = gridworld(["S.G#."])
    with pytest.raises(ImitaxError, match=message):
        states_of(mdp, demonstrations(states, actions, mdp))


def test_observations_that_are_not_states_are_refused():
    mdp = gridworld(["S.G"])

    def of(obs):
        return Demonstrations.from_episodes(
            [(np.float32(obs), np.zeros(len(obs), int))], terminated=True
        )

    with pytest.raises(ImitaxError, match="have size 2: expected size 3"):
        states_of(mdp, of([[1, 0]]))
    with pytest.raises(
        ImitaxError, match="pair 1 is not in a state of 'gridworld': expected one of its 3"
    ):
        states_of(mdp, of([[1, 0, 0], [0.5, 0.5, 0]]))
    with pytest.raises(ImitaxError, match="pair 0 is not in a state"):
        states_of(mdp, of([[3]]))


def test_states_alone_are_refused():
    mdp = gridworld(["S.G"])
    shown = replace(demonstrations([0, 0, 1], [1, 1, 1], mdp), actions=None)
    with pytest.raises(ImitaxError, match=r"^An exact method needs actions"):
        empirical_occupancy(mdp, shown)


def test_subsampled_demonstrations_are_refused(rng):
    mdp = gridworld(["S.G"])
    subsampled = demonstrations([0, 0, 0, 1], [1, 1, 1, 1], mdp).subsample(2, rng)
    with pytest.raises(
        ImitaxError, match="complete episodes, but these demonstrations were subsampled"
    ):
        empirical_occupancy(mdp, subsampled)
