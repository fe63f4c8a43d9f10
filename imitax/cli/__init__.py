"""The command line. Every command is a thin wrapper of a function of the package."""

import sys

from imitax.cli import demos, diagnose, lab, machine, runs, train
from imitax.cli.app import add, add_group, parse
from imitax.errors import ImitaxError, Interrupted

DEMOS = {
    "list": demos.List,
    "make": demos.Make,
    "record": demos.Record,
    "inspect": demos.Inspect,
    "convert": demos.Convert,
}
COMMANDS = {
    "quickstart": lab.Quickstart,
    "expert": train.Expert,
    "train": train.Train,
    "resume": train.Resume,
    "evaluate": runs.Evaluate,
    "watch": runs.Watch,
    "report": runs.Report,
    "export": runs.Export,
    "diagnose": diagnose.Diagnose,
    "control": diagnose.Control,
    "transfer": lab.Transfer,
    "study": lab.Study,
    "benchmark": lab.Benchmark,
    "methods": machine.Methods,
    "envs": machine.Envs,
    "cite": machine.Cite,
    "completion": machine.Completion,
    "doctor": machine.Doctor,
}
add(COMMANDS)
add_group("demos", "List, make, record, inspect and convert demonstrations.", DEMOS)


def main() -> None:
    """Run a command; bad input ends with one sentence on stderr and exit code 2."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        print(f"imitax {version('imitax')}")
        return
    try:
        parse()()
    except Interrupted as interruption:
        print(f"imitax: {interruption}", file=sys.stderr)
        sys.exit(130)
    except ImitaxError as error:
        print(f"imitax: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe closed it
        sys.stderr.close()
    except OSError as error:  # no space, no permission, no such folder
        print(f"imitax: {error}.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("imitax: interrupted.", file=sys.stderr)
        sys.exit(130)
