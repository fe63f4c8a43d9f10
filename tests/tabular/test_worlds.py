"""Worlds: what their arrays say, and parity with Gymnasium's own environments."""

import gymnasium
import numpy as np
import pytest

from imitax.errors import ImitaxError
from imitax.tabular.solve import value_iteration
from imitax.tabular.worlds import TOY_TEXTS, gridworld, mountain_car, toy_text


def test_a_grid_by_hand():
    # S at 0, goal at 1: right arrives with 1 − slip, the perpendicular moves up and down stay.
    mdp = gridworld(["SG"], slip=0.2, discount=0.9, step_reward=-0.1)
    right = 1
    assert mdp.termination[0, right] == pytest.approx(0.8)
    assert mdp.transition[[right], :].toarray()[0, 0] == pytest.approx(0.2)
    assert mdp.reward[0, right] == pytest.approx(0.8 * 0.9 - 0.2 * 0.1)
    up = 0  # up stays, and slips to the right with 0.1
    assert mdp.termination[0, up] == pytest.approx(0.1)
    np.testing.assert_array_equal(mdp.initial, [1, 0])
    assert mdp.grid == (1, 2)


def test_walls_are_never_entered(grid):
    wall = 1 * 4 + 1
    into = grid.transition[:, [wall]].toarray().reshape(grid.states, grid.actions)
    assert into[np.arange(grid.states) != wall].max() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gridworld(["S.", "."]), r"rows of one length, found \[2, 1\]"),
        (lambda: gridworld([]), "rows of one length"),
        (lambda: gridworld(["Sx"]), "found 'x'"),
        (lambda: gridworld([".G"]), "found no start"),
        (lambda: gridworld(["SG"], slip=1.5), "Slip is 1.5"),
        (lambda: toy_text("FrozenLak-v1"), "did you mean FrozenLake-v1"),
    ],
)
def test_bad_worlds_are_refused(call, message):
    with pytest.raises(ImitaxError, match=message):
        call()


@pytest.mark.parametrize("env_id", TOY_TEXTS)
def test_toy_texts_have_the_expectations_of_their_environments(env_id):
    # Expected reward and end of each pair from Gymnasium's table, summed by hand.
    mdp, table = toy_text(env_id), gymnasium.make(env_id).unwrapped.P
    for state in list(table)[:: max(1, len(table) // 20)]:
        for action, outcomes in table[state].items():
            assert mdp.reward[state, action] == pytest.approx(sum(p * r for p, _, r, _ in outcomes))
            assert mdp.termination[state, action] == pytest.approx(
                sum(p for p, _, _, d in outcomes if d)
            )


def test_frozen_lake_is_solved_as_published():
    # The best policy of the slippery 4 × 4 lake reaches the goal with probability 14/17 (γ → 1).
    lake = toy_text("FrozenLake-v1", discount=0.9999)
    value = float(lake.initial @ value_iteration(lake, tolerance=1e-3).values)
    assert value == pytest.approx(14 / 17, abs=0.01)


def test_the_cliff_is_walked_in_thirteen_steps():
    cliff = toy_text("CliffWalking-v1", discount=0.99)
    value = float(cliff.initial @ value_iteration(cliff).values)
    assert value == pytest.approx(-(1 - 0.99**13) / 0.01, abs=1e-6)


def test_mountain_car_moves_as_gymnasium_does():
    # From a grid point, the mean of the successors is where Gymnasium's car goes.
    mdp, env = mountain_car(31), gymnasium.make("MountainCar-v0").unwrapped
    env.reset(seed=0)
    positions, velocities = np.linspace(-1.2, 0.6, 31), np.linspace(-0.07, 0.07, 31)
    for i, j, action in [(10, 15, 2), (3, 20, 0), (25, 5, 1), (14, 28, 2)]:
        env.state = (positions[i], velocities[j])
        (place, speed), *_ = env.step(action)
        chances = mdp.transition[[(i * 31 + j) * 3 + action], :].toarray()[0].reshape(31, 31)
        assert chances.sum(axis=1) @ positions == pytest.approx(place, abs=1e-6)
        assert chances.sum(axis=0) @ velocities == pytest.approx(speed, abs=1e-6)
