"""What loggers are told, and the files that TensorBoard and Weights & Biases get."""

import json
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.runs import folder as runs
from imitax.runs.loggers import TensorBoard, WandB, make_loggers, series, settings_table
from imitax.training.callbacks import Moment
from imitax.training.config import make_config
from imitax.training.logging import Logging

CONFIG = make_config("gail", "Acrobot-v1", seed=3, seeds=2, overrides={"loop.env_steps": 64})


class Notes:
    """A logger that remembers what it is told."""

    def __init__(self):
        self.calls = []

    def start(self, config):
        self.calls.append(("start", config["seed"]))

    def log(self, step, metrics):
        self.calls.append((step, {name: values.tolist() for name, values in metrics.items()}))

    def close(self):
        self.calls.append("close")


def test_loggers_start_late_and_are_closed():
    one, two = Notes(), Notes()
    with Logging([one, two], CONFIG) as log:
        assert one.calls == []  # a run that is refused leaves nothing
        for i in range(2):
            log(Moment(i, 2, {"loss": np.array([i, np.nan])}))
        log.evaluation({kind: {"seed_means": [1.0, 2.0]} for kind in ("deterministic", "sampled")})
    last = {"evaluation/deterministic_return": [1.0, 2.0], "evaluation/sampled_return": [1.0, 2.0]}
    assert [entry[0] for entry in one.calls[:-1]] == ["start", 64, 128, 128]
    assert one.calls[3] == (128, last) and one.calls[-1] == "close"
    assert str(two.calls) == str(one.calls)


def test_loggers_of_a_run_that_fails_are_closed():
    notes = Notes()
    with pytest.raises(KeyboardInterrupt), Logging([notes], CONFIG) as log:
        log(Moment(0, 2, {"loss": np.zeros(2)}))
        raise KeyboardInterrupt
    assert notes.calls[-1] == "close"
    with Logging([notes], CONFIG):
        pass
    assert notes.calls.count("close") == 1  # not started, so not closed


def test_one_that_cannot_start_does_not_hide_the_others():
    class Broken(Notes):
        def start(self, config):
            raise ImitaxError("no")

    notes = Notes()
    with pytest.raises(ImitaxError), Logging([notes, Broken()], CONFIG) as log:
        log(Moment(0, 1, {"loss": np.zeros(2)}))
    assert notes.calls == [("start", 3), "close"]


def test_one_that_cannot_close_does_not_keep_the_others_open():
    class Broken(Notes):
        def close(self):
            raise OSError("disk full")

    notes = Notes()
    with pytest.raises(OSError, match="disk full"), Logging([notes, Broken()], CONFIG) as log:
        log(Moment(0, 1, {"loss": np.zeros(2)}))
    assert notes.calls[-1] == "close"


def test_cloning_counts_epochs():
    notes = Notes()
    with Logging([notes], make_config("bc", "Acrobot-v1")) as log:
        log(Moment(0, 2, {"validation_loss": np.ones(1)}))
        log(Moment(1, 2, {"validation_loss": np.ones(1)}))
    assert [entry[0] for entry in notes.calls[1:-1]] == [1, 2]


def test_series_leave_out_what_is_unknown():
    calls = list(series({"a": np.array([1.0, np.nan, 3.0]), "b": np.full(3, np.nan)}, 5))
    assert calls == [("a", "seed5", 1.0), ("a", "seed7", 3.0), ("a", "mean", 2.0)]
    assert list(series({"a": np.array([np.inf]), "b": np.array([4.0])}, 0)) == [("b", "seed0", 4.0)]


