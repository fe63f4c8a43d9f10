"""Commands about demonstrations."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from imitax import formats
from imitax.experts.demonstrate import load_demonstrations
from imitax.runs.folder import load_policy


@pytest.mark.parametrize("format, suffix", [("npz", ".npz"), ("json", ".json"), ("minari", "")])
def test_make_inspect_and_convert(trained, read, tmp_path, format, suffix):
    command = ["demos", "make", "Acrobot-v1", "--policy", trained("expert")[0]]
    command += ["--trajectories", 1, 2, "--format", format, "--out", "sets"]
    description = read(*command)
    files = [f"sets/Acrobot-v1-{count}{suffix}" for count in (1, 2)]
    assert list(description) == files
    assert [description[file]["episodes"] for file in files] == [1, 2]
    names = sorted(entry.name for entry in (tmp_path / "sets").iterdir())
    assert names == [file.removeprefix("sets/") for file in files]
    one, two = (load_demonstrations(file) for file in files)
    assert two.choose(1).fingerprint() == one.fingerprint()
    assert read("demos", "inspect", files[1]) == description[files[1]]
    assert two.env_id == "Acrobot-v1" and np.isfinite(two.returns).all()

    # The same episodes in every format, and there and back.
    for index, target in enumerate(("a.npz", "b.json", "c")):
        converted = read("demos", "convert", files[1], target, "--env", "Acrobot-v1")
        assert converted["file"] == target and converted["fingerprint"] == two.fingerprint()
        assert read("demos", "convert", target, f"back{index}{suffix}")["pairs"] == two.pairs
        assert load_demonstrations(f"back{index}{suffix}").fingerprint() == two.fingerprint()


def test_make_trains_an_expert_if_none_is_named(trained, read, monkeypatch):
    calls = []

    def train(method, env, callbacks):
        calls.append((method, env.spec.id))
        return SimpleNamespace(policy=load_policy(trained("expert")[0]))

    monkeypatch.setattr("imitax.training.train.train", train)
    command = "demos make Acrobot-v1 --trajectories 2 --deterministic --seed 5"
    description = read(*command.split())
    assert calls == [("rl", "Acrobot-v1")]
    assert list(description) == ["demos/Acrobot-v1-2.npz"]


def test_answer_in_words(imitax):
    assert "episodes: 4" in imitax("demos", "inspect", "Acrobot-v1/4").out
    answer = imitax("demos", "convert", "Acrobot-v1/4", "four.json")
    pairs = load_demonstrations("four.json").pairs
    assert answer == (0, f"four.json: 4 trajectories, {pairs} pairs\n", "")


def test_list(imitax, read, monkeypatch, tmp_path):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    listing = read("demos", "list")
    assert listing["local"] == [] and "remote" not in listing
    assert listing["shipped"]["Acrobot-v1/4"]["episodes"] == 4
    formats.save(load_demonstrations("Acrobot-v1/4"), tmp_path / "four")
    shutil.copytree(tmp_path / "four", tmp_path / "minari/imitax/acrobot-v1-v0/data")
    assert read("demos", "list")["local"][0]["id"] == "imitax/acrobot-v1-v0"
    text = imitax("demos", "list").out
    assert "Acrobot-v1/10" in text and "minari:imitax/acrobot-v1-v0" in text
    assert read("demos", "inspect", "minari:imitax/acrobot-v1-v0")["episodes"] == 4


def test_keys_are_printed_as_the_file_that_changes_them(imitax, read, refuse, tmp_path):
    answer = imitax("demos", "record", "Pendulum-v1", "--show-keys")
    assert answer.code == 0 and "gamepad-0" in answer.out and answer.err == ""
    (tmp_path / "mine.toml").write_text(answer.out.replace("fps = 20", "fps = 7"))
    command = "demos record Pendulum-v1 --keys mine.toml"
    assert read(*command.split(), "--show-keys")["fps"] == 7
    (tmp_path / "mine.toml").write_text("[keys]\nleft = 3.0")
    message = "In 'mine.toml': key 'left' is 3.0: expected 1 number(s) within [-2] … [2]"
    refuse(f"{command} --browser --no-open", message)
    refuse(f"{command} --show-keys", message)
