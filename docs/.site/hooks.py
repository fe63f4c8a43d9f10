"""What the site adds to docs/: pages made of other files, tables of settings, BibTeX, code links.

Pages are written for the repository, with links relative to their own file, and read there as well.
Here a link to a notebook, to the changelog or to a source file becomes one to the page that is made
of it.
"""

import json
import posixpath
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import notebook
import sources
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
# Page of the site -> the file of the repository that it is made of. All others are those of docs/.
MADE_OF = {
    "gail_acrobot.md": "notebooks/gail_acrobot.ipynb",
    "bring_your_own.md": "notebooks/bring_your_own.ipynb",
    "speed.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
}
PAGE_OF = {path: page for page, path in MADE_OF.items()}
LINK = re.compile(r"\[([^\[\]]*)\]\((?!\w+:)([^)\s#]+)(#[^)\s]*)?\)")
FENCED = re.compile(r"(^ *(`{3,})[^\n]*\n.*?^ *\2$)", re.DOTALL | re.MULTILINE)


def on_files(files, config):
    """Add the pages made of files outside docs/, and one for each linked source file."""
    for page, path in MADE_OF.items():
        files.append(File.generated(config, page, content=notebook.text(ROOT / path)))
    linked = set()
    for file in list(files.documentation_pages()):
        for _, target, _ in LINK.findall(file.content_string):
            path = _in_repository(target, file.src_uri)
            if sources.is_source(ROOT / path):
                linked.add(path)
    for path in sorted(linked):
        files.append(File.generated(config, sources.uri(path), content=sources.page(ROOT, path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in settings and BibTeX, draw formulas, correct links; code blocks stay as they are."""
    uri = page.file.src_uri
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]  # it has a table of them
    if uri.startswith(sources.FOLDER):
        return markdown
    parts = FENCED.split(markdown)
    for i in range(0, len(parts), 3):  # text, block, its fence, text, …
        parts[i] = LINK.sub(lambda link: _link(link, uri), _filled_in(parts[i]))
        if MADE_OF.get(uri, "").endswith(".ipynb"):
            parts[i] = notebook.with_formulas(parts[i])
        if i + 2 < len(parts):
            parts[i + 2] = ""
    return "".join(parts)


def _in_repository(target: str, uri: str) -> str:
    """The repository's path of what the page `uri` links to."""
    page = MADE_OF.get(uri, f"docs/{uri}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _link(link: re.Match, uri: str) -> str:
    text, target, anchor = link[1], link[2], link[3] or ""
    path = _in_repository(target, uri)
    if path in PAGE_OF:
        page = PAGE_OF[path]
    elif path.startswith("docs/"):
        page = path.removeprefix("docs/")
    elif sources.is_source(ROOT / path):
        page, anchor = sources.uri(path), anchor or sources.anchor(ROOT / path, text)
    else:
        return link[0]  # the strict build says that there is no such page
    return f"[{text}]({posixpath.relpath(page, posixpath.dirname(uri) or '.')}{anchor})"


def _filled_in(markdown: str) -> str:
    markdown = re.sub(r"<!-- settings: (\w+) -->", lambda m: _settings(m[1]), markdown)
    return re.sub(r"<!-- cite: ([\w ]+) -->", lambda m: _bibtex(m[1].split()), markdown)


def _settings(name: str) -> str:
    """The settings of a method, of an agent or of the loop as a table."""
    method = next(entry for title, entry in _methods().items() if title.split()[-1] == name)
    rows = [
        f"| `{key}` | {_value_text(setting['default'])} | {setting['meaning']} |"
        for key, setting in method["settings"].items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


@cache
def _methods() -> dict:
    """What `imitax methods --json` says."""
    command = [Path(sys.executable).with_name("imitax"), "methods", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _value_text(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value}"


def _bibtex(names: list[str]) -> str:
    """What `imitax cite` prints for these methods, each entry once."""
    from imitax.data.citations import cite

    entries = dict.fromkeys(entry for name in names for entry in cite(name).split("\n\n"))
    return "```bibtex\n" + "\n\n".join(entries) + "\n```"
