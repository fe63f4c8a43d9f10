"""The container: what it refuses, and what choosing, subsampling and splitting keep true."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.types import Box, Discrete, EnvSpec

DISCRETE = EnvSpec("Acrobot-v1", vector(2), Discrete(3), 500)
BOX = EnvSpec("Pendulum-v1", vector(2), Box((-2.0, 0.0), (2.0, 1.0)), 500)


def make(lengths=(3, 1, 4), spec=DISCRETE, **changes):
    """Pair i of the whole has the observation (i, −i), so that any pair can be traced back."""
    n = sum(lengths)
    count = np.arange(n)
    discrete = isinstance(spec.action, Discrete)
    content = {
        "observations": np.stack([count, -count], axis=1).astype(float),
        "actions": count % 3 if discrete else np.stack([np.sin(count), np.cos(count) ** 2], axis=1),
        "lengths": np.array(lengths),
        "episode_steps": np.array(lengths),
        "terminated": np.arange(len(lengths)) % 2 == 0,
        "returns": -np.array(lengths, float),
        "env_id": spec.id,
    }
    return Demonstrations(**{**content, **changes})


def origins(demonstrations):
    """The traced pair indices, one list per episode."""
    return [
        demonstrations.observations[pairs, 0].astype(int).tolist()
        for pairs in demonstrations.episodes()
    ]


def test_types_are_converted_and_arrays_are_frozen():
    source = np.zeros((3, 2))
    demos = make((3,), observations=source, actions=np.array([0, 1, 2], np.uint8))
    assert demos.observations.dtype == np.float32 and demos.actions.dtype == np.int64
    source[:] = 7  # the caller's array stays writeable, and is not ours
    assert not demos.observations.any()
    ends = np.array([True])
    assert make((3,), terminated=ends).terminated is not ends and ends.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        demos.observations[0] = 1
    assert make(spec=BOX).actions.dtype == np.float32
    assert (len(demos), demos.pairs) == (1, 3)


NAN = np.array([[0, 0], [1, np.nan], [2, 2], [3, np.nan]])
BAD = {
    "object observations": (
        dict(observations=np.array([[{}]] * 4)),
        "observations must be numbers.*object",
    ),
    "text observations": (
        dict(observations=np.array([["1", "2"]] * 4)),
        "observations must be numbers",
    ),
    "boolean observations": (
        dict(observations=np.ones((4, 2), bool)),
        "observations must be numbers.*bool",
    ),
    "flat observations": (dict(observations=np.zeros(4)), r"\[N, O\], found float64 \[4\]"),
    "NaN": (dict(observations=NAN), "finite float32 numbers, but pair 1 has nan in dimension 1"),
    "beyond float32": (
        dict(observations=np.full((4, 2), 1e300)),
        "pair 0 has 1e.300 in dimension 0",
    ),
    "no pairs": (dict(observations=np.zeros((0, 2))), "at least one pair"),
    "float indices": (
        dict(actions=np.zeros(4)),
        r"integers \[N\] \(Discrete\) or floats .*found float64",
    ),
    "integer vectors": (dict(actions=np.zeros((4, 1), int)), r"found int64 \[4, 1\]"),
    "too few actions": (dict(actions=np.zeros(3, int)), r"\[4\] or \[4, A\], found int64 \[3\]"),
    "negative action": (dict(actions=np.array([0, 1, -1, 0])), "pair 2 has -1"),
    "huge action": (dict(actions=np.full(4, 2**63, np.uint64)), "fit int64"),
    "infinite action": (dict(actions=np.full((4, 1), np.inf)), "actions must be finite .*pair 0"),
    "length zero": (dict(lengths=np.array([4, 0])), "episode 1 has 0"),
    "lengths that overflow": (
        dict(lengths=np.full(4, 2**62 + 1)),
        "add up to the number of observations, 4",
    ),
    "float lengths": (dict(lengths=np.array([1.0, 3.0])), "lengths must be integers"),
    "steps below pairs": (
        dict(episode_steps=np.array([1, 2])),
        "episode 1 took 2 steps and stores 3 pairs",
    ),
    "integer ends": (dict(terminated=np.array([1, 0])), "terminated must be booleans"),
    "too many ends": (dict(terminated=np.ones(3, bool)), r"terminated .*\[2\], found bool \[3\]"),
    "infinite return": (dict(returns=np.array([0.0, -np.inf])), "episode 1 has -inf"),
    "env_id": (dict(env_id="a\nb"), "env_id must be printable"),
}


@pytest.mark.parametrize("changes, message", BAD.values(), ids=BAD.keys())
def test_bad_content_is_refused_in_one_sentence(changes, message):
    with pytest.raises(ImitaxError, match=message) as caught:
        replace(make((1, 3)), **changes)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_from_episodes():
    episodes = [([[0.0, 1.0], [2.0, 3.0]], [0, 2]), ([[4.0, 5.0]], [1])]
    demos = Demonstrations.from_episodes(episodes, terminated=True)
    assert demos.lengths.tolist() == demos.episode_steps.tolist() == [2, 1]
    assert demos.terminated.all() and np.isnan(demos.returns).all() and demos.env_id == ""
    parts = [Demonstrations.from_episodes([e], terminated=True) for e in episodes]
    assert Demonstrations.concatenate(parts).fingerprint() == demos.fingerprint()


@pytest.mark.parametrize(
    "episodes, terminated, message",
    [
        ([], True, "at least one episode"),
        ([([[0.0]], [0]), ([[0.0, 1.0]], [0])], True, "alike everywhere.*episode 1"),
        ([([[0.0]], [0]), ([[0.0]], [[0.5]])], True, "actions must be alike everywhere.*episode 1"),
        ([([[0.0]], [0]), ([[np.nan]], [0])], True, "In episode 1: .*finite"),
        ([([[0.0], [1.0, 2.0]], [0, 0])], True, "In episode 0: .*rows that form no array"),
        ([([[0.0]], [0, 1])], True, "In episode 0: actions"),
        ([([[0.0]], [0])], [True, False], r"terminated .*\[1\], found bool \[2\]"),
        ([([[0.0]], [0])], [[True], [True, False]], "terminated .*no array"),
    ],
)
def test_from_episodes_names_the_episode_that_does_not_fit(episodes, terminated, message):
    with pytest.raises(ImitaxError, match=message):
        Demonstrations.from_episodes(episodes, terminated=terminated)


def test_concatenate():
    first, second = make((2, 3)), make((4,), env_id="")
    joined = Demonstrations.concatenate([first, second])
    assert joined.lengths.tolist() == [2, 3, 4] and joined.env_id == "Acrobot-v1"
    assert origins(joined) == [[0, 1], [2, 3, 4], [0, 1, 2, 3]]
    for parts, message in [
        ([], "at least one"),
        ([first, make(env_id="CartPole-v1")], "one environment, found Acrobot-v1 and CartPole-v1"),
        ([first, make(spec=BOX, env_id="")], "actions must be alike.*part 1"),
    ]:
        with pytest.raises(ImitaxError, match=message):
            Demonstrations.concatenate(parts)


def test_choose():
    demos = make((1, 2, 3, 4, 5))
    assert demos.choose(2).lengths.tolist() == [1, 2]
    seen = set()
    for seed in range(40):
        chosen = demos.choose(3, np.random.default_rng(seed))
        lengths = chosen.lengths.tolist()
        assert lengths == sorted(set(lengths)) and origins(chosen) == [
            origins(demos)[n - 1] for n in lengths
        ]
        assert chosen.returns.tolist() == [-n for n in lengths]
        seen.add(tuple(lengths))
    assert len(seen) == 10  # all (5 choose 3)
    for k in (0, 6):
        with pytest.raises(
            ImitaxError, match=f"choose {k} trajectories, but these demonstrations hold 5"
        ):
            demos.choose(k)


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 99))
def test_subsampling(lengths, every, seed):
    demos = make(tuple(lengths))
    kept = demos.subsample(every, np.random.default_rng(seed))
    for whole, part in zip(origins(demos), origins(kept), strict=True):
        offset = part[0] - whole[0]
        assert 0 <= offset < min(every, len(whole))
        assert part == whole[offset::every]
    for name in ("episode_steps", "terminated", "returns", "env_id"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(demos, name))
    assert kept.absorbing_mass(50) == demos.absorbing_mass(50)
    assert kept.fingerprint() == demos.subsample(every, np.random.default_rng(seed)).fingerprint()


def test_subsampling_offsets_are_random_per_trajectory():
    kept = make((20,) * 200).subsample(4, np.random.default_rng(0))
    offsets = kept.observations[kept.starts, 0] % 20
    assert sorted(set(offsets)) == [0, 1, 2, 3]
    with pytest.raises(ImitaxError, match="at least 1, found 0"):
        make().subsample(0, np.random.default_rng(0))


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=9), st.floats(0.01, 0.99), st.integers(0, 99)
)
def test_split_keeps_episodes_whole(lengths, fraction, seed):
    demos = make(tuple(lengths))
    train, validation = demos.split(fraction, np.random.default_rng(seed))
    assert len(train) >= 1 and len(validation) >= 1
    assert abs(len(validation) - fraction * len(demos)) <= 1
    assert sorted(origins(train) + origins(validation)) == origins(demos)


@settings(deadline=None)
@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 99))
def test_split_of_a_lone_episode_is_by_blocks(length, fraction, seed):
    demos = make((length,))
    train, validation = demos.split(fraction, np.random.default_rng(seed))
    (left,), (right,) = origins(train), origins(validation)
    assert left and right and sorted(left + right) == list(range(length))
    assert train.episode_steps == validation.episode_steps == length
    assert np.sum(np.diff(right) > 1) < 10  # runs of neighbours, at most as many as blocks


def test_split_refuses_what_cannot_be_split():
    with pytest.raises(ImitaxError, match="One pair cannot be split"):
        make((1,)).split(0.5, np.random.default_rng(0))
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ImitaxError, match="between 0 and 1"):
            make().split(fraction, np.random.default_rng(0))


def test_absorbing_mass():
    # Limit 10; steps 4 (terminated), 10 (timed out), 7 (terminated): (6 + 3) / (6 + 3 + 21).
    steps = np.array([4, 10, 7])
    demos = make((1, 1, 1), episode_steps=steps, terminated=np.array([True, False, True]))
    assert demos.absorbing_mass(10) == 9 / 30
    assert replace(demos, terminated=np.zeros(3, bool)).absorbing_mass(10) == 0.0
    with pytest.raises(ImitaxError, match="time limit of 9, but episode 1 took 10"):
        demos.absorbing_mass(9)


def test_validate_accepts_what_fits():
    make().validate(DISCRETE)
    make(spec=BOX).validate(BOX)
    edge = np.array([[2.0 + 3e-5, -0.9e-5]])  # within 1e-5 of the ranges 4 and 1
    make((1,), spec=BOX, actions=edge).validate(BOX)
    unbounded = replace(BOX, action=Box((-np.inf, 0.0), (np.inf, np.inf)))
    make((1,), spec=BOX, actions=np.array([[1e9, 1e9]])).validate(unbounded)


@pytest.mark.parametrize(
    "demos, spec, message",
    [
        (make(), replace(DISCRETE, observation=vector(6)), "Acrobot-v1 have size 6, found size 2"),
        (make(), BOX, r"Pendulum-v1 are floats \[N, 2\], found integers \[N\]"),
        (make(spec=BOX), DISCRETE, r"integers \[N\], found floats \[N, 2\]"),
        (make(spec=BOX), replace(BOX, action=Box((0.0,), (1.0,))), r"floats \[N, 1\], found"),
        (make(), replace(DISCRETE, action=Discrete(2)), "0 … 1, but pair 2 has 2"),
        (make((1,), BOX, actions=np.array([[2.1, 0.0]])), BOX, "the box .* but pair 0 has"),
        (make((1,), BOX, actions=np.array([[0.0, -2e-5]])), BOX, "the box .* but pair 0 has"),
        (make(), replace(DISCRETE, time_limit=3), "limit of 3, but episode 2 took 4"),
    ],
)
def test_validate_names_what_does_not_fit(demos, spec, message):
    with pytest.raises(ImitaxError, match=message):
        demos.validate(spec)


def test_describe_is_json_and_true():
    demos = make(returns=np.array([-1.0, np.nan, -3.0]))
    told = json.loads(json.dumps(demos.describe(), allow_nan=False))
    assert (told["env_id"], told["episodes"], told["pairs"], told["terminated"]) == (
        "Acrobot-v1",
        3,
        8,
        2,
    )
    assert told["observations"] == {"size": 2, "min": [0, -7], "max": [7, 0], "mean": [3.5, -3.5]}
    assert told["actions"] == {"kind": "Discrete", "counts": {"0": 3, "1": 3, "2": 2}}
    assert told["episode_steps"] == {"min": 1, "max": 4, "mean": 8 / 3}
    assert told["returns"] == {"known": 2, "mean": -2.0, "std": 1.0}
    unknown = make(spec=BOX, returns=np.full(3, np.nan)).describe()
    assert unknown["returns"] == {"known": 0, "mean": None, "std": None}
    assert unknown["actions"]["kind"] == "Box" and len(unknown["actions"]["max"]) == 2


def test_fingerprint_sees_every_field_and_only_content():
    demos = make()
    assert demos.fingerprint() == make().fingerprint()
    payload_nan = np.frombuffer(np.uint64(0x7FF8000000000001).tobytes(), np.float64)[0]
    unknown = [replace(demos, returns=np.array([nan, 0.0, 0.0])) for nan in (np.nan, payload_nan)]
    assert unknown[0].fingerprint() == unknown[1].fingerprint()
    changed = [
        replace(demos, observations=demos.observations + 1),
        replace(demos, actions=demos.actions[::-1]),
        replace(demos, lengths=np.array([1, 3, 4]), episode_steps=np.array([3, 3, 4])),
        replace(demos, episode_steps=demos.episode_steps + 1),
        replace(demos, terminated=~demos.terminated),
        replace(demos, returns=demos.returns + 1),
        replace(demos, env_id=""),
    ]
    assert len({d.fingerprint() for d in [demos, *changed]}) == 8
