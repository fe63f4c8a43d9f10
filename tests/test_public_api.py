"""What `import imitax` offers, as Python sees it and as a type checker does."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import imitax

HERE = Path(__file__).parent
MISUSE = """
import imitax

imitax.trian                             # misspelt
imitax.train(3, imitax.make("Acrobot-v1"))  # a method is a name
imitax.evaluate("runs/gail")             # a policy and an environment are wanted
"""


def pyright(*paths: Path) -> list[tuple[str, int]]:
    """(rule, line from 1) of every error."""
    # Files on the command line take the place of those that pyproject.toml includes.
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    answer = subprocess.run(
        [*command, *map(str, paths)], cwd=HERE.parent, capture_output=True, text=True
    )
    report = json.loads(answer.stdout)
    assert report["summary"]["filesAnalyzed"] == len(paths), answer.stderr
    return [
        (problem.get("rule", problem["message"]), problem["range"]["start"]["line"] + 1)
        for problem in report["generalDiagnostics"]
        if problem["severity"] == "error"
    ]


def test_a_type_checker_knows_a_users_script():
    assert pyright(HERE / "public_api.py") == []


def test_a_type_checker_sees_misuse(tmp_path):
    script = tmp_path / "misuse.py"
    script.write_text(MISUSE)
    assert pyright(script) == [
        ("reportAttributeAccessIssue", 4),
        ("reportArgumentType", 5),
        ("reportCallIssue", 6),
    ]


def declared() -> set[str]:
    """The names that the package imports for type checkers only."""
    tree = ast.parse(Path(imitax.__file__).read_text(encoding="utf-8"))
    block = next(
        node for node in tree.body if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING"
    )
    imported = (node for node in block.body if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name for node in imported for alias in node.names}


def test_the_three_lists_of_public_names_agree():
    assert set(imitax.__all__) == set(imitax._HOME) == declared()


@pytest.mark.parametrize("name", [*imitax.__all__, "__version__"])
def test_public_name_is_there(name):
    assert name in dir(imitax)
    assert getattr(imitax, name)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match=r"^module 'imitax' has no attribute 'trian'$"):
        imitax.trian  # noqa: B018


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (Path(imitax.__file__).parent / "py.typed").is_file()


def test_import_is_quick():
    script = (
        "import sys, imitax; print([m for m in ('jax', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"
