"""Notebooks as Markdown: text, code, and what the code printed and drew; formulas as MathML."""

import re
from pathlib import Path

import nbformat
from latex2mathml.converter import convert


def text(path: Path) -> str:
    """The Markdown of a file, which may be a notebook."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return _page(nbformat.read(path, as_version=4), path.name)


def with_formulas(markdown: str) -> str:
    """$…$ and $$…$$ as MathML, which browsers draw without a script."""
    markdown = re.sub(
        r"\$\$(.+?)\$\$", lambda m: _formula(m[1], "block"), markdown, flags=re.DOTALL
    )
    # In a span: a line that begins with <math> would end the paragraph, and a comma would look odd.
    inline = re.compile(r"(?<![\w`$])\$([^$\n]+?)\$([.,;:)]*)")
    return inline.sub(
        lambda m: f'<span class="formula">{_formula(m[1], "inline")}{m[2]}</span>', markdown
    )


def _formula(tex: str, display: str) -> str:
    for word in ("max", "min"):
        tex = tex.replace(rf"\arg\{word}", rf"\mathrm{{arg{word}}}")
    return convert(tex, display=display)


def _page(notebook, name: str) -> str:
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        if printed := "".join(o.text for o in cell.outputs if o.output_type == "stream").strip():
            parts.append(f"```text\n{printed}\n```")
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                data = output.data["image/png"].replace("\n", "")
                parts.append(
                    f'<img alt="Figure drawn by the code above" src="data:image/png;base64,{data}">'
                )
    # The page begins with the title of the notebook, and says where it comes from.
    title, _, rest = parts[0].partition("\n")
    return "\n\n".join(
        [title, f"*This page is the notebook `notebooks/{name}`.*", rest, *parts[1:]]
    )
