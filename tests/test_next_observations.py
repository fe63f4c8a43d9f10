"""Where actions led: what is known of it stays with its pair, whatever is chosen, cut or
joined.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.types import Discrete, EnvSpec


class Pair(NamedTuple):
    """All that should be known of a stored pair; observations are named by their first number."""

    observation: int
    action: int | None
    next_observation: int | None
    step: int  # -1: unknown
    terminated: bool
    truncated: bool


def rows(numbers):
    """Observations that can be traced back to these numbers."""
    return np.stack([numbers, -np.asarray(numbers)], axis=1).astype(np.float32)


def episodes(lengths, known, terminated, first=0, actions=True):
    """Demonstrations of whole episodes beside their naive counterpart, a list of pairs."""
    parts, pairs = [], []
    for length, last_known, ended in zip(lengths, known, terminated, strict=True):
        numbers = first + np.arange(length + 1)
        first += length + 1
        given = rows(numbers if last_known or not actions else numbers[:-1])
        parts.append((given, numbers[:-1] % 3 if actions else None))
        for step, number in enumerate(numbers[:-1].tolist()):
            last = step == length - 1
            following = number + 1 if last_known or not actions or not last else None
            action = number % 3 if actions else None
            pairs.append(Pair(number, action, following, step, last and ended, last and not ended))
    return Demonstrations.from_episodes(parts, terminated=list(terminated)), pairs


def pairs_of(demos):
    """The pairs as `Demonstrations` tell them."""
    following, known = demos.next_observations()
    assert following.shape == demos.observations.shape and following.dtype == np.float32
    np.testing.assert_array_equal(following[~known], demos.observations[~known])
    np.testing.assert_array_equal(following[:, 0], -following[:, 1])
    columns = (
        demos.observations[:, 0].astype(int).tolist(),
        [None] * demos.pairs if demos.actions is None else demos.actions.tolist(),
        [int(row[0]) if k else None for row, k in zip(following, known, strict=True)],
        demos.steps.tolist(),
        demos.pair_terminated.tolist(),
        demos.pair_truncated.tolist(),
    )
    return [Pair(*values) for values in zip(*columns, strict=True)]


def as_before(demos, pairs):
    """What version 0.1.0 would have saved of them, and what is left to know then."""
    old = replace(demos, last_observations=None, stored_steps=None)
    left, is_whole = [], np.repeat(demos.lengths == demos.episode_steps, demos.lengths)
    last = np.cumsum(demos.lengths) - 1
    for index, pair in enumerate(pairs):
        if not is_whole[index]:
            pair = Pair(pair.observation, pair.action, None, -1, False, False)
        elif index in last:
            pair = pair._replace(next_observation=None)
        left.append(pair)
    return old, left


whole_episodes = st.tuples(
    st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.booleans()), min_size=1, max_size=4),
    st.booleans(),
)
operations = st.lists(
    st.sampled_from(["choose", "last", "subsample", "split", "swap", "join", "add", "before"]),
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(whole_episodes, operations, st.integers(0, 10**6))
def test_pairs_keep_what_is_known_of_them(drawn, chain, seed):
    (content, with_actions), rng = drawn, np.random.default_rng(seed)
    first = 0

    def more():
        nonlocal first
        made = episodes(*zip(*content, strict=True), first, with_actions)
        first += sum(length + 1 for length, *_ in content)
        return made

    demos, pairs = more()
    other, others = more()
    for operation in chain:
        if operation == "choose":
            demos = demos.choose(int(rng.integers(1, len(demos) + 1)), rng)
        elif operation == "last":
            demos = demos.last(int(rng.integers(1, len(demos) + 1)))
        elif operation == "subsample":
            demos = demos.subsample(int(rng.integers(1, 5)), rng)
        elif operation == "split" and demos.pairs > 1:
            demos, other = demos.split(0.4, rng)
            others = pairs
        elif operation == "swap":
            demos, other, pairs, others = other, demos, others, pairs
        elif operation == "join" and not {p.observation for p in pairs} & {
            p.observation for p in others
        }:
            demos, pairs = Demonstrations.concatenate([demos, other]), pairs + others
        elif operation == "add":
            new, added = more()
            demos, pairs = Demonstrations.concatenate([new, demos]), added + pairs
        elif operation == "before":
            demos, pairs = as_before(demos, [p for p in pairs if p.observation in traced(demos)])
        by_number = {pair.observation: pair for pair in pairs}
        assert pairs_of(demos) == [by_number[number] for number in traced(demos)]
        pairs = pairs_of(demos)
        others = [pair for pair in others if pair.observation in traced(other)]
        assert pairs_of(other) == others
        assert demos.describe()["next_observations"]["known"] == demos.next_observations()[1].sum()


def traced(demos):
    return demos.observations[:, 0].astype(int).tolist()


def test_only_the_last_observation_of_each_stretch_is_stored():
    demos, _ = episodes((30, 20), (True, False), (True, True))
    assert demos.stored_steps is None and demos.last_observations.shape == (2, 2)
    assert np.isnan(demos.last_observations).tolist() == [[False, False], [True, True]]
    third = demos.subsample(3, np.random.default_rng(0))
    assert third.last_observations.shape == third.observations.shape
    assert demos.subsample(1, np.random.default_rng(0)).fingerprint() == demos.fingerprint()
    train, validation = demos.choose(1).split(0.3, np.random.default_rng(0))
    assert len(train.last_observations) + len(validation.last_observations) <= 10  # blocks
    assert demos.last(1).last_observations is None  # all unknown is the same as never given
    with pytest.raises(ValueError, match="read-only"):
        demos.last_observations[0] = 0


def test_fingerprints_of_version_0_1_0_and_of_what_is_new():
    before = Demonstrations.from_episodes(
        [([[0.0, 1.0], [2.0, 3.0]], [0, 2]), ([[4.0, 5.0]], [1])],
        terminated=True,
        returns=[1.0, np.nan],
    )
    assert (
        before.fingerprint() == "5ec43cdb7f403e7b6ee955a8d6ac118accc82f2caf5659ec455c7bd1c8ad55b8"
    )
    box = Demonstrations.from_episodes(
        [([[0.0], [1.0]], [[0.5], [1.0]])], terminated=False, env_id="A-v0"
    )
    assert box.fingerprint() == "23c33ca8dc3e6033bd50423f50f641650a91425e2e90880c2fa45d2195dec4aa"
    known = replace(before, last_observations=np.array([[6.0, 7.0], [8.0, 9.0]]))
    different = [
        before,
        known,
        replace(known, last_observations=known.last_observations + 1),
        replace(known, last_observations=np.array([[6.0, 7.0], [np.nan, np.nan]])),
        replace(known, actions=None),
        *(
            part
            for seed in range(9)
            for part in known.choose(1).split(0.5, np.random.default_rng(seed))
        ),
    ]
    assert len({demos.fingerprint() for demos in different}) == 5 + 2
    negative = replace(known, last_observations=np.array([[6.0, 7.0], [np.nan, -np.nan]]))
    assert negative.fingerprint() == different[3].fingerprint()


def test_from_episodes_takes_one_observation_more_than_actions():
    observations = np.arange(8.0).reshape(4, 2)
    demos = Demonstrations.from_episodes(
        [(observations, [0, 1, 2]), (observations, [0, 1, 2, 0])], terminated=True
    )
    assert demos.lengths.tolist() == demos.episode_steps.tolist() == [3, 4]
    following, known = demos.next_observations()
    np.testing.assert_array_equal(following, observations[[1, 2, 3, 1, 2, 3, 3]])
    assert known.tolist() == [True] * 6 + [False]
    box = Demonstrations.from_episodes([(observations, np.zeros((3, 1)))], terminated=True)
    assert box.actions.shape == (3, 1) and box.last_observations.tolist() == [[6, 7]]


def test_states_alone():
    observations = np.arange(8.0).reshape(4, 2)
    demos = Demonstrations.from_episodes(
        [(observations, None)] * 2, terminated=False, env_id="Acrobot-v1"
    )
    assert demos.actions is None and demos.pairs == 6 and demos.lengths.tolist() == [3, 3]
    assert demos.next_observations()[1].all()
    demos.validate(EnvSpec("Acrobot-v1", vector(2), Discrete(3), 3))
    with pytest.raises(ImitaxError, match="have size 4, found size 2"):
        demos.validate(EnvSpec("Acrobot-v1", vector(4), Discrete(3), 3))
    described = demos.describe()
    assert described["actions"] is None and described["next_observations"] == {"known": 6}
    with pytest.raises(ImitaxError) as caught:
        demos.require_actions("Method 'bc'")
    assert str(caught.value) == (
        "Method 'bc' needs actions, but these demonstrations hold states alone: "
        "record the expert's actions as well."
    )
    acted = Demonstrations.from_episodes([(observations, [0, 1, 2])], terminated=False)
    np.testing.assert_array_equal(acted.require_actions("Method 'bc'"), [0, 1, 2])
    with pytest.raises(
        ImitaxError, match="everywhere or nowhere, but the first has none, unlike part 1"
    ):
        Demonstrations.concatenate([demos, acted])
    alone = Demonstrations.from_episodes([(observations, None)], terminated=False)
    assert replace(acted, actions=None).fingerprint() == alone.fingerprint()


@pytest.mark.parametrize(
    "parts, message",
    [
        (
            [([[0.0], [1.0]], None), ([[0.0], [1.0]], [0])],
            "but the first has none, unlike episode 1",
        ),
        (
            [([[0.0], [1.0]], [0]), ([[0.0], [1.0]], None)],
            "but episode 1 has none, unlike the first",
        ),
        (
            [([[0.0]], None)],
            "In episode 0: observations without actions must be at least two, found one",
        ),
        ([([[0.0]], [])], "In episode 0: .*at least one pair"),
        ([([[0.0], [1.0], [2.0]], [0])], "one fewer, found 1 actions and 3 observations"),
        ([([[0.0], [np.nan]], [0])], "In episode 0: observations must be finite .*pair 1 has nan"),
        ([([[0.0], [1.0]], 0)], "In episode 0: actions must be numbers"),
    ],
)
def test_episodes_that_do_not_fit_are_named(parts, message):
    with pytest.raises(ImitaxError, match=message):
        Demonstrations.from_episodes(parts, terminated=True)


GAPS = dict(lengths=[2, 2], episode_steps=[5, 2])
BAD = {
    "too few rows": (
        dict(last_observations=np.zeros((1, 2))),
        r"numbers \[2, 2\], found float64 \[1, 2\]",
    ),
    "half a row": (dict(last_observations=[[0, 1], [0, np.nan]]), "row 1 has nan in dimension 1"),
    "infinite": (dict(last_observations=[[np.inf, 1], [0, 0]]), "row 0 has inf in dimension 0"),
    "text": (dict(last_observations=[["a", "b"]] * 2), "last_observations must be numbers"),
    "float steps": (dict(GAPS, stored_steps=[0.0, 1, 0, 1]), "stored_steps must be integers"),
    "too few steps": (dict(GAPS, stored_steps=[0, 1, 0]), r"stored_steps must be integers \[4\]"),
    "back in time": (
        dict(GAPS, stored_steps=[3, 2, 0, 1]),
        "stored_steps must increase .*pair 1 has 2",
    ),
    "twice": (dict(GAPS, stored_steps=[3, 3, 0, 1]), "pair 1 has 3"),
    "beyond the end": (dict(GAPS, stored_steps=[3, 5, 0, 1]), "pair 1 has 5"),
    "half unknown": (dict(GAPS, stored_steps=[-1, 4, 0, 1]), "pair 1 has 4"),
    "unknown at the end": (dict(GAPS, stored_steps=[4, -1, 0, 1]), "pair 1 has -1"),
    "negative": (dict(GAPS, stored_steps=[-2, 1, 0, 1]), "pair 0 has -2"),
    "unknown in a whole episode": (dict(GAPS, stored_steps=[1, 2, -1, -1]), "pair 2 has -1"),
    "a whole episode from 1": (dict(GAPS, stored_steps=[1, 2, 1, 2]), "pair 3 has 2"),
}


@pytest.mark.parametrize("changes, message", BAD.values(), ids=BAD.keys())
def test_bad_content_is_refused_in_one_sentence(changes, message):
    demos, _ = episodes((2, 2), (True, True), (True, True))
    with pytest.raises(ImitaxError, match=message) as caught:
        replace(demos, **changes)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_steps_that_are_given_are_kept():
    demos, _ = episodes((2, 2), (False, False), (True, True))
    gaps = replace(demos, **GAPS, stored_steps=[1, 4, 0, 1])
    assert gaps.steps.tolist() == [1, 4, 0, 1] and gaps.pair_terminated.tolist() == [
        False,
        True,
        False,
        True,
    ]
    assert replace(demos, **GAPS).steps.tolist() == [-1, -1, 0, 1]
    assert replace(demos, stored_steps=[0, 1, 0, 1]).fingerprint() == demos.fingerprint()
