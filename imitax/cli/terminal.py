"""What a run looks like on a terminal: a live table on stderr while it trains, tables on stdout after it.

Colours follow NO_COLOR and the terminal, through rich. Nothing here imports JAX.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imitax.stats.units import count, duration, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from imitax.training.config import RunConfig
    from imitax.training.fit import Progress


class Verbosity(IntEnum):
    """How much a command tells besides its result."""

    QUIET = 0  # nothing
    NORMAL = 1  # one row for all seeds; ten lines where stderr is no terminal
    VERBOSE = 2  # a row for each seed; a line for each iteration


class Shown(NamedTuple):
    """A metric in the live table."""

    metric: str
    heading: str
    digits: int


SHOWN = (
    Shown("episode_return", "return", 1),
    Shown("episode_length", "length", 0),
    Shown("discriminator_accuracy", "D accuracy", 2),
    Shown("validation_loss", "validation loss", 3),
    Shown("feature_gap", "feature gap", 4),
)
_LEFT = ("meaning", "actions", "environment", "note")  # columns of words; the others hold figures
_WIDTH = 100  # the live table is no wider than this
_WINDOW = 30  # iterations that the rate is taken over


class Meter:
    """What a run has told so far: its last figures for each seed, its rate, the time that is left."""

    def __init__(self, steps: int | None = None, seed: int = 0, clock: Callable[[], float] = time.monotonic):
        self.steps = steps  # environment steps of an iteration, for each seed
        self.seed = seed  # the first
        self.done, self.total, self.seeds, self.over = 0, 0, 0, False
        self.figures: dict[Shown, np.ndarray] = {}  # [S]
        self._clock, self._start = clock, clock()
        self._recent: deque[tuple[int, float]] = deque(maxlen=_WINDOW)

    def add(self, iteration: int, total: int, metrics: dict[str, np.ndarray]) -> None:
        """One more iteration; a seed without a finished episode in it keeps its last figure."""
        figures = dict(self.figures)
        for shown in SHOWN:
            if shown.metric in metrics:
                new = np.atleast_1d(np.asarray(metrics[shown.metric], np.float64))
                figures[shown] = np.where(np.isfinite(new), new, figures.get(shown, np.nan))
        self.seeds = max((np.size(values) for values in metrics.values()), default=1)
        self._recent.append((iteration + 1, self._clock()))
        # A drawing thread may look at any time: each is replaced whole, the one it asks for first last.
        self.figures, self.total, self.done = figures, total, iteration + 1

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the last iteration, or to now."""
        end = self._recent[-1][1] if self.done and self.done == self.total else self._clock()
        return end - self._start

    @property
    def pace(self) -> float | None:
        """Seconds of one of the last iterations; None before there are two."""
        (first, begin), (last, end) = self._recent[0], self._recent[-1]
        return (end - begin) / (last - first) if last > first and end > begin else None

    @property
    def rate(self) -> float | None:
        """Environment steps per second, all seeds together."""
        return self.steps * self.seeds / self.pace if self.steps and self.pace else None

    @property
    def left(self) -> float | None:
        """Seconds until the last iteration."""
        return self.pace and self.pace * (self.total - self.done)


@contextmanager
def live_bar(
    label: str, steps: int | None = None, verbosity: Verbosity = Verbosity.NORMAL, seed: int = 0
) -> "Iterator[Progress | None]":
    """A live table on stderr with the figures of the last iterations, fed by the `progress` it gives.

    `steps`: environment steps of an iteration, for the rate; `seed`: the first one's name. Where stderr is
    not a terminal, plain lines.
    """
    if verbosity == Verbosity.QUIET:
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    console, meter = Console(stderr=True), Meter(steps, seed)
    each_seed = verbosity == Verbosity.VERBOSE
    if console.is_interactive:

        def draw():
            return _picture(label, meter, each_seed, min(console.width, _WIDTH))

        # Drawn by its own thread, so that an iteration costs nothing. stdout is for the result alone.
        with Live(console=console, get_renderable=draw, redirect_stdout=False) as live:
            try:
                yield meter.add
            finally:
                meter.over, live.transient = True, not meter.done  # nothing is left of a run that was refused
        return

    def tell(iteration: int, total: int, metrics: dict[str, np.ndarray]) -> None:
        meter.add(iteration, total, metrics)
        if each_seed or meter.done % max(1, total // 10) == 0 or meter.done == total:
            _print_line(console, label, meter, each_seed)

    yield tell


def describe_figure(values: np.ndarray, digits: int) -> str:
    """Mean and spread (standard deviation) over the seeds with a value; one seed has no spread."""
    known = values[np.isfinite(values)]
    if not known.size:
        return "–"
    spread = f" ± {known.std():.{digits}f}" if values.size > 1 else ""
    return f"{known.mean():.{digits}f}{spread}"


def _picture(label: str, meter: Meter, each_seed: bool, width: int):
    """How far the run is, and below it its figures."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    done, head = meter.done, Table.grid(padding=(0, 1))
    bar = ProgressBar(meter.total if done else 100, done, width=max(10, width - 46), pulse=not done)
    name = f"[bold]{label:<13}"
    if not done:
        head.add_row(name, bar, f"compiling … {duration(meter.elapsed)}")
        return head
    left = meter.left
    if done < meter.total:
        when = f"{duration(left)} left" if left else ""
    else:
        when = f"[dim]{duration(meter.elapsed)}" if meter.over else "evaluating …"
    head.add_row(name, bar, f"{done}/{meter.total}", when)
    return Group(head, _figures(meter, each_seed)) if meter.figures else head


def _figures(meter: Meter, each_seed: bool) -> "Table":
    from rich.table import Table

    figures, seeds, rate = meter.figures, meter.seeds, meter.rate
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", min_width=12)
    if meter.steps:
        table.add_column("steps/s", justify="right", min_width=7)
    for shown in figures:
        table.add_column(shown.heading, justify="right", min_width=8 if seeds == 1 else 14)
    if each_seed and seeds > 1:
        for index in range(seeds):
            cells = [describe_figure(values[index : index + 1], s.digits) for s, values in figures.items()]
            table.add_row(f"  seed {meter.seed + index}", *[""] * bool(meter.steps), *cells)
    name = f"  seed {meter.seed}" if seeds == 1 else f"  {seeds} seeds"
    cells = [describe_figure(values, s.digits) for s, values in figures.items()]
    table.add_row(name, *[count(rate) if rate else "–"] * bool(meter.steps), *cells)
    return table


def _print_line(console: "Console", label: str, meter: Meter, each_seed: bool) -> None:
    parts = [f"{label}: {meter.done}/{meter.total}"]
    if meter.rate:
        parts.append(f"{count(meter.rate)} steps/s")
    for shown, values in meter.figures.items():
        text = describe_figure(values, shown.digits)
        if each_seed and values.size > 1:
            text += " (" + " ".join(describe_figure(v, shown.digits) for v in values.reshape(-1, 1)) + ")"
        parts.append(f"{shown.heading} {text}")
    parts.append(f"{duration(meter.left)} left" if meter.left else duration(meter.elapsed))
    console.print("  ".join(parts), highlight=False, soft_wrap=True)


def print_settings(config: "RunConfig") -> None:
    """Every setting of a run, on stderr."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for group, values in config.as_dict()["settings"].items():
        table.add_row(f"[bold]{group}", escape("  ".join(f"{key}={value}" for key, value in values.items())))
    Console(stderr=True, highlight=False).print(table)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on stdout; the first column and meanings left, figures right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 or column in _LEFT else "right")
    for row in rows:
        table.add_row(*row)
    _stdout().print(table)


