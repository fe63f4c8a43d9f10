"""The table of mutations fits the code, and `mutants.py` tells a test that notices from one that
does not.
"""

import ast
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ROWS = tomllib.loads((HERE / "mutants.toml").read_text(encoding="utf-8"))["mutant"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["why"])
def test_mutation_fits_the_code(row):
    source = (ROOT / row["file"]).read_text(encoding="utf-8")
    assert source.count(row["old"]) == 1
    mutated = source.replace(row["old"], row["new"])
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(source)), "it changes nothing"
    assert row["tests"] and all((ROOT / test).exists() for test in row["tests"])


def test_mutations_differ():
    assert len({row["why"] for row in ROWS}) == len(ROWS) >= 20
    assert len({(row["file"], row["old"], row["new"]) for row in ROWS}) == len(ROWS)


# The script itself: what it makes of outcomes, and one mutation for real.
TABLE = """
[[mutant]]
why = "days are left out"
file = "imitax/stats/units.py"
old = '(86400, 3600, "d", "h"),'
new = ''
tests = ["tests/stats/test_units.py"]
"""


@pytest.fixture
def script():
    """The module `mutants.py`."""
    spec = importlib.util.spec_from_file_location("mutants", HERE / "mutants.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def table(tmp_path):
    """A file with the one mutation."""
    path = tmp_path / "table.toml"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    "outcomes, code, lines",
    [
        (("passed", "failed"), 0, ("killed ", "1 of 1 mutations killed")),
        (("passed", "timed out"), 0, ("killed ", "1 of 1 mutations killed")),
        (("passed", "passed"), 1, ("SURVIVED ", "0 of 1 mutations killed")),
        (("passed", "no such file"), 1, ("no such file ", "0 of 1 mutations killed")),
        (("failed",), 1, ("The tests of the unchanged code: failed. They must pass first: ",)),
    ],
)
def test_script_reports_outcomes(script, table, monkeypatch, capsys, outcomes, code, lines):
    remaining = iter(outcomes)
    monkeypatch.setattr(script, "run_tests", lambda root, cache, tests: next(remaining))
    assert script.main(["--table", str(table)]) == code
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(lines)
    assert all(line.startswith(start) for line, start in zip(printed, lines, strict=True))


def test_script_runs_tests_on_the_mutated_copy(table):
    before = (ROOT / "imitax/stats/units.py").read_bytes()
    command = [sys.executable, HERE / "mutants.py", "--trust", "--table", table, "days"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.stdout.splitlines()[-1:] == ["1 of 1 mutations killed"], answer.stderr
    assert answer.returncode == 0
    assert (ROOT / "imitax/stats/units.py").read_bytes() == before
