"""The command line. Every command is a thin wrapper of a function of the package."""

import sys

from imitax.cli import train  # noqa: F401  (each module adds its commands, in this order)

# isort: split
from imitax.cli import demos, lab, runs  # noqa: F401

# isort: split
from imitax.cli import datasets, diagnose, exporting, machine  # noqa: F401
from imitax.cli.common import run
from imitax.errors import ImitaxError, Interrupted


def main() -> None:
    """Run a command; bad input ends with one sentence on stderr and exit code 2."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        print(f"imitax {version('imitax')}")
        return
    try:
        run()
    except Interrupted as stopped:
        print(f"imitax: {stopped}", file=sys.stderr)
        sys.exit(130)
    except ImitaxError as error:
        print(f"imitax: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe had enough
        sys.stderr.close()
    except OSError as error:  # no room, no permission, no such folder
        print(f"imitax: {error}.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("imitax: interrupted.", file=sys.stderr)
        sys.exit(130)
