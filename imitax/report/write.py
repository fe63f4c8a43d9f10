"""From run folders to an HTML file."""

from pathlib import Path
from typing import Any

from imitax.diagnosis.run import sentences
from imitax.files.write import new_file, write_text
from imitax.report.page import page
from imitax.runs.read import read_runs


def write_report(paths: list[Path], out: Path, still: bool = False) -> dict[str, Any]:
    """Compare the runs in one new file `out` (.html); returns its name and size.

    `still` leaves out the animation, which plays the policies and so needs JAX and a renderer.

    Raises:
        ImitaxError: the file exists or is not .html, or `read_runs` refuses the runs.
    """
    new_file(out, ".html")
    runs = read_runs(paths)
    films = None
    if not still:
        from imitax.report.animation import films_of

        films = films_of(runs)
    write_text(out, page(runs, films, [sentences(run) for run in runs]))
    return {"file": str(out), "bytes": out.stat().st_size}
