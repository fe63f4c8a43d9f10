"""The report of a benchmark, made from its raw lines alone. Never imports JAX."""

import json
from pathlib import Path

from imitax.benchmark import drawings
from imitax.benchmark.grid import AGENTS, all_cells
from imitax.benchmark.raw import read
from imitax.benchmark.summary import Summary, summarise
from imitax.benchmark.tables import all_tables
from imitax.errors import ImitaxError
from imitax.files.write import write_text
from imitax.stats import figures


def write_report(folder: Path, limit: str) -> Summary:
    """folder/LIMIT.md, LIMIT.json and figures/LIMIT-*.png, .svg of everything that folder/LIMIT.jsonl holds.

    Raises:
        ImitaxError: there are no raw results, or a line is damaged.
    """
    path = folder / f"{limit}.jsonl"
    results = read(path)
    if not results:
        raise ImitaxError(f"File '{path}' holds no raw results: run the benchmark first.")
    summary = summarise(list(all_cells().values()), results)
    write_text(folder / f"{limit}.md", all_tables(summary))
    write_text(folder / f"{limit}.json", json.dumps(summary, indent=1) + "\n")
    (folder / "figures").mkdir(exist_ok=True)
    for agent in AGENTS:
        for name, draw in drawings.FIGURES.items():
            if (figure := draw(summary, agent)) is not None:
                figures.save(figure, folder / "figures" / f"{limit}-{agent}-{name}")
    return summary
