"""Completion scripts, in the shells that are there."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def script(shell):
    done = subprocess.run([BIN / "imitax", "completion", shell], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_of_their_shell(shell, tmp_path):
    text = script(shell)
    for word in ("evaluate", "--seeds", "tensorboard", "trpo"):
        assert word in text
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    (tmp_path / "script").write_text(text)
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def typed(keys, folder):
    """The command line that a real bash shows after these keys, with its completion loaded."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "dumb", "PS1": "READY> ", "INPUTRC": os.devnull}
    environment["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave, cwd=folder,
        env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        os.write(master, b"source <(imitax completion bash); echo LOAD''ED\n")  # its echo is no LOADED
        _read_until(master, rb"LOADED\r?\n.*READY> $")
        os.write(master, keys.encode() + b"\t")
        # The echo of what was typed, then what completion adds; it adds a blank or a slash at the end.
        shown = _read_until(master, re.escape(keys.encode()) + rb"[^ /]*[ /]")
        return shown.decode().rpartition("READY> ")[2]
    finally:
        shell.kill()
        shell.wait()
        os.close(master)


def _read_until(master, pattern):
    seen, end = b"", time.monotonic() + 60
    while not re.search(pattern, seen, re.DOTALL):
        assert time.monotonic() < end, seen
        if select.select([master], [], [], 1.0)[0]:
            seen += os.read(master, 4096)
    return seen


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
@pytest.mark.parametrize(
    "keys, line",
    [
        ("imitax eva", "imitax evaluate "),
        ("imitax demos conv", "imitax demos convert "),
        ("imitax train gail Acrobot-v1 --iter", "imitax train gail Acrobot-v1 --iterations "),
        ("imitax train gail Acrobot-v1 --agent tr", "imitax train gail Acrobot-v1 --agent trpo "),
        ("imitax evaluate some", "imitax evaluate some-run/"),
        ("imitax train gail Acrobot-v1 --demos shown.n", "imitax train gail Acrobot-v1 --demos shown.npz "),
    ],
)
def test_words_are_completed_in_bash(keys, line, tmp_path):
    (tmp_path / "some-run").mkdir()
    (tmp_path / "shown.npz").touch()
    assert typed(keys, tmp_path) == line
