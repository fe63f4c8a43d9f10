"""What the commands share: the two command groups, the types of their options, the form of an answer."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, arg

from imitax.errors import ImitaxError

app = tyro.extras.SubcommandApp()
demos = tyro.extras.SubcommandApp()
demos.__doc__ = "List, make, record, inspect and convert demonstrations."  # shown by --help

Backend = Literal["auto", "native", "envpool", "gymnasium"]
# A tuple for each time the option is given: without this, a second --set would undo the first.
Set = Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(name="set", metavar="KEY=VALUE ...")]
Log = Annotated[tuple[Literal["tensorboard", "wandb"], ...], UseAppendAction]
Env = Annotated[str, Positional, arg(metavar="ENV")]
RunFolder = Annotated[Path, Positional, arg(metavar="RUN")]
Out = Annotated[Path | None, arg(metavar="DIR")]
Quiet = Annotated[bool, arg(aliases=["-q"])]
Verbose = Annotated[bool, arg(aliases=["-v"])]


def run(arguments: list[str] | None = None) -> None:
    """Parse a command line, by default this process's, and run its command."""
    app.cli(
        prog="imitax",
        description="Imitation learning in JAX.",
        config=(tyro.conf.FlagCreatePairsOff,),
        args=arguments,
    )


def answer(data, as_json: bool, text: str = "") -> None:
    """The result of a command on stdout, as JSON or as text."""
    print(json.dumps(data, indent=2, ensure_ascii=False) if as_json else text)


def add_report(runs: list[Path], folder: Path) -> str:
    """Write folder/report.html about finished runs; a sentence that says where it is.

    The runs are what matters: whatever stands in a report's way is told on stderr, and no error.
    """
    from imitax.report.write import write_report

    try:
        return f"Report: {write_report(runs, folder / 'report.html')['file']}"
    except (ImitaxError, OSError) as error:
        print(f"imitax: no report was written: {error}", file=sys.stderr)
        return ""


def verbosity(quiet: bool, verbose: bool):
    """The two flags as one level; both at once are refused."""
    from imitax.cli.terminal import Verbosity

    if quiet and verbose:
        raise ImitaxError("Options --quiet and --verbose contradict each other: give one of them.")
    return Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
