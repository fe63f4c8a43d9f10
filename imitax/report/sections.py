"""The sections of the page as HTML. Every text from a run is escaped. Never imports JAX."""

import time
from collections.abc import Iterable

from imitax.report.results import Estimate, Results, Row
from imitax.report.words import (
    capital,
    colour,
    estimate_text,
    facts,
    interval,
    lead,
    number,
    score,
    text,
)
from imitax.runs.command import repeat_command
from imitax.runs.read import RunData
from imitax.stats.estimates import normalised
from imitax.stats.panels import Panel

TITLES = {
    "learning": ("Learning", "Training episodes with sampled actions."),
    "discriminator": (
        "Discriminator",
        "How well the learnt reward can distinguish expert and policy.",
    ),
    "reward": ("Reward of the agent", "Not the true reward, but the one that the method computes."),
    "policy": ("Policy", "How the policy itself changes."),
    "cloning": ("Cloning", "Supervised learning on the demonstrated pairs; no environment steps."),
}


def header(runs: list[RunData], results: Results) -> str:
    """Title, headline, key numbers."""
    label = results.rows[results.lead].label.split(" · ")[0]
    boxes = "".join(
        f"<div><dt>{name}</dt><dd>{value} <small>{detail}</small></dd></div>"
        for name, value, detail in facts(results, runs[results.lead].summary)
    )
    return (
        f"<h1>{text(capital(label))} on {text(runs[0].run['env'])}</h1>\n"
        f'<p class="lead">{lead(results)}</p>\n<dl class="facts">{boxes}</dl>'
    )


def table_of_results(runs: list[RunData], results: Results) -> str:
    """All policies with their place between chance and expert."""
    estimates = [
        e for row in results.rows for e in (row.deterministic, row.sampled) if e is not None
    ]
    values = [x for e in estimates for x in (e.low, e.high, e.middle)]
    low, high = min(values), max(values)
    margin = 0.02 * (high - low) or 1.0

    def at(x: float) -> float:
        return round(100 * (x - low + margin) / (high - low + 2 * margin), 2)

    ends = (results.random, "random"), (results.expert, "expert")
    marks = [(x, name) for x, name in ends if x is not None]
    lines = "".join(f'<i style="left:{at(x)}%"></i>' for x, _ in marks)
    names = "".join(f'<b style="left:{at(x)}%">{name}</b>' for x, name in marks)
    seeds, episodes = (
        len(runs[results.lead].seeds),
        runs[results.lead].summary["sampled"]["episodes"],
    )
    each = f"{episodes // seeds} fresh episodes"
    note = (
        f"Interquartile mean over {seeds} seeds of {each} each, with its 95 % bootstrap interval."
        if seeds > 1
        else f"Mean over {each} of one seed, with its 95 % bootstrap interval: it says how certain the mean "
        "of this policy is, and nothing about other seeds."
    )
    rows = "\n".join(_row(row, lines, at) for row in results.rows)
    return f"""<section id="result"><h2>Result</h2>
<p class="note">{note} Filled: the most likely action. Hollow: sampled actions.{_scale(results)}</p>
<table class="results"><thead><tr><th>Policy</th><th class="place" aria-hidden="true"><div>{names}</div></th>
<th class="number">Return, most likely action</th><th class="number">Return, sampled</th>
<th class="number">Score</th></tr></thead><tbody>
{rows}
</tbody></table></section>"""


def _scale(results: Results) -> str:
    if results.expert is None:
        return ""
    chance, expert = number(results.random), number(results.expert)
    return f" Score, of the most likely action: 0 is the random policy ({chance}), 1 the expert ({expert})."


def _row(row: Row, lines: str, at) -> str:
    marks = _mark(row.deterministic, "upper", "", at) + _mark(row.sampled, "lower", " hollow", at)
    best = row.deterministic or row.sampled
    points = "" if best.score is None else score(best.score)
    kind, sampled = ("", "sampled") if row.run is not None else (' class="reference"', "return")
    return (
        f'<tr{kind} style="--colour:{colour(row.run)}">'
        f'<th scope="row">{text(capital(row.label))}<small>{text(row.note)}</small></th>'
        f'<td class="place" aria-hidden="true"><div>{lines}{marks}</div></td>'
        f"{_cell(row.deterministic, 'most likely action')}{_cell(row.sampled, sampled)}"
        f'<td class="number score">{points}</td></tr>'
    )


