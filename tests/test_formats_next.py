"""Next observations and states alone in files; old files say no more than they did."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.formats import append, load, save
from imitax.types import Discrete, EnvSpec

PATHS = ("demos.npz", "demos.json", "demos")  # one per format
SPEC = EnvSpec("Acrobot-v1", vector(2), Discrete(3), 10)


def three_episodes(known=(True, False, True), actions=True, seed=0):
    """Episodes of 4, 1 and 10 steps; of some it is known where the last action led."""
    rng = np.random.default_rng(seed)
    parts = []
    for steps, last in zip((4, 1, 10), known, strict=True):
        observations = rng.normal(size=(steps + (last or not actions), 2)) * 1e3
        parts.append((observations, rng.integers(3, size=steps) if actions else None))
    return Demonstrations.from_episodes(parts, terminated=[True, True, False], env_id="Acrobot-v1")


def variants(demos, seed=0):
    """The same, subsampled, cut into blocks, as version 0.1.0 saved it, and all of it in one."""
    rng = np.random.default_rng(seed)
    third = demos.subsample(3, rng)
    old = replace(third, last_observations=None, stored_steps=None)
    parts = [demos, third, *demos.last(1).split(0.3, rng), old]
    return [*parts, Demonstrations.concatenate(parts)]


@pytest.mark.parametrize("name", PATHS)
def test_round_trips_are_exact(tmp_path, name):
    for index, demos in enumerate(variants(three_episodes())):
        path = tmp_path / str(index) / name
        save(demos, path, spec=SPEC)
        loaded = load(path, SPEC)
        assert loaded.fingerprint() == demos.fingerprint()
        for field in ("steps", "pair_terminated", "pair_truncated"):
            np.testing.assert_array_equal(getattr(loaded, field), getattr(demos, field))
        for actual, expected in zip(
            loaded.next_observations(), demos.next_observations(), strict=True
        ):
            np.testing.assert_array_equal(actual, expected)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.sampled_from(["demos.npz", "demos.json"]),
    st.integers(0, 999),
)
def test_round_trips_of_anything_are_exact(tmp_path_factory, known, name, seed):
    folder = tmp_path_factory.mktemp("round")
    for index, demos in enumerate(variants(three_episodes(known, seed=seed), seed)):
        save(demos, folder / f"{index}-{name}")
        assert load(folder / f"{index}-{name}").fingerprint() == demos.fingerprint()


def test_states_alone_go_to_npz_only(tmp_path):
    for index, demos in enumerate(variants(three_episodes(actions=False))):
        save(demos, tmp_path / f"{index}.npz", spec=SPEC)
        assert load(tmp_path / f"{index}.npz", SPEC).fingerprint() == demos.fingerprint()
        assert load(tmp_path / f"{index}.npz").actions is None
    for name, what in (("demos.json", "The JSON format"), ("demos", "Minari")):
        with pytest.raises(
            ImitaxError, match=f"^{what} needs actions, but these demonstrations hold states"
        ):
            save(demos, tmp_path / name)
        assert not (tmp_path / name).exists()


def test_nothing_new_is_written_without_need(tmp_path):
    for name in PATHS:
        save(three_episodes((False, False, False)), tmp_path / name)
    with np.load(tmp_path / "demos.npz") as file:
        assert set(file) == {"format_version", "observations", "actions", *PLAIN}
    assert set(json.loads((tmp_path / "demos.json").read_text())["imitax"]) == PLAIN - {"lengths"}
    metadata = json.loads((tmp_path / "demos" / "metadata.json").read_text())
    assert set(metadata["imitax"]) == {"episode_steps", "env_id"}


PLAIN = {"lengths", "episode_steps", "terminated", "returns", "env_id"}


def test_episodes_with_and_without_a_last_observation_are_appended(tmp_path):
    known, unknown = (
        three_episodes((True, True, True)),
        three_episodes((False, False, False), seed=1),
    )
    append(unknown, tmp_path / "mine.npz", SPEC)
    append(known, tmp_path / "mine.npz", SPEC)
    loaded = load(tmp_path / "mine.npz", SPEC)
    assert loaded.last(3).fingerprint() == known.fingerprint()
    assert loaded.choose(3).fingerprint() == unknown.fingerprint()
    with pytest.raises(ImitaxError, match="actions must be everywhere or nowhere"):
        append(three_episodes(actions=False), tmp_path / "mine.npz", SPEC)


# Minari


def metadata_of(folder, **changes):
    """Changes what the key `imitax` holds; None leaves a part out."""
    file = folder / "metadata.json"
    content = json.loads(file.read_text())
    kept = {**content["imitax"], **changes}
    content["imitax"] = {key: value for key, value in kept.items() if value is not None}
    file.write_text(json.dumps(content))


def test_minari_holds_the_true_last_observation(tmp_path):
    import minari

    demos = three_episodes((True, False, True))
    save(demos, tmp_path / "demos")
    opened = minari.MinariDataset(tmp_path / "demos")
    for episode, pairs, last in zip(
        opened.iterate_episodes(), demos.episodes(), demos.last_observations, strict=True
    ):
        unknown = demos.observations[pairs][-1]
        np.testing.assert_array_equal(
            episode.observations[-1], unknown if np.isnan(last).any() else last
        )


def test_minari_of_version_0_1_0_does_not_know_the_last_observation(tmp_path):
    # It wrote the last observation twice and said nothing of it: no repetition is believed there,
    # and every one in a dataset of others.
    demos = three_episodes((False, False, False))
    save(demos, tmp_path / "demos")
    assert load(tmp_path / "demos").fingerprint() == demos.fingerprint()
    file = tmp_path / "demos" / "metadata.json"
    content = json.loads(file.read_text())
    del content["imitax"]
    file.write_text(json.dumps(content))
    ends = demos.observations[demos.starts + demos.lengths - 1]
    np.testing.assert_array_equal(load(tmp_path / "demos").last_observations, ends)

    save(three_episodes((True, True, True)), tmp_path / "new")
    assert load(tmp_path / "new").next_observations()[1].all()
    metadata_of(tmp_path / "new", last_known=None)
    assert load(tmp_path / "new").last_observations is None
    metadata_of(tmp_path / "new", last_known=[False, True, False])
    assert np.isnan(load(tmp_path / "new").last_observations).any(axis=1).tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("last", [np.nan, np.inf, -1e300])
def test_minari_datasets_that_end_in_no_observation(tmp_path, last):
    import minari
    from gymnasium.spaces import Box
    from gymnasium.spaces import Discrete as Numbers
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    path = tmp_path / "demos"
    path.mkdir()
    storage = MinariStorage.new(path, Box(-np.inf, np.inf, (2,), np.float64), Numbers(3))
    content = {
        "actions": np.array([2, 0]),
        "rewards": np.ones(2),
        "truncations": np.array([False, True]),
    }
    observations = np.array([[0.0, 1], [2, 3], [0, last]])
    storage.update_episodes(
        [EpisodeBuffer(observations=observations, terminations=np.zeros(2, bool), **content)]
    )
    storage.update_metadata({"dataset_id": "test/any-v0", "minari_version": minari.__version__})
    demos = load(path, SPEC)
    assert demos.observations.tolist() == [[0, 1], [2, 3]] and demos.last_observations is None


def test_damaged_metadata_of_minari(tmp_path):
    cases = [
        ("whole", dict(last_known=[True]), r"last_known must be booleans \[3\]"),
        ("whole", dict(last_known=[1, 0, 1]), "last_known must be booleans"),
        ("whole", dict(last_known="yes"), "last_known must be booleans"),
        ("whole", dict(other=1), "found imitax"),
        ("third", dict(last_observations=7), "found last_observations = 7; expected a list"),
        ("third", dict(last_observations=[[1, 2], None]), "last_observations must be numbers"),
        ("third", dict(stored_steps=[0, 1]), "stored_steps must be integers"),
        (
            "third",
            dict(stored_steps=[0] * variants(three_episodes())[1].pairs),
            "stored_steps must increase",
        ),
    ]
    for index, (kind, changes, message) in enumerate(cases):
        folder = tmp_path / str(index)
        save(variants(three_episodes())[kind == "third"], folder)
        metadata_of(folder, **changes)
        with pytest.raises(ImitaxError, match=message) as caught:
            load(folder)
        assert str(folder) in str(caught.value) and str(caught.value).endswith(".")


# JSON


def test_damaged_extras_of_json(tmp_path):
    cases = [
        (dict(last_observations={}), r"found last_observations = \{\}; expected a list"),
        (dict(last_observations=[]), "last_observations has shape"),
        (dict(last_observations=[[1.0, "x"], None, None]), "last_observations must be numbers"),
        (dict(last_observations=[[1.0, float("nan")], None, None]), "row 0 has nan in dimension 1"),
        (dict(last_observations=[[1.0], None, None]), "rows that form no array"),
        (dict(stored_steps="abc"), "found stored_steps = 'abc'; expected a list"),
        (dict(more=1), "found imitax"),
    ]
    for index, (changes, message) in enumerate(cases):
        path = tmp_path / f"{index}.json"
        save(three_episodes(), path)
        content = json.loads(path.read_text())
        content["imitax"] |= changes
        path.write_text(json.dumps(content))
        with pytest.raises(ImitaxError, match=message):
            load(path)
