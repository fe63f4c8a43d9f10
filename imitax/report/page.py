"""The page: sections, data and scripts in one file. Never imports JAX."""

import json
from importlib import resources
from string import Template
from typing import Any

from imitax.report import sections
from imitax.report.curves import curves_of, panel_data, panels_of
from imitax.report.occupancy import occupancy_of
from imitax.report.results import labels_of, results_of
from imitax.report.words import capital, colour, palette, text
from imitax.runs.read import RunData

SCRIPTS = ("report.js", "panels.js", "clouds.js", "films.js")
FOOTER = """Made by imitax from the run folders alone. This page makes no network requests; it embeds
D3 7.9.2 and Observable Plot 0.6.17 (ISC licence)."""


def page(runs: list[RunData], films: dict[str, Any] | None, diagnoses: list[list[str]]) -> str:
    """A complete HTML document; `films` from `animation.films_of`, `diagnoses`: the sentences of
    each run.
    """
    labels = labels_of(runs)
    results = results_of(runs, labels)
    panels = panels_of(runs)
    occupancy = occupancy_of(runs, results.lead)
    titles = [capital(label) for label in labels]
    data = {
        "runs": [
            {"label": title, "colour": colour(index), "seeds": run.seeds, **curves}
            for index, (run, title, curves) in enumerate(
                zip(runs, titles, curves_of(runs), strict=True)
            )
        ],
        "lead": results.lead,
        "panels": [panel_data(panel, results) for panel in panels],
        "occupancy": occupancy,
        "films": films if films and "size" in films else None,
    }
    body = (
        sections.header(runs, results),
        sections.table_of_results(runs, results),
        sections.findings(labels, diagnoses),
        sections.films(films),
        '<div class="shown"><div class="bar controls" id="bar" hidden></div>',
        "<noscript><p>The figures are drawn by this page's script, which is switched off. "
        "The tables are complete without it.</p></noscript>",
        sections.curves(panels),
        "</div>",
        sections.occupancy(occupancy is not None),
        sections.seeds(runs, labels, results),
        sections.settings(runs, labels),
    )
    return Template(_asset("template.html")).substitute(
        title=text(f"{titles[results.lead]} on {runs[0].run['env']} · imitax"),
        eyebrow=sections.eyebrow(runs),
        style=f"{palette()}\n{_asset('report.css')}",
        body="\n".join(part for part in body if part),
        footer=FOOTER,
        data=embedded(data),
        libraries=_libraries(),
        script="\n".join(_asset(name) for name in SCRIPTS),
    )


def embedded(data: Any) -> str:
    """JSON that cannot end its script element, whatever its texts contain."""
    plain = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _libraries() -> str:
    parts = [_asset(f"vendor/{name}") for name in ("d3.min.js", "plot.umd.min.js")]
    return f"/*\n{_asset('vendor/LICENSES.txt')}*/\n" + "\n".join(parts)


def _asset(name: str) -> str:
    return resources.files("imitax.report").joinpath("assets", name).read_text(encoding="utf-8")
