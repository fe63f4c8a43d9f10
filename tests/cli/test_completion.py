"""The completion script, as bash uses it and as the other shells read it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_hold_commands_options_and_names(imitax, shell, tmp_path):
    answer = imitax("completion", shell)
    assert answer.code == 0 and answer.err == ""
    for word in ("evaluate", "--seeds", "tensorboard", "trpo", "original"):
        assert word in answer.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(answer.out)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_unknown_shells_are_refused(imitax):
    assert imitax("completion", "powershell").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes_commands_options_names_and_files(imitax, tmp_path):
    (tmp_path / "script").write_text(imitax("completion", "bash").out)
    (tmp_path / "some-run").mkdir()
    lines = {
        "imitax eva": "evaluate",
        "imitax demos conv": "convert",
        "imitax train gail Acrobot-v1 --iter": "--iterations",
        "imitax train gail Acrobot-v1 --agent tr": "trpo",
        "imitax evaluate some": "",  # nothing of its own, so bash offers files
    }
    program = ["source ./script"]
    for line in lines:
        words = " ".join(f"'{word}'" for word in line.split())
        program.append(
            f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()"
        )
        program.append('_imitax 2>/dev/null; echo "${#COMPREPLY[@]} ${COMPREPLY[*]}"')
    program.append("complete -p imitax")
    command = ["bash", "--norc", "-c", "\n".join(program)]
    environment = {"PATH": f"{BIN}:/usr/bin:/bin"}
    process = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    *words, registration = process.stdout.splitlines()
    assert [word.strip() for word in words] == [f"1 {w}" if w else "0" for w in lines.values()]
    assert registration == "complete -o default -F _imitax imitax"
