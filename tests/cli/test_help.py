"""The help of every command, and the options that the documentation names."""

import dataclasses
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from imitax import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks/README.md"]
PAGES += sorted(ROOT.glob("docs/**/*.md"))
COMMANDS = cli.COMMANDS | {f"demos {name}": command for name, command in cli.DEMOS.items()}
IMPERATIVES = set(
    "Append Change Check Collect Convert Describe Evaluate Explain Export Include Keep Learn "
    "Leave List "
    "Load Log Name Plan Play Print Record Repeat Resume Run Sample Save Select Serve Set Skip "
    "Start Stop "
    "Take Train Truncate Trust Use Watch Write".split()
)


def leaves(options):
    """The options of a command: fields with the class whose source holds their help."""
    hints = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from leaves(hints[field.name])
        else:
            yield field, options


def flags(command):
    """The options of a command that begin with --."""
    return {f"--{field.name.replace('_', '-')}" for field, _ in leaves(command)} | {"--help"}


def help_of(field, options):
    """The docstring under a field."""
    pattern = rf'^    {field.name}: .*\n    """((?:.|\n)*?)"""'
    return re.search(pattern, inspect.getsource(options), re.MULTILINE).group(1)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(imitax, name):
    answer = imitax(*name.split(), "--help")
    assert answer.code == 0 and answer.err == ""
    printed = " ".join(answer.out.replace("│", " ").split())
    description = COMMANDS[name].__doc__
    assert description in printed
    for text in (description, *(help_of(*leaf) for leaf in leaves(COMMANDS[name]))):
        assert " ".join(text.split()) in printed
        assert text.split()[0] in IMPERATIVES
        assert max(len(f'    """{line}"""') for line in text.splitlines()) <= 100
    for field, _ in leaves(COMMANDS[name]):
        if field.default is dataclasses.MISSING:
            assert "(required)" in printed
        elif "Positional" not in str(field.type):
            assert f"--{field.name.replace('_', '-')}" in printed
        if isinstance(field.default, int):
            assert f"(default: {field.default})" in printed


@pytest.mark.parametrize("group, names", [("", [*cli.COMMANDS, "demos"]), ("demos", cli.DEMOS)])
def test_help_lists_the_commands(imitax, group, names):
    answer = imitax(*group.split(), "--help")
    assert answer.code == 0
    for name in names:
        assert f"• {name} " in answer.out


def commands_in(text):
    """Every `imitax ...` in the blocks of code and in the inline code of a page, as words."""
    blocks = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    lines = [
        line for block in blocks.findall(text) for line in block.replace("\\\n", " ").split("\n")
    ]
    for line in lines + re.findall(r"`([^`]+)`", blocks.sub("", text)):
        for part in re.split(r"&&|\||\$\(|<\(", line.partition(" #")[0]):
            words = part.replace(")", "").split()
            if words[:1] == ["imitax"] and words[1:]:
                yield words[1:]


def test_commands_and_options_in_the_documentation_exist():
    anywhere = set().union(*map(flags, COMMANDS.values())) | {"--version"}
    options = 0
    for page in PAGES:
        text = page.read_text()
        for words in commands_in(text):
            if words in (["demos"], ["--version"]):
                continue
            name = " ".join(words[: 2 if words[0] == "demos" else 1])
            assert name in COMMANDS, f"{page.name}: {name}"
            named = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert named <= flags(COMMANDS[name]), f"{page.name}: imitax {name}"
            options += len(named)
        if page.parent.name != "benchmarks":  # its scripts have options of their own
            unknown = set(re.findall(r"`(--[a-z][a-z-]*)", text)) - anywhere
            assert unknown == set(), page.name
    assert options > 100


def test_version(imitax):
    from importlib.metadata import version

    assert imitax("--version") == (0, f"imitax {version('imitax')}\n", "")


@pytest.mark.parametrize(
    "arguments", ["--help", "train --help", "train gail Acrobot-v1 --colour red"]
)
def test_help_and_refusals_of_the_parser_do_not_wait_for_jax(arguments):
    program = (
        "import sys\nfrom imitax.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('jax', 'gymnasium', 'matplotlib') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, *arguments.split()]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "train gail Acrobot-v1 --backend jax",
        "train gail Acrobot-v1 --seeds two",
        "train gail Acrobot-v1 --colour red",
        "demos make Acrobot-v1 --format pickle",
        "trane gail Acrobot-v1",
        "train gail",
        "demos",
        "",
    ],
)
def test_the_parser_refuses(imitax, tmp_path, command):
    code, out, err = imitax(*command.split())
    assert code == 2 and "Traceback" not in err and list(tmp_path.iterdir()) == []
    assert err if command not in ("", "demos") else err or out
