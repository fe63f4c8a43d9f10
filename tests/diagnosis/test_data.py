"""Every finding about demonstrations, alone and word for word."""

import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.diagnosis.data import check_data, findings
from imitax.diagnosis.dynamics import order, steps_of
from imitax.envs import make
from imitax.experts.demonstrate import load_demonstrations
from imitax.findings import Finding, worst_first
from imitax.training.evaluation import record_random
from imitax.types import Box, Discrete, EnvSpec

SPEC = EnvSpec("Task-v0", vector(3), Discrete(2), 20)


def episodes(
    count=6, steps=10, terminated=True, returns=1.0, spec=SPEC, change=lambda obs: obs, seed=0
):
    """Random walks from about the origin."""
    rng = np.random.default_rng(seed)
    walks = []
    for _ in range(count):
        obs = np.cumsum(rng.normal(size=(steps, 3)) * 0.1, axis=0)
        discrete = isinstance(spec.action, Discrete)
        actions = rng.integers(2, size=steps) if discrete else rng.uniform(-1, 1, (steps, 1))
        walks.append((change(obs), actions))
    return Demonstrations.from_episodes(walks, terminated=terminated, returns=[returns] * count)


def acting(action, spec=SPEC):
    """Six walks in which every action is this one."""
    walks = episodes(spec=spec).observations.reshape(6, 10, 3)
    return Demonstrations.from_episodes(
        [(obs, np.array([action] * 10)) for obs in walks], terminated=True
    )


def found_in(demonstrations, spec=SPEC):
    return findings(demonstrations, episodes(30, returns=0.0, seed=1, spec=spec), spec)


def test_good_demonstrations_have_none():
    assert found_in(episodes()) == []
    assert check_data(load_demonstrations("Acrobot-v1/10"), make("Acrobot-v1")) == []


RAW = "the same units, order and normalisation in both: raw observations, as the environment returns them."
STARTS = "Demonstrated episodes start where the environment does not"


def test_units():
    (finding,) = found_in(episodes(change=lambda obs: obs * [1, 100, 1]))
    ranges = "dimension 1: -14.7 … 6.84, in the environment -0.168 … 0.182."
    assert finding == Finding("problem", STARTS, ranges, RAW)


def test_offset():
    (finding,) = found_in(episodes(change=lambda obs: obs + np.array([0, 0, 7])))
    ranges = "dimension 2: 6.99 … 7.1, in the environment -0.355 … 0.184."
    assert finding == Finding("problem", STARTS, ranges, RAW)


def test_ranges_of_many_dimensions_are_listed_in_part():
    spec = EnvSpec("Task-v0", vector(6), Discrete(2), 20)
    obs = np.arange(60.0).reshape(10, 6) * 0.01
    near = Demonstrations.from_episodes(
        [(obs, np.arange(10) % 2)] * 3, terminated=True, returns=[0.0] * 3
    )
    far = replace(near, observations=near.observations + 100, returns=near.returns + 1)
    (finding,) = [f for f in findings(far, near, spec) if f.title == STARTS]
    assert finding.evidence.count("dimension") == 4 and "dimension 3: 100 … 100" in finding.evidence


def test_subsampled_episodes_say_nothing_of_their_start(rng):
    assert found_in(episodes(change=lambda obs: obs * [1, 100, 1]).subsample(3, rng)) == []


def test_order_of_dimensions():
    # CartPole starts within ±0.05 in every dimension, so its starts say nothing; how it moves
    # does.
    env = make("CartPole-v1")
    source = (
        Path(__file__).parents[2] / "docs/results/classic/demonstrations/CartPole-v1-native.npz"
    )
    demonstrations, random = load_demonstrations(source, env.spec), record_random(env, 50)
    steps, detected = steps_of(random, env.spec), []
    for columns in permutations(range(4)):
        mixed = replace(demonstrations, observations=demonstrations.observations[:, list(columns)])
        finding = order(steps_of(mixed, env.spec), steps)
        if finding is not None:  # and then the order that mends it is named
            wanted = f"the order of the environment: in NumPy, observations[:, {np.argsort(columns).tolist()}]."
            assert finding.advice == wanted
            detected.append(columns)
    # Where position and angle, which both move by what follows them, are exchanged as pairs,
    # nothing shows.
    assert (0, 1, 2, 3) not in detected and len(detected) == 18
    mixed = replace(demonstrations, observations=demonstrations.observations[:, [1, 0, 3, 2]])
    worst = check_data(mixed, env)[0]
    assert (worst.severity, worst.title) == (
        "problem",
        "Observation dimensions seem to be in a different order",
    )
    assert re.fullmatch(
        r"in dimension \d of the demonstrations a model of the environment's steps errs by [\d.]+ times the "
        r"size of a step \(1 is no better than no model\), and by at most 0\.\d+ in all dimensions with the "
        r"columns in the order 1, 0, 3, 2\.",
        worst.evidence,
    )