def records(path):
    """Events of a file: length, its checksum, data, their checksum, as TensorFlow writes them."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body, rest = data[12 : 12 + length], data[12 + length :]
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8])
        assert struct.unpack("<I", rest[:4])[0] == masked_crc32c(body)
        events.append(Event.FromString(body))
        data = rest[4:]
    return events


def scalars(folder):
    """label -> [(step, name -> value)], and the texts."""
    numbers, texts = {}, {}
    for path in sorted(folder.glob("*/events.out.tfevents.*")):
        first, *events = records(path)
        assert first.file_version == "brain.Event:2"
        for event in events:
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "text":
                    texts[value.tag] = value.tensor.string_val[0].decode()
            simple = {
                v.tag: v.simple_value for v in event.summary.value if v.HasField("simple_value")
            }
            if simple:
                numbers.setdefault(path.parent.name, []).append((event.step, simple))
    return numbers, texts


def test_tensorboard_files(tmp_path):
    with Logging([TensorBoard(tmp_path / "board")], CONFIG) as log:
        log(
            Moment(0, 2, {"loss": np.array([1.0, 3.0]), "episode_return": np.array([np.nan, -7.0])})
        )
        log(Moment(1, 2, {"loss": np.array([0.5, np.nan])}))
    found, texts = scalars(tmp_path / "board")
    assert found == {
        "seed3": [(64, {"loss": 1.0}), (128, {"loss": 0.5})],
        "seed4": [(64, {"loss": 3.0, "episode_return": -7.0})],
        "mean": [(64, {"loss": 2.0, "episode_return": -7.0}), (128, {"loss": 0.5})],
    }
    assert list(texts) == ["settings/text_summary"]
    assert '| reward.form | "log_d" |' in texts["settings/text_summary"]


def test_tensorboard_does_not_mix_runs(tmp_path):
    for _ in range(2):
        logger = TensorBoard(tmp_path / "board")  # made before the folder of its run is there
    logger.start(CONFIG.as_dict())
    logger.close()
    with pytest.raises(ImitaxError, match="exists and is not empty"):
        TensorBoard(tmp_path / "board").start(CONFIG.as_dict())
    (tmp_path / "file").touch()
    with pytest.raises(ImitaxError, match="exists and is not empty"):
        TensorBoard(tmp_path / "file").start(CONFIG.as_dict())


def test_tensorboard_goes_on_with_a_resumed_run(tmp_path):
    """What TensorBoard shows, events from a session's start on forgotten, is that of a run left
    alone.
    """

    class Crash(BaseException):
        pass

    def crash(moment):
        if moment.iteration == 4:
            raise Crash

    def begin(path, *callbacks):
        small = {
            "loop.env_steps": 64,
            "loop.max_envs": 4,
            "loop.iterations": 6,
            "agent.hidden": (8,),
        }
        config, env = (
            make_config("rl", "CartPole-v1", overrides=small, seeds=2),
            make("CartPole-v1"),
        )
        options = runs.FolderOptions(2, checkpoint_every=3)
        with Logging([TensorBoard(path / "tensorboard")], config) as log:
            _, summary = runs.train_to_folder(config, env, None, path, options, [log, *callbacks])
            log.evaluation(summary)

    def numbers_in(folder):
        kept = {}
        for path in sorted(
            folder.glob("*/events*"), key=lambda path: float(path.name.split(".", 3)[3][:17])
        ):
            for event in records(path)[1:]:
                if event.HasField("session_log"):
                    kept[path.parent.name] = [
                        old for old in kept[path.parent.name] if old[0] < event.step
                    ]
                else:
                    values = [(v.tag, v.simple_value) for v in event.summary.value]
                    kept.setdefault(path.parent.name, []).append((event.step, values))
        return kept

    begin(tmp_path / "whole")
    with pytest.raises(Crash):
        begin(tmp_path / "run", crash)
    assert max(step for step, _ in numbers_in(tmp_path / "run/tensorboard")["seed0"]) == 5 * 64
    runs.resume(
        tmp_path / "run", loggers=make_loggers(["tensorboard"], tmp_path / "run", resumed=True)
    )
    assert str(numbers_in(tmp_path / "run/tensorboard")) == str(
        numbers_in(tmp_path / "whole/tensorboard")
    )
    assert len(list((tmp_path / "run/tensorboard/seed1").iterdir())) == 2


def test_settings_as_a_table():
    rows = settings_table(CONFIG.as_dict()).splitlines()
    assert "| seeds | 2 |" in rows and "| agent.hidden | [100, 100] |" in rows
    assert all(row.count("|") == 3 for row in rows)


@pytest.mark.parametrize("name, package", [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_missing_extras_are_named(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImitaxError, match=rf"needs a package .*: pip install 'imitax\[{name}\]'\.$"
    ):
        make_loggers([name], tmp_path)


def test_names(tmp_path):
    assert [type(logger) for logger in make_loggers(["tensorboard"] * 2, tmp_path)] == [TensorBoard]
    with pytest.raises(ImitaxError, match="Unknown logger 'tensorbord': did you mean tensorboard"):
        make_loggers(["tensorbord"], tmp_path)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Weights & Biases without network, key or files outside the test's folder."""
    pytest.importorskip("wandb")
    for name in ("CONFIG_DIR", "CACHE_DIR", "DATA_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / name))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


def test_wandb_offline(tmp_path, offline):
    with Logging([WandB(project="tests", name="one", folder=tmp_path)], CONFIG) as log:
        log(Moment(0, 2, {"loss": np.array([1.25, 3.25])}))
        log(Moment(1, 2, {"loss": np.array([np.nan, 5.5])}))
    (written,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    end = time.monotonic() + 30.0
    while b"5.5" not in (data := written.read_bytes()) and time.monotonic() < end:
        time.sleep(0.1)  # another process writes
    for text in (b"seed3/loss", b"seed4/loss", b"2.25", b"5.5", b"log_d", b"128"):
        assert text in data


def test_wandb_without_a_key_is_refused_before_anything_is_written(tmp_path, offline):
    command = "train bc Acrobot-v1 --demos Acrobot-v1/1 --log wandb --out run".split()
    environment = os.environ | {"WANDB_MODE": "online", "HOME": str(tmp_path), "NETRC": "/dev/null"}
    process = subprocess.run(
        [sys.executable, "-c", "from imitax.cli import main; main()", *command],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2 and not (tmp_path / "run").exists()
    calls = process.stderr.splitlines()[-1]
    assert (
        calls.startswith("imitax: Weights & Biases cannot be used: ")
        and "WANDB_MODE=offline" in calls
    )


def test_a_logger_in_one_line_of_python(tmp_path):
    import imitax

    notes = Notes()
    run = imitax.train(
        "bc",
        imitax.make("Acrobot-v1"),
        imitax.load_demonstrations("Acrobot-v1/1"),
        iterations=2,
        seeds=2,
        settings={"bc.hidden": (8,)},
        callbacks=[notes, imitax.TensorBoard(tmp_path / "board")],
    )
    losses = run.metrics["validation_loss"]  # [S, I]
    assert [entry[0] for entry in notes.calls] == ["start", 1, 2, "c"]
    assert notes.calls[2][1]["validation_loss"] == losses[:, 1].tolist()
    numbers, _ = scalars(tmp_path / "board")
    assert numbers["mean"][0][1]["validation_loss"] == pytest.approx(losses[:, 0].mean())
    assert json.dumps(notes.calls)
