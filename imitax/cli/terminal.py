"""A run on a terminal: a live table on stderr while it trains, tables on stdout at the end.

Colours follow NO_COLOR and the terminal, through rich. Nothing here imports JAX.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from imitax.stats.panels import COLUMNS, Column
from imitax.stats.units import count, duration, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from imitax.training.callbacks import Callback, Moment
    from imitax.training.config import RunConfig


class Verbosity(IntEnum):
    """How much a command prints besides its result."""

    QUIET = 0  # nothing
    NORMAL = 1  # one row for all seeds; ten lines if stderr is not a terminal
    VERBOSE = 2  # a row for each seed; a line for each iteration


_TEXT_COLUMNS = ("meaning", "actions", "environment", "note")  # the others hold numbers
_MAX_WIDTH = 100  # of the live table
_WINDOW = 30  # iterations over which the rate is measured


class Meter:
    """The progress of a run: the latest numbers of each seed, its rate, the time that is left."""

    def __init__(
        self, steps: int | None = None, seed: int = 0, clock: Callable[[], float] = time.monotonic
    ):
        self.steps = steps  # environment steps of an iteration, for each seed
        self.seed = seed  # the first
        self.iteration, self.total = 0, 0  # iterations that are complete, and all
        self.seeds, self.over = 0, False
        self.latest: dict[Column, np.ndarray] = {}  # [S]
        self._clock, self._start = clock, clock()
        self._recent: deque[tuple[int, float]] = deque(maxlen=_WINDOW)

    def add(self, moment: "Moment") -> None:
        """One more iteration; a seed without a finished episode in it keeps its last number."""
        metrics, total, iteration = moment.metrics, moment.iterations, moment.iteration
        latest = dict(self.latest)
        for column in COLUMNS:
            if column.metric in metrics:
                new = np.atleast_1d(np.asarray(metrics[column.metric], np.float64))
                latest[column] = np.where(np.isfinite(new), new, latest.get(column, np.nan))
        self.seeds = max((np.size(values) for values in metrics.values()), default=1)
        self._recent.append((iteration + 1, self._clock()))
        # The drawing thread may read at any time: publish whole objects, what it reads first comes
        # last.
        self.latest, self.total, self.iteration = latest, total, iteration + 1

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the last iteration, or to now."""
        end = (
            self._recent[-1][1]
            if self.iteration and self.iteration == self.total
            else self._clock()
        )
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
        return self.pace and self.pace * (self.total - self.iteration)