def print_findings(found: dict) -> None:
    """What `doctor.examine` found, on stdout: facts, then findings with what to do."""
    from rich.markup import escape
    from rich.table import Table

    facts = Table.grid(padding=(0, 2))
    for name, text in _facts(found):
        facts.add_row(f"[bold]{name}", escape(text))
    findings = Table.grid(padding=(0, 2))
    for entry in found["findings"]:
        mark, colour = _MARKS[entry["state"]]
        advice = f"\n[bold]→[/bold] {escape(entry['advice'])}" if entry["advice"] else ""
        findings.add_row(f"[{colour}]{mark}", f"[bold]{entry['name']}", escape(entry["found"]) + advice)
    end = "[bold]Training can run here." if found["works"] else "[bold red]Training cannot run here."
    _stdout().print(facts, "", findings, "", end, sep="\n", highlight=False)


_MARKS = {"ok": ("✓", "green"), "note": ("·", "cyan"), "warning": ("!", "yellow"), "broken": ("✗", "red")}


def _facts(found: dict) -> Iterator[tuple[str, str]]:
    machine, cache, renderers, minari = (found[key] for key in ("machine", "cache", "renderers", "minari"))
    yield "versions", ", ".join(f"{name} {version or '–'}" for name, version in found["versions"].items())
    for extra, packages in found["extras"].items():
        have = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        lacks = [name for name, version in packages.items() if version is None]
        text = f"{', '.join(lacks)} missing: pip install 'imitax[{extra}]'" if lacks else have
        yield f"extra {extra}", text
    memory, free = machine["memory"], machine["memory_free"]
    room = "" if memory is None else f", {size(memory)} of memory, {size(free)} free"
    yield "machine", f"{machine['system']}, {machine['cores']:g} cores{room}"
    state = "writable" if cache["writable"] else "not writable"
    yield "cache", f"{cache['folder']}, {size(cache['bytes'])}, {state}"
    drawing = [f"pygame {renderers['pygame'] or '–'}", f"MuJoCo {renderers['mujoco'] or '–'}"]
    yield "renderers", ", ".join([*drawing, *renderers["libraries"]])
    yield "Minari", f"{minari['folder']}, {minari['datasets']} datasets, {size(minari['bytes'])}"


def _stdout() -> "Console":
    from rich.console import Console

    console = Console()
    # A pipe has no width; do not fold what a reader may want whole.
    return console if console.is_terminal else Console(width=160)


def print_reward(irl: dict) -> None:
    """What inverse reinforcement learning found, means over seeds; returns are exact and discounted."""
    rows = [
        [label, f"{float(np.mean(irl[key])):.4g}"]
        for key, label in (
            ("return_learnt", "learnt policy"),
            ("return_expert", "demonstrations"),
            ("return_best", "best policy"),
            ("return_random", "random policy"),
        )
    ]
    title = f"Discounted return from the model, discount {irl['discount']:g}"
    print_table(title, ["policy", "return"], rows)
    gap, alike = (
        np.mean(irl["feature_gap"]),
        np.mean([np.nan if x is None else x for x in irl["reward_correlation"]]),
    )
    print(
        f"Largest gap in feature expectations {gap:.2g}; correlation of learnt and true reward, up to "
        f"shaping and scale, {alike:.2f}."
    )
