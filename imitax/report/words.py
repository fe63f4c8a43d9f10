"""Numbers and names for readers, safe to put into HTML. Never imports JAX."""

from html import escape as text
from typing import Any

from imitax.report.results import Estimate, Results
from imitax.stats.figures import COLOURS
from imitax.stats.units import duration


def number(x: float) -> str:
    """About three digits, with a true minus sign."""
    size = abs(x)
    return _minus(f"{x:,.0f}" if size >= 1000 else f"{x:.1f}" if size >= 10 else f"{x:.2f}")


def interval(low: float, high: float, digits: int | None = None) -> str:
    """[low, high] with `digits` after the point, or formatted as by `number`."""
    ends = [number(x) if digits is None else _minus(f"{x:.{digits}f}") for x in (low, high)]
    return f"[{', '.join(ends)}]"


def score(x: float) -> str:
    """Two digits after the point."""
    return _minus(f"{x:.2f}")


def capital(sentence: str) -> str:
    """The first letter in upper case, the rest unchanged."""
    return sentence[:1].upper() + sentence[1:]


def colour(run: int | None) -> str:
    """The colour of a run as CSS, see `palette`; the references are grey."""
    return "var(--soft)" if run is None else f"var(--run{run % len(COLOURS)})"


def palette() -> str:
    """CSS variables for the colours of runs: unchanged on a light page, paler on a dark one."""
    lines = [
        f"--run{i}: light-dark({c}, color-mix(in oklab, {c} {'80%' if c != '#000000' else '5%'}, "
        "white));"
        for i, c in enumerate(COLOURS)
    ]
    return f":root {{ {' '.join(lines)} }}"


def lead(results: Results) -> str:
    """The headline in one or two sentences, as HTML."""
    row = results.rows[results.lead]
    estimate = row.deterministic
    if estimate.score is None:
        chance = number(results.random)
        return (
            f"{text(capital(row.label))} returns <b>{number(estimate.middle)}</b> "
            f"{interval(estimate.low, estimate.high)}; a random policy returns {chance}."
        )
    sentence = (
        f"{text(capital(row.label))} scores <b>{score(estimate.score)}</b> "
        f"{interval(estimate.score_low, estimate.score_high, 2)} on a scale from 0, a random "
        "policy, to 1, the expert that was demonstrated."
    )
    others = [r for r in results.rows if r.run not in (None, results.lead)]
    if not 1 <= len(others) <= 4:
        return sentence
    verbs = [" scores", *[""] * (len(others) - 1)]
    rows = zip(others, verbs, strict=True)
    comparison = ", ".join(f"{r.label}{verb} {score(r.deterministic.score)}" for r, verb in rows)
    return f"{sentence} {text(capital(comparison))}."


def facts(results: Results, summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(label, value, detail) of the key numbers of the run that the report is about."""
    estimate = results.rows[results.lead].deterministic
    seeds = len(summary["sampled"]["seed_means"])
    episodes = summary["sampled"]["episodes"] // seeds
    rows = [("Return", number(estimate.middle), interval(estimate.low, estimate.high))]
    if results.expert is not None:
        rows.append(("Expert", number(results.expert), "demonstrated"))
    rows.append(("Random policy", number(results.random), "uniform actions"))
    rows.append(("Seeds", str(seeds), f"{episodes} episodes each"))
    steps = summary["env_steps_per_seed"]
    samples = f"{steps:,} environment steps per seed" if steps else "no environment steps"
    rows.append(("Training", duration(summary["seconds"]), samples))
    return rows


def estimate_text(estimate: Estimate | None) -> str:
    """Mean and interval as HTML; nothing without an estimate."""
    if estimate is None:
        return ""
    return f"{number(estimate.middle)} <small>{interval(estimate.low, estimate.high)}</small>"


def _minus(digits: str) -> str:
    if not any(digit in digits for digit in "123456789"):
        return digits.lstrip("-")  # no negative zero
    return digits.replace("-", "−")