def _cell(estimate: Estimate | None, kind: str) -> str:
    """A cell of the table; a narrow page, which has no room for its head, shows `kind` instead."""
    name = "" if estimate is None else f' data-kind="{kind}"'
    return f'<td class="number"{name}>{estimate_text(estimate)}</td>'


def _mark(estimate: Estimate | None, where: str, kind: str, at) -> str:
    if estimate is None:
        return ""
    left, width = at(estimate.low), round(at(estimate.high) - at(estimate.low), 2)
    limits = interval(estimate.low, estimate.high)
    return (
        f'<span class="range {where}" style="left:{left}%;width:{width}%"></span>'
        f'<span class="dot {where}{kind}" style="left:{at(estimate.middle)}%" '
        f'title="{number(estimate.middle)} {limits}"></span>'
    )


def findings(labels: list[str], diagnoses: list[list[str]]) -> str:
    """The sentences of each run's diagnosis; nothing if there are none."""
    items = [
        f"<li>{'' if len(labels) == 1 else f'<b>{text(capital(label))}:</b> '}{text(sentence)}</li>"
        for label, sentences in zip(labels, diagnoses, strict=True)
        for sentence in sentences
    ]
    if not items:
        return ""
    return f'<section id="diagnosis"><h2>Diagnosis</h2><ul class="findings">{"".join(items)}</ul></section>'


def films(data: dict | None) -> str:
    """Expert and policy side by side, drawn by the page's script."""
    if data is None:
        return ""
    notes = "".join(f'<p class="note">{text(note)}</p>' for note in data["notes"])
    body = ""
    if "size" in data:
        present = {"expert": data["expert"], "policy": any(data["runs"])}
        figures = "".join(
            f'<figure><canvas data-film="{kind}" role="img"></canvas><figcaption></figcaption></figure>'
            for kind, film in present.items()
            if film
        )
        body = (
            f'<div class="controls" id="film-choice"></div><div class="films">{figures}</div>'
            '<div class="player"><button type="button" id="play">Play</button>'
            '<input type="range" id="moment" min="0" value="0" aria-label="Step of the episode">'
            '<output id="clock"></output></div><canvas class="strip" aria-hidden="true"></canvas>'
        )
    return f'<section id="films"><h2>Expert and policy, moving</h2>{body}{notes}</section>'


def curves(panels: list[Panel]) -> str:
    """Empty figures, by section, for the page's script to fill."""
    parts = []
    for key, (title, note) in TITLES.items():
        figures = [
            f'<figure data-panel="{i}"><h3>{panel.title}</h3>'
            '<ul class="legend"></ul><div class="drawing"></div>'
            f'<figcaption>{panel.note}</figcaption><details class="data"><summary>Numbers</summary></details>'
            "</figure>"
            for i, panel in enumerate(panels)
            if panel.section == key
        ]
        if figures:
            parts.append(
                f'<section id="{key}"><h2>{title}</h2><p class="note">{note}</p>'
                f'<div class="pair">{"".join(figures)}</div></section>'
            )
    return "\n".join(parts)


def occupancy(present: bool) -> str:
    """Two empty clouds of points and their controls."""
    if not present:
        return ""
    clouds = "".join(
        f'<figure data-cloud="{kind}"><h3></h3><div class="drawing"></div></figure>'
        for kind in ("expert", "policy")
    )
    return f"""<section id="occupancy"><h2>Where expert and policy go</h2>
<p class="note">Observations of the demonstrations, and of the policy at moments of its training, with sampled
actions. Grey behind the policy: the expert. Good: the two clouds lie on one another at the end.</p>
<div class="controls" id="cloud-choice"></div>
<div class="player"><input type="range" id="training" min="0" value="0" aria-label="Moment of training">
<output id="trained"></output></div>
<div class="pair">{clouds}</div>
<p class="note" id="distance" aria-live="polite"></p>
<details class="data" id="distances"><summary>Numbers</summary></details></section>"""


