"""Source files as pages, so that links to code work offline: a title for each definition."""

import ast
import re
from pathlib import Path

FOLDER = "source/"
LANGUAGES = {".py": "python", ".toml": "toml", ".bib": "bibtex"}
# The search is for the documentation; a search through code finds too much.
HEAD = "---\nsearch:\n  exclude: true\n---\n"


def is_source(path: Path) -> bool:
    """Whether a link to this file becomes one to a page of its text."""
    return path.suffix in LANGUAGES and path.is_file()


def uri(path: str) -> str:
    """The page of a source file, by its path in the repository."""
    return f"{FOLDER}{path}.md"


def anchor(path: Path, text: str) -> str:
    """The place of what a link's text, such as `name` or `Class.method`, names in the file."""
    name = text.strip("`").split(".")[0]
    return f"#{name}" if name in dict(_definitions(path)) else ""


def page(root: Path, path: str) -> str:
    """The file's text as Markdown."""
    lines = (root / path).read_text(encoding="utf-8").splitlines()
    definitions = _definitions(root / path)
    starts = [0, *(start for _, start in definitions), len(lines)]
    names = [None, *(name for name, _ in definitions)]
    parts = [f"{HEAD}\n# {path}"]
    for name, start, end in zip(names, starts, starts[1:], strict=False):
        while end > start and not lines[end - 1].strip():
            end -= 1
        if name:
            parts.append(f"## {name} {{: #{name} }}")
        if end > start:
            language = LANGUAGES[Path(path).suffix]
            code = "\n".join(lines[start:end])
            parts.append(f'````{language} linenums="{start + 1}"\n{code}\n````')
    return "\n\n".join(parts)


def _definitions(path: Path) -> list[tuple[str, int]]:
    """Name and first line (from 0) of the functions, classes and constants of a Python file."""
    if path.suffix != ".py":
        return []
    text = path.read_text(encoding="utf-8")
    lines, definitions = text.splitlines(), []
    for node in ast.parse(text).body:
        name, start = _name(node), min([node.lineno, *_decorators(node)]) - 1
        if not name or name in dict(definitions):
            continue
        while start and lines[start - 1].startswith(
            "#"
        ):  # a comment above belongs to what it is about
            start -= 1
        definitions.append((name, start))
    return definitions


def _name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
    constant = isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z_0-9]*", target.id)
    return target.id if constant else None


def _decorators(node: ast.stmt) -> list[int]:
    return [decorator.lineno for decorator in getattr(node, "decorator_list", [])]
