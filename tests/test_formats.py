"""Files: what is written is what is read, and whatever is wrong with a file is one
`ImitaxError`.
"""

import io
import json
import math
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from imitax import envs
from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.formats import load, save
from imitax.types import Box, Discrete, EnvSpec

SPEC = EnvSpec("Acrobot-v1", vector(2), Discrete(3), 10)
PATHS = ("demos.npz", "demos.json", "demos")  # one per format


def small():
    """Three subsampled episodes that fit `SPEC`; the second one's return is unknown."""
    demos = Demonstrations.from_episodes(
        [(np.arange(2 * n).reshape(n, 2) / 7, np.arange(n) % 3) for n in (4, 1, 10)],
        terminated=[True, True, False],
        returns=[-4.0, math.nan, -0.1],
        env_id="Acrobot-v1",
    )
    return demos.subsample(3, np.random.default_rng(0))


def original(lengths=(2, 3)):
    """The content of a file of the original system, as plain JSON data."""
    steps = sum(lengths)
    ends = np.cumsum(lengths) - 1
    return {
        "state": [
            {"__ndarray__": [0.1 * i, -1.0], "dtype": "float64", "shape": [2]} for i in range(steps)
        ],
        "action": [{"__ndarray__": i % 3, "dtype": "int64", "shape": []} for i in range(steps)],
        "done": [i in ends for i in range(steps)],
    }


