"""What is found in demonstrations before training, each alone."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.diagnosis.data import check_data, findings
from imitax.diagnosis.dynamics import order, steps_of
from imitax.envs import make
from imitax.experts.demonstrate import load_demonstrations
from imitax.training.evaluation import record_random
from imitax.types import Box, Discrete, EnvSpec

SPEC = EnvSpec("Task-v0", 3, Discrete(2), 20)


def episodes(count=6, steps=10, terminated=True, returns=1.0, spec=SPEC, change=lambda obs: obs, seed=0):
    """Random walks from about the origin."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        obs = np.cumsum(rng.normal(size=(steps, 3)) * 0.1, axis=0)
        discrete = isinstance(spec.action_space, Discrete)
        actions = rng.integers(2, size=steps) if discrete else rng.uniform(-1, 1, (steps, 1))
        found.append((change(obs), actions))
    return Demonstrations.from_episodes(found, terminated=terminated, returns=[returns] * count)


def titles(shown, spec=SPEC):
    return [f.title for f in findings(shown, episodes(30, returns=0.0, seed=1, spec=spec), spec)]


def test_good_demonstrations_have_none():
    assert titles(episodes()) == []
    assert check_data(load_demonstrations("Acrobot-v1/10"), make("Acrobot-v1")) == []


@pytest.mark.parametrize(
    ("change", "dimension"),
    [(lambda obs: obs * [1, 100, 1], 1), (lambda obs: obs + np.array([0, 0, 7]), 2)],
)
def test_units_and_offsets(change, dimension):
    shown = episodes(change=change)
    random = episodes(30, returns=0.0, seed=1)
    (found,) = findings(shown, random, SPEC)
    assert found.severity == "problem" and f"dimension {dimension}:" in found.numbers


def test_subsampled_episodes_say_nothing_of_their_start(rng):
    shown = episodes(change=lambda obs: obs * [1, 100, 1]).subsample(3, rng)
    assert titles(shown) == []


def test_another_order_of_dimensions():
    # CartPole begins within ±0.05 in every dimension, so its starts say nothing; how it moves does.
    env = make("CartPole-v1")
    source = Path(__file__).parents[2] / "docs/results/classic/demonstrations/CartPole-v1-native.npz"
    shown, random = load_demonstrations(source, env.spec), record_random(env, 50)
    steps, right = steps_of(random, env.spec), []
    for columns in permutations(range(4)):
        mixed = replace(shown, observations=shown.observations[:, list(columns)])
        found = order(steps_of(mixed, env.spec), steps)
        if found is not None:  # and then the order that mends it is named
            assert f"observations[:, {np.argsort(columns).tolist()}]" in found.advice
            right.append(columns)
    # Where position and angle, which both move by what follows them, are exchanged as pairs, nothing shows.
    assert (0, 1, 2, 3) not in right and len(right) == 18
    worst = check_data(replace(shown, observations=shown.observations[:, [1, 0, 3, 2]]), env)[0]
    assert worst.severity == "problem" and "another order" in worst.title


def test_each_other_finding_alone():
    one = episodes(1)
    assert titles(Demonstrations.concatenate([one, one, episodes(3, seed=2)])) == ["Episodes are there twice"]
    assert titles(episodes(returns=-1.0)) == ["The expert is no better than random"]
    assert titles(episodes(terminated=False)) == ["Episodes end before the time limit without termination"]
    assert titles(episodes(steps=20)) == ["Every episode terminates at the time limit"]
    assert titles(episodes(steps=20, terminated=False)) == []
    still = episodes(change=lambda obs: obs * [1, 0, 1])
    assert titles(still) == ["Dimensions that never change in the demonstrations"]
    idle = Demonstrations.from_episodes(
        [(e, np.zeros(10, int)) for e in episodes().observations.reshape(6, 10, 3)], terminated=True
    )
    assert titles(idle) == ["Actions that are never shown"]
    box = EnvSpec("Task-v0", 3, Box((-1.0,), (1.0,)), 20)
    hard = Demonstrations.from_episodes(
        [(e, np.ones((10, 1))) for e in episodes().observations.reshape(6, 10, 3)], terminated=True
    )
    assert titles(hard, box) == ["Most demonstrated actions lie on a bound"]
