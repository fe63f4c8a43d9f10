"""What a run looks like on a terminal: a live bar on stderr, tables on stdout."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from imitax.experiment.training import Progress

_SHOWN = (
    ("episode_length", "length {:.0f}"),
    ("discriminator_accuracy", "accuracy {:.2f}"),
    ("validation_loss", "loss {:.3f}"),
    ("feature_gap", "gap {:.1e}"),
)


@contextmanager
def live_bar(label: str) -> Iterator[Progress]:
    """A bar with the running episode length and discriminator accuracy, means over seeds.

    Where stderr is not a terminal, a plain line for every tenth of the run instead.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None, figures="compiling …")
        shown: dict[str, float] = {}  # an iteration without a finished episode keeps the last figure

        def progress(iteration: int, total: int, metrics: dict[str, np.ndarray]) -> None:
            for name, _ in _SHOWN:
                values = np.asarray(metrics.get(name, np.nan))
                if np.isfinite(values).any():
                    shown[name] = float(np.nanmean(values))
            figures = "  ".join(form.format(shown[name]) for name, form in _SHOWN if name in shown)
            bar.update(task, completed=iteration + 1, total=total, figures=figures)
            if not console.is_terminal and (iteration + 1) % max(1, total // 10) == 0:
                console.print(f"{label}: {iteration + 1}/{total}  {figures}", highlight=False)

        yield progress


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on stdout; the first column and meanings left, figures right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 or column == "meaning" else "right")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:  # a pipe has no width; do not fold what a reader may want whole
        console = Console(width=160)
    console.print(table)


def evaluation_cells(described: dict, score: float | None) -> list[str]:
    """Mean ± std, interval and normalised score as text."""
    low, high = described["interval"]
    return [
        f"{described['mean']:.1f} ± {described['std']:.1f}",
        f"[{low:.1f}, {high:.1f}]",
        "" if score is None or not np.isfinite(score) else f"{score:.2f}",
    ]


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
