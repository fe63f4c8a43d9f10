"""Loggers: the metrics of a run in TensorBoard or Weights & Biases, while it trains.

A logger is three functions, so one of your own is a small class. The only place that imports
tensorboardX and wandb, each when a logger of its kind is made.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imitax.errors import ImitaxError, missing, one_line, unknown
from imitax.training.logging import Logger

NAMES = ("tensorboard", "wandb")
_FLUSH_SECONDS = 5.0  # the delay of what TensorBoard shows, at most


def series(metrics: dict[str, np.ndarray], first_seed: int) -> Iterator[tuple[str, str, float]]:
    """(name, "seed3" or "mean", finite number) of every metric [S]; the mean only of several
    seeds.
    """
    for name, values in metrics.items():
        values = np.atleast_1d(np.asarray(values, np.float64))
        finite = np.isfinite(values)
        for index in np.flatnonzero(finite):
            yield name, f"seed{first_seed + index}", float(values[index])
        if len(values) > 1 and finite.any():
            yield name, "mean", float(values[finite].mean())


class TensorBoard:
    """Event files below `folder`: one TensorBoard run for each seed and one for their mean.

    `resumed`: the run continues what it had written there; numbers from the first new step on
    replace the old ones. Errors: the folder exists and is not empty, and the run is a new one.
    """

    def __init__(self, folder: str | os.PathLike, resumed: bool = False):
        try:
            import tensorboardX  # noqa: F401
        except ImportError as error:
            raise missing("Logging to TensorBoard", "tensorboard") from error
        self._folder, self._resumed = Path(folder), resumed
        self._writers: dict[str, Any] = {}

    def start(self, config: dict[str, Any]) -> None:
        """The settings become a text of the first seed."""
        from tensorboardX.summary import text

        used = self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir()))
        if used and not (self._resumed and self._folder.is_dir()):
            raise ImitaxError(
                f"TensorBoard folder '{self._folder}' exists and is not empty: choose another."
            )
        self._first_seed, self._flushed = config["seed"], time.monotonic()
        if not used:
            self._write(f"seed{self._first_seed}", 0, text("settings", settings_table(config)))

    def log(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """One event for each seed, with all its metrics, and one for the mean."""
        from tensorboardX.proto.summary_pb2 import Summary

        events: dict[str, list] = {}
        for name, label, value in series(metrics, self._first_seed):
            events.setdefault(label, []).append(Summary.Value(tag=name, simple_value=value))
        for label, values in events.items():
            self._write(label, step, Summary(value=values))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._flushed = time.monotonic()
            for writer in self._writers.values():
                writer.flush()

    def close(self) -> None:
        """Everything is on the disk afterwards."""
        for writer in self._writers.values():
            writer.flush()
            writer.close()
        self._writers = {}

    # tensorboardX's `SummaryWriter` has a thread and a queue for each file, and hangs if a full
    # disk has ended the thread; its `RecordWriter` writes at once.
    def _write(self, label: str, step: int, summary) -> None:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        if label not in self._writers:
            folder = self._folder / label
            continued = folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
            self._writers[label] = RecordWriter(str(path))
            first = Event(wall_time=time.time(), file_version="brain.Event:2")
            self._writers[label].write(first.SerializeToString())
            # TensorBoard drops what came after the checkpoint, since it is written again
            if continued:
                log = SessionLog(status=SessionLog.START)
                start = Event(wall_time=time.time(), step=step, session_log=log)
                self._writers[label].write(start.SerializeToString())
        event = Event(wall_time=time.time(), step=step, summary=summary)
        self._writers[label].write(event.SerializeToString())


class WandB:
    """A Weights & Biases run; with WANDB_MODE=offline it stays on this machine.

    The mean over seeds is called like the metric, the number of a seed seed3/METRIC. `folder`:
    where its files go, by default ./wandb. Errors: no key, or no connection.
    """

    def __init__(
        self,
        project: str | None = None,
        name: str | None = None,
        folder: str | os.PathLike | None = None,
    ):
        try:
            import wandb
        except ImportError as error:
            raise missing("Logging to Weights & Biases", "wandb") from error
        self._options = {
            "project": project or os.environ.get("WANDB_PROJECT", "imitax"),
            "name": name or os.environ.get("WANDB_NAME"),
            "dir": None if folder is None else str(folder),
        }
        if os.environ.get("WANDB_MODE", "online") == "online":
            with _blaming_wandb():
                wandb.login()  # here rather than in `start`, which may be minutes later

    def start(self, config: dict[str, Any]) -> None:
        """The configuration becomes that of the run."""
        import wandb

        self._first_seed, self._several = config["seed"], config["seeds"] > 1
        with _blaming_wandb():
            self._run = wandb.init(config=config, **self._options)

    def log(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """All metrics of a step at once."""
        numbers = {
            name if label == "mean" or not self._several else f"{label}/{name}": value
            for name, label, value in series(metrics, self._first_seed)
        }
        self._run.log(numbers, step=step)

    def close(self) -> None:
        """Ends the run; wandb's own process sends or writes what was logged."""
        self._run.finish()


@contextmanager
def _blaming_wandb() -> Iterator[None]:
    """One `ImitaxError` for no key, no connection or a wrong setting, which raise different
    types.
    """
    try:
        yield
    except Exception as error:
        raise ImitaxError(
            f"Weights & Biases cannot be used: {one_line(error)}; `wandb login` stores a key, and "
            "with WANDB_MODE=offline it needs none."
        ) from error


def make_loggers(names: Sequence[str], folder: Path, resumed: bool = False) -> list[Logger]:
    """Loggers by name (of `NAMES`) for the run folder `folder`, new or `resumed`, each once.

    Raises:
        ImitaxError: the extra that a logger needs is not installed, or a name is unknown.
    """
    makers = {
        "tensorboard": lambda: TensorBoard(folder / "tensorboard", resumed),
        "wandb": lambda: WandB(name=folder.name, folder=folder),
    }
    for name in names:
        if name not in makers:
            raise unknown("logger", name, NAMES)
    return [makers[name]() for name in dict.fromkeys(names)]


def settings_table(config: dict[str, Any]) -> str:
    """A configuration as a Markdown table: one row for each value, groups as group.name."""
    rows = {key: value for key, value in config.items() if key != "settings"}
    for group, values in config["settings"].items():
        rows |= {f"{group}.{name}": value for name, value in values.items()}
    lines = [f"| {key} | {json.dumps(value, ensure_ascii=False)} |" for key, value in rows.items()]
    return "\n".join(["| setting | value |", "|---|---|", *lines])
