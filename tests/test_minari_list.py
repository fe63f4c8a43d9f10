"""Which Minari datasets there are, with datasets made here and a server that is pretended."""

import json
import re
import socket
import sys

import numpy as np
import pytest
from gymnasium import spaces

from imitax import formats
from imitax.errors import ImitaxError
from imitax.formats import minari_list
from imitax.formats.minari_list import datasets_folder, local_datasets, remote_datasets

VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)


def make(name, observation_space=VECTOR, action_space=None, env_spec=None, episodes=2, steps=4):
    """A dataset in Minari's folder, by Minari itself."""
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage
    from minari.storage import get_dataset_path

    action_space = action_space or spaces.Discrete(2)
    path = get_dataset_path(name) / "data"
    path.mkdir(parents=True)
    storage = MinariStorage.new(
        path, observation_space, action_space, env_spec=env_spec, data_format="hdf5"
    )
    storage.update_episodes(
        [
            EpisodeBuffer(
                observations=np.stack([observation_space.sample() for _ in range(steps + 1)]),
                actions=np.stack([action_space.sample() for _ in range(steps)]),
                rewards=np.ones(steps),
                terminations=np.arange(steps) == steps - 1,
                truncations=np.zeros(steps, bool),
            )
            for _ in range(episodes)
        ]
    )
    storage.update_metadata({"dataset_id": name, "minari_version": minari.__version__})
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def test_no_folder_is_no_dataset_and_none_is_made(folder):
    assert local_datasets() == [] and not folder.exists() and datasets_folder() == folder


def test_local_datasets_and_what_is_wrong_with_them(folder):
    import gymnasium

    make("tests/good-v0", env_spec=gymnasium.spec("CartPole-v1"))
    make("plain-v1", action_space=spaces.Box(-1.0, 1.0, (2,), np.float32), episodes=3)
    make("tests/image-v0", observation_space=spaces.Box(0, 255, (2, 2, 3), np.uint8))
    make("tests/many-v0", action_space=spaces.MultiDiscrete([2, 2]))
    metadata = make("tests/mute-v0") / "metadata.json"
    data = json.loads(metadata.read_text())
    del data["action_space"]
    metadata.write_text(json.dumps(data))
    (make("tests/cut-v0") / "metadata.json").write_text("{")

    found = {dataset.id: dataset for dataset in local_datasets()}
    good = found["tests/good-v0"]
    assert (good.env, good.episodes, good.steps, good.problem) == ("CartPole-v1", 2, 8, None)
    stored = sum(
        file.stat().st_size for file in (folder / "tests/good-v0").rglob("*") if file.is_file()
    )
    assert good.bytes == stored > 0
    assert found["plain-v1"][1:4] == (None, 3, 12) and found["plain-v1"].problem is None
    problems = {name: dataset.problem for name, dataset in found.items() if dataset.problem}
    assert list(problems) == ["tests/image-v0", "tests/many-v0", "tests/mute-v0", "tests/cut-v0"]
    assert (
        problems["tests/image-v0"].startswith("observations")
        and "MultiDiscrete" in problems["tests/many-v0"]
    )
    assert problems["tests/mute-v0"] == "spaces that are not stated"
    assert problems["tests/cut-v0"].startswith("damaged metadata")
    # What is listed without a problem can be loaded by its id, and the rest cannot.
    for name, dataset in found.items():
        if dataset.problem is None:
            assert len(formats.load(f"minari:{name}")) == dataset.episodes
        else:
            with pytest.raises(ImitaxError, match=re.escape(name)):
                formats.load(f"minari:{name}")


def test_a_dataset_that_is_not_here_says_how_to_get_it():
    with pytest.raises(
        ImitaxError, match=r"`minari download D4RL/door/human-v2` gets it \(pip install 'imitax"
    ):
        formats.load("minari:D4RL/door/human-v2")


def test_remote_datasets(monkeypatch):
    import minari

    make("tests/good-v0")
    metadata = minari.list_local_datasets()["tests/good-v0"] | {"dataset_size": 1.5}
    dictionary = metadata | {"observation_space": json.dumps({"type": "Dict", "subspaces": {}})}
    options = {}

    def answer(**given):
        options.update(given)
        return {"b-v0": metadata, "a-v2": dictionary}

    monkeypatch.setattr(minari, "list_remote_datasets", answer)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *host: [])
    first, second = remote_datasets()
    assert (first.id, second.id, second.bytes, second.problem) == ("a-v2", "b-v0", 1_500_000, None)
    assert first.problem and options == {"latest_version": True, "compatible_minari_version": True}


def test_without_a_connection_one_sentence_says_so(monkeypatch):
    def fail(*host):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(minari_list.urllib.request, "getproxies", dict)
    monkeypatch.delenv("MINARI_REMOTE", raising=False)
    with pytest.raises(ImitaxError, match=r"cannot be fetched: .*not known; without --remote"):
        remote_datasets()


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *host: [])
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "minari.storage.remotes.huggingface", raising=False)
    monkeypatch.delenv("MINARI_REMOTE", raising=False)
    with pytest.raises(ImitaxError, match=r"pip install 'imitax\[minari\]'"):
        remote_datasets()
