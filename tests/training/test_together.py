"""Equal runs leave equal files, also when they run at once on one compilation cache and below one
folder.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

TIMES = {"config.json": "started", "summary.json": "seconds", "metrics.jsonl": "seconds"}
RUN = (
    "train gail Acrobot-v1 --demos Acrobot-v1/4 --seeds 2 --iterations 3 --steps 64 --episodes 2 "
    "--set loop.max_envs=4 agent.hidden=8 reward.hidden=8 --checkpoint-every 2"
)


def contents(path):
    """name -> all that the files of a run folder hold, but the times in them."""
    found = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if name in TIMES:
            lines = file.read_text().splitlines() if name.endswith("l") else [file.read_text()]
            found[name] = [
                {k: v for k, v in json.loads(x).items() if k != TIMES[name]} for x in lines
            ]
        elif name.startswith("checkpoints/"):
            found[name] = {k: v.tobytes() for k, v in load_file(file).items() if k != "seconds"}
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as data:
                found[name] = {
                    key: (data[key].dtype.str, data[key].tobytes()) for key in data.files
                }
        elif name == "report.html":  # tells the folder's name, and times
            found[name] = None
        elif file.is_file():
            found[name] = file.read_bytes()
    return found


def start(folder, name, cache):
    program = "from imitax.cli import main; main()"
    command = [sys.executable, "-c", program, *RUN.split(), "--out", str(folder / name)]
    environment = os.environ | {"IMITAX_CACHE": str(cache), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


def finish(process):
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told.decode()[-2000:]


def compare(one, other):
    """Two run folders, file by file, so that a failure names the file."""
    first, second = contents(one), contents(other)
    assert list(first) == list(second) and len(first) > 10
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.slow
def test_two_processes_at_once_harm_neither_and_leave_equal_files(tmp_path):
    runs, cache = tmp_path / "runs", tmp_path / "cache"  # neither is there yet
    for process in [start(runs, name, cache) for name in ("one", "other")]:
        finish(process)
    finish(start(runs, "alone", cache))  # what the two have left in the cache can be used
    compare(runs / "one", runs / "other")
    compare(runs / "one", runs / "alone")
    assert sorted(path.name for path in runs.iterdir()) == ["alone", "one", "other"]


def test_equal_runs_leave_equal_files(tmp_path):
    from imitax.envs import make
    from imitax.experts.demonstrate import load_demonstrations
    from imitax.runs.folder import FolderOptions, train_to_folder
    from imitax.training.config import make_config

    overrides = {
        "loop.env_steps": 64,
        "loop.max_envs": 4,
        "loop.iterations": 3,
        "agent.hidden": (8,),
    }
    env = make("Acrobot-v1")
    shown = load_demonstrations("Acrobot-v1/4", env.spec)
    for name in ("one", "other"):
        config = make_config("gail", "Acrobot-v1", overrides=overrides, seeds=2)
        train_to_folder(config, env, shown, tmp_path / name, FolderOptions(2, checkpoint_every=2))
    compare(tmp_path / "one", tmp_path / "other")
