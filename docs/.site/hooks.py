"""What the site adds to the pages: notebooks, the speed page, tables of settings, formulas as MathML."""

import base64
import re
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ("gail_acrobot", "bring_your_own")


def on_files(files, config):
    """Pages that are made of files outside docs/."""
    for name in NOTEBOOKS:
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        files.append(File.generated(config, f"{name}.md", content=_page(notebook, name)))
    speed = (ROOT / "benchmarks" / "README.md").read_text()
    files.append(File.generated(config, "speed.md", content=speed))
    return files


def on_page_markdown(markdown, page, config, files):
    """`<!-- settings: reward gail -->` becomes a table; links to generated pages are set right."""
    markdown = re.sub(r"<!-- settings: (\w+) (\w+) -->", lambda m: _settings(*m.groups()), markdown)
    markdown = re.sub(r"\]\(\.\./notebooks/(\w+)\.ipynb\)", r"](\1.md)", markdown)
    markdown = markdown.replace("](../benchmarks/README.md)", "](speed.md)")
    if page.file.src_uri.removesuffix(".md") in NOTEBOOKS:
        markdown = re.sub(r"\]\(\.\./docs/", "](", markdown)
        markdown = re.sub(r"\$\$(.+?)\$\$", lambda m: _formula(m[1], "block"), markdown, flags=re.DOTALL)
        markdown = re.sub(r"(?<![\w`$])\$([^$\n]+?)\$", lambda m: _formula(m[1], "inline"), markdown)
    return markdown


def _formula(tex, display):
    """MathML, which browsers draw without a script."""
    for word in ("max", "min"):
        tex = tex.replace(rf"\arg\{word}", rf"\mathrm{{arg{word}}}")
    return convert(tex, display=display)


def _settings(group, name):
    from imitax.experiment.settings import describe_settings
    from imitax.methods.registry import AGENTS, METHODS

    config = (METHODS | AGENTS)[name].config
    rows = [
        f"| `{group}.{key}` | {_shown(entry['default'])} | {entry['meaning']} |"
        for key, entry in describe_settings(config).items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows]) if rows else "No settings."


def _shown(value):
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value}"


def _page(notebook, name):
    """A notebook as Markdown: text, code, and what the code printed and drew."""
    parts = [f"*This page is the notebook `notebooks/{name}.ipynb`.*\n"]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            if output.output_type == "stream":
                parts.append(f"```text\n{output.text.strip()}\n```")
            elif "image/png" in output.get("data", {}):
                data = base64.b64encode(base64.b64decode(output.data["image/png"])).decode()
                parts.append(f'<img alt="Figure drawn by the code above" src="data:image/png;base64,{data}">')
    text = "\n\n".join(parts)
    # The page has one title, that of the notebook.
    title = re.search(r"^# .*$", text, re.MULTILINE)
    return f"{title[0]}\n\n{text.replace(title[0], '', 1)}" if title else text