def test_problems_come_first():
    mixed = replace(episodes(change=lambda obs: obs * [1, 100, 1]), returns=np.full(6, -1.0))
    assert [f.severity for f in worst_first(reversed(found_in(mixed)))] == ["problem", "warning"]


BOX = EnvSpec("Task-v0", vector(3), Box((-1.0,), (1.0,)), 20)
THREE = EnvSpec("Task-v0", vector(3), Discrete(3), 20)
CASES = {
    "duplicates": (
        Demonstrations.concatenate([episodes(1), episodes(1), episodes(3, seed=2)]),
        SPEC,
        Finding(
            "warning",
            "Duplicate episodes",
            "1 of 5 episodes repeats another one exactly.",
            "removing them: they count twice, and leak from training into validation.",
        ),
    ),
    "returns": (
        episodes(returns=-1.0),
        SPEC,
        Finding(
            "warning",
            "The expert is no better than random",
            "its mean return is -1.0, that of a random policy 0.0.",
            "another expert, or the true reward of the same environment: a learner becomes as "
            "good as its "
            "demonstrations.",
        ),
    ),
    "early ends": (
        episodes(terminated=False),
        SPEC,
        Finding(
            "warning",
            "Episodes end before the time limit without termination",
            "6 of 6 were truncated, the shortest after 10 steps; the time limit is 20.",
            "the time limit that they were recorded with (--time-limit); or marking them as "
            "terminated if "
            "the task ended them.",
        ),
    ),
    "ends at the limit": (
        episodes(steps=20),
        SPEC,
        Finding(
            "warning",
            "Every episode terminates at the time limit",
            "all 6 took 20 steps and are marked as terminated.",
            "marking only those as terminated that the task ended: a truncated state keeps the "
            "value of "
            "what would have followed.",
        ),
    ),
    "constant": (
        episodes(change=lambda obs: obs * [1, 0, 1]),
        SPEC,
        Finding(
            "warning",
            "Dimensions that never change in the demonstrations",
            "dimension 1 is constant there, but not in the environment.",
            "recording these dimensions; the discriminator can recognise the expert by them alone.",
        ),
    ),
    "one action": (
        acting(0),
        SPEC,
        Finding(
            "note",
            "Actions that never occur in the demonstrations",
            "action 1 of 2 (counted from 0).",
            "nothing, if the task does not need them; otherwise more demonstrations.",
        ),
    ),
    "one action of three": (
        acting(1, THREE),
        THREE,
        Finding(
            "note",
            "Actions that never occur in the demonstrations",
            "actions 0, 2 of 3 (counted from 0).",
            "nothing, if the task does not need them; otherwise more demonstrations.",
        ),
    ),
    "bounds": (
        acting([1.0], BOX),
        BOX,
        Finding(
            "note",
            "Most demonstrated actions lie on a bound",
            "100% of their numbers are the least or the greatest that the environment allows.",
            "nothing, if the expert really acts like this; otherwise checking the scale of its "
            "actions.",
        ),
    ),
}


@pytest.mark.parametrize("demonstrations, spec, finding", CASES.values(), ids=CASES)
def test_each_finding_alone(demonstrations, spec, finding):
    assert found_in(demonstrations, spec) == [finding]


def test_truncation_at_the_limit_is_right():
    assert found_in(episodes(steps=20, terminated=False)) == []
