"""Breaks the code on purpose, one small change at a time, and asks the tests whether they notice.

    python tests/mutants.py                     # every mutation of tests/mutants.toml
    python tests/mutants.py absorbing clip      # those whose reason holds one of these words

Each mutation is made in a copy of the repository, and only the test files that its row names are
run, until the first failure. Prints one line for each; exits 1 if a mutation survives or its tests
fail without it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "mutants.toml"
COPIED = ("imitax", "tests", "pyproject.toml")
SECONDS = 900  # for the tests of one mutation; a program that never ends is noticed, too


class Mutant(NamedTuple):
    """One change: `old`, which occurs once in the file, becomes `new`."""

    why: str  # what goes wrong
    file: str  # below the repository
    old: str
    new: str
    tests: tuple[str, ...]  # files or folders that must fail

    def apply(self, root: Path) -> str:
        """Change the file below `root`; returns what it was. ValueError unless `old` occurs
        once.
        """
        path = root / self.file
        source = path.read_text(encoding="utf-8")
        if (count := source.count(self.old)) != 1:
            raise ValueError(
                f"'{self.why}': its text occurs {count} times in {self.file}, not once."
            )
        path.write_text(source.replace(self.old, self.new), encoding="utf-8")
        return source


def read_table(path: Path = TABLE) -> list[Mutant]:
    """The rows of the table."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return [Mutant(**(row | {"tests": tuple(row["tests"])})) for row in rows]


def run_tests(root: Path, cache: Path, tests: tuple[str, ...]) -> str:
    """'passed', 'failed', 'timed out', or what pytest printed last where it could not run."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "--no-header", *tests]
    # The copy comes before an installed package; warnings about missing byte code are not wanted.
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["IMITAX_CACHE"] = str(cache)  # what a mutation leaves alone is compiled once
    try:
        answer = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return "timed out"
    if answer.returncode in (0, 1):
        return ("passed", "failed")[answer.returncode]
    return (answer.stdout + answer.stderr).strip()[-500:]


def copy_repository(target: Path) -> None:
    """Copy all that the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def chosen(mutants: list[Mutant], words: list[str]) -> list[Mutant]:
    """The mutants whose reason holds one of `words`; all without any."""
    return [m for m in mutants if not words or any(word in m.why for word in words)]


def verdict(mutant: Mutant, root: Path, cache: Path) -> str:
    """'killed', 'SURVIVED', or why that cannot be said."""
    original = mutant.apply(root)
    try:
        outcome = run_tests(root, cache, mutant.tests)
    finally:
        (root / mutant.file).write_text(original, encoding="utf-8")
    return {"failed": "killed", "timed out": "killed", "passed": "SURVIVED"}.get(outcome, outcome)


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen mutations; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "words", nargs="*", help="run only mutations whose reason holds one of these"
    )
    parser.add_argument(
        "--table", type=Path, default=TABLE, help="read the mutations from this file"
    )
    parser.add_argument("--trust", action="store_true", help="skip the tests of the unchanged code")
    options = parser.parse_args(arguments)
    mutants = chosen(read_table(options.table), options.words)
    if not mutants:
        parser.error(f"no reason holds {' or '.join(options.words)}")
    with tempfile.TemporaryDirectory(prefix="imitax-mutants-") as folder:
        root, cache = Path(folder) / "repository", Path(folder) / "cache"
        copy_repository(root)
        if not options.trust:
            files = tuple(sorted({test for mutant in mutants for test in mutant.tests}))
            if (outcome := run_tests(root, cache, files)) != "passed":
                print(
                    f"The tests of the unchanged code: {outcome}. They must pass first: "
                    f"{' '.join(files)}"
                )
                return 1
        return report(mutants, root, cache)


def report(mutants: list[Mutant], root: Path, cache: Path) -> int:
    """Print a line for each mutation and a closing one; the exit code."""
    killed = 0
    for mutant in mutants:
        start = time.monotonic()
        outcome = verdict(mutant, root, cache)
        killed += outcome == "killed"
        print(
            f"{outcome:<9}{time.monotonic() - start:5.0f} s  {mutant.file}: {mutant.why}",
            flush=True,
        )
    print(f"{killed} of {len(mutants)} mutations killed")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