@st.composite
def contents(draw):
    """The fields of a `Demonstrations` with 3 actions, or 1 to 3 action dimensions."""
    lengths = np.array(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    episodes, pairs = len(lengths), int(lengths.sum())
    observation = st.floats(-(2.0**100), 2.0**100, width=32)
    shape, elements = (pairs, draw(st.integers(1, 3))), st.floats(-2.0, 2.0, width=32)
    extra = draw(arrays.arrays(np.int64, episodes, elements=st.integers(0, 9)))
    known = st.one_of(st.just(math.nan), st.floats(allow_infinity=False, allow_nan=False))
    return {
        "observations": draw(
            arrays.arrays(np.float32, (pairs, draw(st.integers(1, 4))), elements=observation)
        ),
        "actions": draw(
            st.one_of(
                arrays.arrays(np.int64, pairs, elements=st.integers(0, 2)),
                arrays.arrays(np.float32, shape, elements=elements),
            )
        ),
        "lengths": lengths,
        "episode_steps": lengths + extra,
        "terminated": draw(arrays.arrays(bool, episodes)),
        "returns": draw(arrays.arrays(np.float64, episodes, elements=known)),
        "env_id": draw(st.sampled_from(["", "Acrobot-v1", "my namespace/Tâche-v0"])),
    }


def build(content):
    """Demonstrations, and the spec of an environment that they fit."""
    demos = Demonstrations(**content)
    if demos.actions.ndim == 1:
        space = Discrete(3)
    else:
        space = Box((-2.0,) * demos.actions.shape[1], (2.0,) * demos.actions.shape[1])
    return demos, EnvSpec(
        "Any-v0", vector(demos.observations.shape[1]), space, int(demos.episode_steps.max())
    )


@settings(max_examples=60, deadline=None)
@given(content=contents(), suffix=st.sampled_from([".npz", ".json"]))
def test_round_trip_is_exact(tmp_path_factory, content, suffix):
    demos, spec = build(content)
    path = tmp_path_factory.mktemp("round") / f"demos{suffix}"
    save(demos, path, spec=spec)
    assert load(path, spec).fingerprint() == load(path).fingerprint() == demos.fingerprint()


@settings(max_examples=8, deadline=None)
@given(content=contents(), with_spec=st.booleans())
def test_minari_round_trip_is_exact(tmp_path_factory, content, with_spec):
    demos, spec = build(content)
    path = tmp_path_factory.mktemp("round") / "demos"
    save(demos, path, spec=spec if with_spec else None)
    assert load(path, spec).fingerprint() == demos.fingerprint()


@pytest.mark.parametrize("name", PATHS)
def test_a_return_of_minus_zero_is_zero_in_every_format(tmp_path, name):
    one, other = (
        Demonstrations.from_episodes([([[-0.0, 1.0]], [0])], terminated=True, returns=[zero])
        for zero in (-0.0, 0.0)
    )
    save(one, tmp_path / name)
    assert load(tmp_path / name).fingerprint() == one.fingerprint() == other.fingerprint()
    # of an observation every bit counts
    assert np.signbit(load(tmp_path / name).observations[0, 0])


def test_same_content_same_npz_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        save(small(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("name", PATHS)
def test_nothing_is_written_over_and_nothing_left_behind(tmp_path, name):
    path = tmp_path / "new" / name
    save(small(), path)
    before = load(path).fingerprint()
    with pytest.raises(ImitaxError, match="exists already"):
        save(small().choose(1), path)
    assert load(path).fingerprint() == before
    assert [entry.name for entry in path.parent.iterdir()] == [name]
    with pytest.raises(ImitaxError, match="0 … 1, but pair"):
        save(small(), tmp_path / f"bad{name}", spec=EnvSpec("X-v0", vector(2), Discrete(2), 10))
    assert not (tmp_path / f"bad{name}").exists()


def test_names_that_do_not_say_the_format(tmp_path):
    cases = [
        ({"path": tmp_path / "demos.pkl"}, "lacks a known suffix"),
        ({"path": tmp_path / "demos.npz", "format": "json"}, "lacks the suffix for json"),
        ({"path": tmp_path / "demos", "format": "npy"}, "Unknown format 'npy': did you mean npz"),
        ({"path": "minari:a/b-v0"}, "expected a folder to write"),
    ]
    for arguments, message in cases:
        with pytest.raises(ImitaxError, match=message):
            save(small(), **arguments)
    (tmp_path / "file").write_text("")
    with pytest.raises(ImitaxError, match="cannot be written"):
        save(small(), tmp_path / "file" / "demos.npz")


# The original system's JSON


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_json_of_the_original_system(tmp_path):
    path = write(tmp_path / "demos.json", original((2, 10)))
    demos = load(path)
    assert demos.lengths.tolist() == demos.episode_steps.tolist() == [2, 10]
    assert demos.terminated.tolist() == [True, True] and np.isnan(demos.returns).all()
    np.testing.assert_array_equal(
        demos.observations[:, 0], (0.1 * np.arange(12)).astype(np.float32)
    )
    assert demos.actions.tolist() == [i % 3 for i in range(12)]
    # The time limit, 10, tells the episode that the task ended from the one that ran out of time.
    assert load(path, SPEC).terminated.tolist() == [True, False]


def test_json_is_written_as_the_original_system_expects(tmp_path):
    demos = Demonstrations.from_episodes(
        [([[0.5, 1.0]] * 2, [2, 0]), ([[1.0, 2.0]], [1])], terminated=True
    )
    save(demos, tmp_path / "demos.json")
    content = json.loads((tmp_path / "demos.json").read_text())
    assert list(content) == ["state", "action", "done", "imitax"]
    assert content["state"][0] == {"__ndarray__": [0.5, 1.0], "dtype": "float64", "shape": [2]}
    assert content["action"] == [
        {"__ndarray__": a, "dtype": "int64", "shape": []} for a in (2, 0, 1)
    ]
    assert content["done"] == [False, True, True]


def changed(key, index, value):
    content = original()
    content[key][index] = value
    return content


def entry(data, dtype, shape):
    return {"__ndarray__": data, "dtype": dtype, "shape": shape}


BAD_JSON = {
    "cut off": (json.dumps(original())[:-9], "damaged data.*JSONDecodeError"),
    "a list": ([1], "expected an object"),
    "no action": (
        {k: v for k, v in original().items() if k != "action"},
        "expected action as well",
    ),
    "empty lists": ({"state": [], "action": [], "done": []}, r"found state = \[\]"),
    "nested": ({**original(), "done": [[False] * 5]}, "5 states, 5 actions and 1 done"),
    "NaN": (changed("state", 1, entry([0.0, math.nan], "float64", [2])), "pair 1 has nan"),
    "beyond float64": (json.dumps(original()).replace("-1.0", "1e999", 1), "pair 0 has inf"),
    "huge integer": (json.dumps(original()).replace("-1.0", "1" + "0" * 400), "OverflowError"),
    "ragged": (changed("state", 3, entry([1.0], "float64", [1])), r"state\[3\]"),
    "wrong shape": (changed("state", 0, entry([1.0], "float64", [2])), r"state\[0\]"),
    "text state": (changed("state", 2, entry(["0", "1"], "float64", [2])), r"state\[2\]"),
    "boolean state": (changed("state", 2, entry([True, 0.0], "float64", [2])), r"state\[2\]"),
    "odd dtype": (changed("state", 0, entry([0.0, 1.0], ["O"], [2])), r"state\[0\]"),
    "bare state": (changed("state", 0, [0.0, 1.0]), r"state\[0\]"),
    "float action": (changed("action", 0, entry(0.5, "int64", [])), r"action\[0\]"),
    "mixed actions": (changed("action", 4, entry([0.5], "float32", [1])), r"action\[4\]"),
    "object to build": (
        changed("action", 0, {"__instance_type__": ["os", "system"]}),
        r"action\[0\]",
    ),
    "integer done": (changed("done", 0, 0), r"done\[0\] = 0; expected true or false"),
    "open end": (changed("done", 4, False), "false at the end of done"),
    "bad extras": ({**original(), "imitax": {"env_id": "x"}}, "found imitax"),
    "extras of another length": (
        {
            **original(),
            "imitax": dict(episode_steps=[2], terminated=[True], returns=[None], env_id=""),
        },
        "episode_steps",
    ),
    "deep": ("[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("content, message", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_bad_json(tmp_path, content, message):
    refused(write(tmp_path / "demos.json", content), message)


def refused(path, message, spec=None):
    with pytest.raises(ImitaxError, match=message) as caught:
        load(path, spec)
    told = str(caught.value)
    assert str(path) in told and "\n" not in told and told.endswith(".")


# npz


def npz(path, **changes):
    """An npz file of `small()` with some members changed; None leaves one out, bytes are put in
    raw.
    """
    save(small(), path)
    with np.load(path) as file:
        members = {**file, **changes}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            if value is not None:
                buffer = io.BytesIO(value if isinstance(value, bytes) else b"")
                if not isinstance(value, bytes):
                    np.save(buffer, value, allow_pickle=True)
                archive.writestr(f"{name}.npy", buffer.getvalue())
    return path


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


BAD_NPZ = {
    "missing key": (dict(lengths=None), "expected lengths as well"),
    "newer version": (dict(format_version=np.int64(2)), "expected 1"),
    "pickled objects": (
        dict(observations=np.array([[print]], object)),
        "pickled objects in observations",
    ),
    "a claim of 4 TiB": (
        dict(observations=header((1 << 40,)) + bytes(64)),
        "bytes claimed by observations",
    ),
    "zeros of 1 GiB in 1 MB": (
        dict(actions=header((1 << 28,)) + bytes(1 << 20)),
        "bytes claimed by actions",
    ),
    "no header": (dict(actions=b"nonsense"), "damaged data"),
    "non-finite": (dict(observations=np.full((small().pairs, 2), np.inf)), "pair 0 has inf"),
    "structured": (dict(lengths=np.zeros(3, "i8,i8")), "lengths must be integers"),
    "env_id as bytes": (dict(env_id=np.array(b"x")), "expected one text"),
    "lengths": (dict(lengths=np.array([1, 1, 1])), "lengths must add up"),
}


@pytest.mark.parametrize("changes, message", BAD_NPZ.values(), ids=BAD_NPZ.keys())
def test_bad_npz(tmp_path, changes, message):
    refused(npz(tmp_path / "demos.npz", **changes), message)


# Minari


def dataset(path, observation_space, action_space, observations, actions, steps=2):
    """A dataset written by Minari alone, one episode that ran out of time."""
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(path, observation_space, action_space)
    episode = EpisodeBuffer(
        observations=observations,
        actions=actions,
        rewards=np.full(steps, -1.5),
        terminations=np.zeros(steps, bool),
        truncations=np.arange(steps) == steps - 1,
    )
    storage.update_episodes([episode])
    storage.update_metadata({"dataset_id": "test/any-v0", "minari_version": minari.__version__})


def test_minari_dataset_of_others(tmp_path, monkeypatch):
    from gymnasium.spaces import Box, Discrete

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    (tmp_path / "test" / "any-v0").mkdir(parents=True)
    observations = np.arange(6.0).reshape(3, 2)
    space = Box(-np.inf, np.inf, (2,), np.float64)
    dataset(tmp_path / "test/any-v0/data", space, Discrete(3), observations, np.array([2, 0]))
    for name in ("minari:test/any-v0", tmp_path / "test/any-v0", tmp_path / "test/any-v0/data"):
        demos = load(name, SPEC)
        assert demos.observations.tolist() == [[0, 1], [2, 3]] and demos.actions.tolist() == [2, 0]
        assert demos.terminated.tolist() == [False] and demos.returns.tolist() == [-3.0]
    refused("minari:test/none-v0", "no such dataset on this machine")
    refused(tmp_path / "test", "without metadata.json")


# of metadata that a published dataset has
@pytest.mark.filterwarnings("ignore::UserWarning:minari")
# Minari's own temporary folder
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_minari_dataset_of_mujoco(tmp_path, monkeypatch):
    """As Minari's collector records Hopper-v5: every episode against what the environment
    answered.
    """
    import gymnasium
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    world = minari.DataCollector(gymnasium.make("Hopper-v5"))
    episodes = []
    for seed in range(3):
        obs, _ = world.reset(seed=seed)
        world.action_space.seed(seed)
        pairs, ended, total = [], False, 0.0
        while not ended:
            action = world.action_space.sample()
            pairs.append((obs, action))
            obs, reward, ended, cut, _ = world.step(action)
            total += reward
            assert not cut  # a random hopper has fallen long before
        episodes.append((pairs, total))
    world.create_dataset(dataset_id="mujoco/hopper/random-v0")
    world.close()

    demos = load("minari:mujoco/hopper/random-v0", envs.make("Hopper-v5").spec)
    assert demos.env_id == "Hopper-v5" and demos.terminated.all()
    np.testing.assert_allclose(demos.returns, [total for _, total in episodes], rtol=1e-6)
    for found, (pairs, _) in zip(demos.episodes(), episodes, strict=True):
        np.testing.assert_array_equal(
            demos.observations[found], np.float32([obs for obs, _ in pairs])
        )
        np.testing.assert_array_equal(demos.actions[found], [action for _, action in pairs])


def test_minari_opens_what_is_written(tmp_path):
    import minari

    demos = small()
    save(demos, tmp_path / "demos", spec=SPEC)
    opened = minari.MinariDataset(tmp_path / "demos")
    assert opened.total_episodes == 3 and opened.total_steps == demos.pairs
    assert opened.env_spec.id == "Acrobot-v1" and opened.action_space.n == 3
    episode = opened[2]
    following, _ = demos.next_observations()
    np.testing.assert_array_equal(episode.observations[-1], following[-1])
    assert episode.truncations.tolist() == [False] * (len(episode) - 1) + [True]
    assert not episode.terminations.any() and episode.rewards.sum() == -0.1


def test_minari_spaces_that_are_not_supported_are_named(tmp_path):
    from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

    vector, two, image = Box(-1, 1, (2,)), np.zeros((3, 2)), Box(0, 1, (4, 4, 3))
    cases = {
        "dict": (
            Dict({"x": vector}),
            Discrete(2),
            {"x": two},
            np.zeros(2, int),
            "observations Dict",
        ),
        "image": (image, Discrete(2), np.zeros((3, 4, 4, 3)), np.zeros(2, int), "observations Box"),
        "many": (
            vector,
            MultiDiscrete([2, 2]),
            two,
            np.zeros((2, 2), int),
            "actions MultiDiscrete",
        ),
        "from 1": (vector, Discrete(2, start=1), two, np.ones(2, int), "actions Discrete.*start=1"),
        "no last": (
            vector,
            Discrete(2),
            two[:2],
            np.zeros(2, int),
            r"found \(2, 2, 2, 2\) observations",
        ),
    }
    for name, (*content, message) in cases.items():
        dataset(tmp_path / name, *content)
        refused(tmp_path / name, message)


def test_damaged_minari(tmp_path):
    save(small(), tmp_path / "demos")
    metadata, data = tmp_path / "demos/metadata.json", tmp_path / "demos/main_data.hdf5"
    whole = json.loads(metadata.read_text())
    cases = [
        ({"total_episodes": 10**12}, "total_episodes = 1000000000000"),
        ({"observation_space": None}, "damaged data"),
        ({"imitax": []}, "found imitax"),
        ({"imitax": {"episode_steps": [1], "env_id": ""}}, "episode_steps must be integers"),
    ]
    for change, message in cases:
        metadata.write_text(json.dumps({**whole, **change}))
        refused(tmp_path / "demos", message)
    del whole["action_space"]
    metadata.write_text(json.dumps(whole))
    refused(tmp_path / "demos", "no action_space in metadata.json")
    metadata.write_text(json.dumps({**whole, "action_space": whole["observation_space"]}))
    data.write_bytes(data.read_bytes()[:1000])
    refused(tmp_path / "demos", "damaged data")


# All formats


def test_what_is_no_demonstrations_file(tmp_path):
    refused(tmp_path / "none.npz", "no such file")
    for name in ("empty.npz", "empty.json"):
        write(tmp_path / name, "")
        refused(tmp_path / name, "empty or special file")
    refused(write(tmp_path / "demos.csv", "1,2"), "the suffix '.csv'")
    refused(write(tmp_path / "text.npz", "hello"), "no zip archive")
    save(small(), tmp_path / "demos.npz")
    (tmp_path / "demos.npz").rename(tmp_path / "zip.json")
    refused(tmp_path / "zip.json", "damaged data")


@pytest.mark.parametrize("name", PATHS)
def test_the_environment_is_checked_on_loading(tmp_path, name):
    save(small(), tmp_path / name)
    load(tmp_path / name, SPEC)
    refused(
        tmp_path / name,
        "CartPole-v1 have size 4, found",
        EnvSpec("CartPole-v1", vector(4), Discrete(2), 500),
    )


@pytest.mark.parametrize("name", ["demos.npz", "demos.json"])
def test_damaged_bytes_end_in_one_error_or_in_valid_content(tmp_path, name):
    path = tmp_path / name
    save(small(), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(300):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            del damaged[rng.integers(len(whole)) :]
        elif trial % 3 == 1:
            damaged[rng.integers(len(whole))] = rng.integers(256)
        else:
            start, source = rng.integers(len(whole), size=2)
            damaged[start:start] = whole[source : source + 20]
        path.write_bytes(damaged)
        try:
            load(path)
        except ImitaxError as error:
            assert str(path) in str(error)