def seeds(runs: list[RunData], labels: list[str], results: Results) -> str:
    """One row for each seed of each run."""
    rows = []
    for index, (run, label) in enumerate(zip(runs, labels, strict=True)):
        means = (run.summary[kind]["seed_means"] for kind in ("deterministic", "sampled"))
        for seed, likely, sampled in zip(run.seeds, *means, strict=True):
            scored = results.expert not in (None, results.random)
            points = (
                score(float(normalised(likely, results.random, results.expert))) if scored else ""
            )
            rows.append(
                f'<tr style="--colour:{colour(index)}"><th scope="row"><span class="key"></span>'
                f"{text(capital(label))}</th>"
                f'<td class="number">{seed}</td><td class="number">{number(likely)}</td>'
                f'<td class="number">{number(sampled)}</td><td class="number">{points}</td></tr>'
            )
    return f"""<section id="seeds"><h2>Seeds</h2><div class="scroll"><table><thead><tr><th>Run</th>
<th class="number">Seed</th><th class="number">Return, most likely action</th>
<th class="number">Return, sampled</th><th class="number">Score</th></tr></thead><tbody>
{"".join(rows)}</tbody></table></div></section>"""


def settings(runs: list[RunData], labels: list[str]) -> str:
    """Configuration and versions side by side, and the commands that repeat the runs."""
    columns = [dict(_flat(run)) for run in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = []
    for name in names:
        values = [column.get(name, "") for column in columns]
        differs = ' class="differs"' if len(set(values) - {""}) > 1 else ""
        cells = "".join(f"<td>{text(value)}</td>" for value in values)
        rows.append(f'<tr{differs}><th scope="row">{text(name)}</th>{cells}</tr>')
    heads = "".join(f"<th>{text(capital(label))}</th>" for label in labels)
    commands = "".join(
        f'<div class="command"><h3>{text(capital(label))}</h3>'
        f'<button type="button" class="copy" hidden>Copy</button>'
        f'<pre tabindex="0">{text(repeat_command(run))}</pre></div>'
        for run, label in zip(runs, labels, strict=True)
    )
    bold = " Values that differ between the runs are bold." if len(runs) > 1 else ""
    return f"""<section id="repeat"><h2>Repeating the run</h2>
<p class="note">The same command, versions and machine give the same bits.</p>{commands}</section>
<section id="settings" class="settings"><h2>Settings and versions</h2>
<p class="note">From each run's config.json.{bold}</p><details><summary>Show all {len(names)}</summary>
<div class="scroll"><table><thead><tr><th>Setting</th>{heads}</tr></thead>
<tbody>{"".join(rows)}</tbody></table></div></details></section>"""


def _flat(run: RunData) -> Iterable[tuple[str, str]]:
    """(name, value) of everything in config.json; those of groups as group.name."""
    yield "folder", str(run.path)
    rest = [
        (key, run.config.get(key)) for key in ("demonstrations", "versions", "machine", "started")
    ]
    own = [(key, value) for key, value in run.run.items() if key != "settings"]
    for key, value in [*own, *run.run["settings"].items(), *rest]:
        for name, one in value.items() if isinstance(value, dict) else [("", value)]:
            if one is not None:
                words = ", ".join(map(str, one)) if isinstance(one, list) else str(one)
                yield f"{key}.{name}".rstrip("."), words


def eyebrow(runs: list[RunData]) -> str:
    """Version, environment, and the day on which the latest run began."""
    started = max(str(run.config.get("started", "")) for run in runs)
    try:
        date = time.strptime(started[:10], "%Y-%m-%d")
        day = f"{date.tm_mday} {time.strftime('%B %Y', date)}"
    except ValueError:
        day = ""
    version = (runs[0].config.get("versions") or {}).get("imitax", "")
    return " · ".join(
        text(part) for part in (f"imitax {version}".strip(), runs[0].run["env"], day) if part
    )