@contextmanager
def live_bar(
    label: str, steps: int | None = None, verbosity: Verbosity = Verbosity.NORMAL, seed: int = 0
) -> "Iterator[tuple[Callback, ...]]":
    """A live table on stderr with the latest numbers, fed by the callbacks that it yields.

    `steps`: environment steps of an iteration and seed, for the rate; `seed`: the first seed.
    Prints plain lines if stderr is not a terminal.
    """
    if verbosity == Verbosity.QUIET:
        yield ()
        return
    from rich.console import Console
    from rich.live import Live

    console, meter = Console(stderr=True), Meter(steps, seed)
    each_seed = verbosity == Verbosity.VERBOSE
    if console.is_interactive:

        def draw():
            return _picture(label, meter, each_seed, min(console.width, _MAX_WIDTH))

        # Drawn by its own thread, so that an iteration costs nothing. stdout is for the result
        # alone.
        with Live(console=console, get_renderable=draw, redirect_stdout=False) as live:
            try:
                yield (meter.add,)
            finally:
                meter.over = True
                live.transient = not meter.iteration  # a run that was refused leaves no trace
        return

    def print_progress(moment: "Moment") -> None:
        meter.add(moment)
        total = moment.iterations
        if each_seed or meter.iteration % max(1, total // 10) == 0 or meter.iteration == total:
            _print_line(console, label, meter, each_seed)

    yield (print_progress,)


def mean_and_spread(values: np.ndarray, digits: int) -> str:
    """Mean and standard deviation over the seeds that have a value; of one seed, the value
    alone.
    """
    numbers = values[np.isfinite(values)]
    if not numbers.size:
        return "–"
    spread = f" ± {numbers.std():.{digits}f}" if values.size > 1 else ""
    return f"{numbers.mean():.{digits}f}{spread}"


def _picture(label: str, meter: Meter, each_seed: bool, width: int):
    """A progress bar, and the table of numbers below it."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    iteration, head = meter.iteration, Table.grid(padding=(0, 1))
    total = meter.total if iteration else 100
    bar = ProgressBar(total, iteration, width=max(10, width - 46), pulse=not iteration)
    name = f"[bold]{label:<13}"
    if not iteration:
        head.add_row(name, bar, f"compiling … {duration(meter.elapsed)}")
        return head
    left = meter.left
    if iteration < meter.total:
        when = f"{duration(left)} left" if left else ""
    else:
        when = f"[dim]{duration(meter.elapsed)}" if meter.over else "evaluating …"
    head.add_row(name, bar, f"{iteration}/{meter.total}", when)
    return Group(head, _numbers(meter, each_seed)) if meter.latest else head


def _numbers(meter: Meter, each_seed: bool) -> "Table":
    from rich.table import Table

    latest, seeds, rate = meter.latest, meter.seeds, meter.rate
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", min_width=12)
    if meter.steps:
        table.add_column("steps/s", justify="right", min_width=7)
    for column in latest:
        table.add_column(column.heading, justify="right", min_width=8 if seeds == 1 else 14)

    def cells(seeds: slice) -> list[str]:
        return [mean_and_spread(values[seeds], column.digits) for column, values in latest.items()]

    if each_seed and seeds > 1:
        for index in range(seeds):
            row = cells(slice(index, index + 1))
            table.add_row(f"  seed {meter.seed + index}", *[""] * bool(meter.steps), *row)
    name = f"  seed {meter.seed}" if seeds == 1 else f"  {seeds} seeds"
    table.add_row(name, *[count(rate) if rate else "–"] * bool(meter.steps), *cells(slice(None)))
    return table


def _print_line(console: "Console", label: str, meter: Meter, each_seed: bool) -> None:
    parts = [f"{label}: {meter.iteration}/{meter.total}"]
    if meter.rate:
        parts.append(f"{count(meter.rate)} steps/s")
    for column, values in meter.latest.items():
        text = mean_and_spread(values, column.digits)
        if each_seed and values.size > 1:
            text += (
                " ("
                + " ".join(mean_and_spread(v, column.digits) for v in values.reshape(-1, 1))
                + ")"
            )
        parts.append(f"{column.heading} {text}")
    parts.append(f"{duration(meter.left)} left" if meter.left else duration(meter.elapsed))
    console.print("  ".join(parts), highlight=False, soft_wrap=True)


def print_settings(config: "RunConfig") -> None:
    """Every setting of a run, on stderr."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for group, values in config.as_dict()["settings"].items():
        table.add_row(
            f"[bold]{group}", escape("  ".join(f"{key}={value}" for key, value in values.items()))
        )
    Console(stderr=True, highlight=False).print(table)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on stdout; text is aligned to the left, numbers to the right."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for index, column in enumerate(columns):
        table.add_column(
            column, justify="left" if index == 0 or column in _TEXT_COLUMNS else "right"
        )
    for row in rows:
        table.add_row(*row)
    _stdout().print(table)


def print_findings(examined: dict) -> None:
    """The result of `doctor.examine` on stdout: facts, then findings with what to do."""
    from rich.markup import escape
    from rich.table import Table

    facts = Table.grid(padding=(0, 2))
    for name, text in _facts(examined):
        facts.add_row(f"[bold]{name}", escape(text))
    findings = Table.grid(padding=(0, 2))
    for entry in examined["findings"]:
        mark, colour = _MARKS[entry["severity"]]
        advice = f"\n[bold]→[/bold] {escape(entry['advice'])}" if entry["advice"] else ""
        findings.add_row(
            f"[{colour}]{mark}", f"[bold]{entry['title']}", escape(entry["evidence"]) + advice
        )
    end = (
        "[bold]Training can run here."
        if examined["works"]
        else "[bold red]Training cannot run here."
    )
    _stdout().print(facts, "", findings, "", end, sep="\n", highlight=False)


_MARKS = {
    "ok": ("✓", "green"),
    "note": ("·", "cyan"),
    "warning": ("!", "yellow"),
    "problem": ("✗", "red"),
}


def _facts(facts: dict) -> Iterator[tuple[str, str]]:
    """(name, text) of what `doctor.machine` has collected."""
    machine, cache, renderers, minari = (
        facts[key] for key in ("machine", "cache", "renderers", "minari")
    )
    yield (
        "versions",
        ", ".join(f"{name} {version or '–'}" for name, version in facts["versions"].items()),
    )
    for extra, packages in facts["extras"].items():
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
    # A pipe has no width: do not wrap the lines.
    return console if console.is_terminal else Console(width=160)


def print_reward(irl: dict) -> None:
    """The result of inverse reinforcement learning, means over seeds; returns are exact and
    discounted.
    """
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
    gap = np.mean(irl["feature_gap"])
    correlation = np.mean([np.nan if x is None else x for x in irl["reward_correlation"]])
    print(
        f"Largest gap in feature expectations {gap:.2g}; correlation of learnt and true reward, up "
        f"to shaping and scale, {correlation:.2f}."
    )
