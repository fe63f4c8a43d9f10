"""Loggers: the figures of a run in TensorBoard or Weights & Biases, while it trains.

A logger is three functions, so one of your own is a small class. The only place that imports tensorboardX
and wandb, each when a logger of its kind is made.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from imitax.errors import ImitaxError, missing, unknown
from imitax.training.config import RunConfig

NAMES = ("tensorboard", "wandb")
_FLUSH_SECONDS = 5.0  # what TensorBoard shows is at most that old


@runtime_checkable
class Logger(Protocol):
    """Where figures go. Each function is called from one thread: `start` once, `log` often, `close` once."""

    def start(self, config: dict[str, Any]) -> None:
        """Begin a run with this configuration (`RunConfig.as_dict`): seeds, settings and the rest."""

    def log(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """Figures [S], one for each seed, after `step` environment steps of each; NaN where there is none."""

    def close(self) -> None:
        """The run is over; also called when it failed."""


class Logging:
    """`with Logging(loggers, config, progress) as log`: a `progress` that tells loggers as well.

    They start with the first iteration, so a run that is refused leaves nothing. The step is the
    number of environment steps of each seed; for cloning, of epochs.
    """

    def __init__(self, loggers: Sequence[Logger], config: RunConfig, progress=None):
        self._loggers, self._config, self._progress = loggers, config, progress
        self._started: list[Logger] = []
        self._close = ExitStack()
        self._steps = config.iteration_steps or 1
        self._step = 0

    def __enter__(self) -> "Logging":
        return self

    def __call__(self, iteration: int, total: int, metrics: dict[str, np.ndarray]) -> None:
        """A `Progress`."""
        for logger in self._loggers[len(self._started) :]:
            logger.start(self._config.as_dict())
            self._started.append(logger)
            self._close.callback(logger.close)
        self._step = (iteration + 1) * self._steps
        for logger in self._started:
            logger.log(self._step, metrics)
        if self._progress is not None:
            self._progress(iteration, total, metrics)

    def evaluation(self, summary: dict[str, Any]) -> None:
        """The mean true return of each seed on fresh episodes, as in summary.json, at the last step."""
        kinds = ("deterministic", "sampled")
        returns = {f"evaluation/{kind}_return": np.asarray(summary[kind]["seed_means"]) for kind in kinds}
        for logger in self._started:
            logger.log(self._step, returns)

    def __exit__(self, *exception) -> None:
        self._close.close()  # every one, also where one fails


def series(metrics: dict[str, np.ndarray], first_seed: int) -> Iterator[tuple[str, str, float]]:
    """(name, "seed3" or "mean", finite number) of every figure [S]; the mean only of several seeds."""
    for name, values in metrics.items():
        values = np.atleast_1d(np.asarray(values, np.float64))
        known = np.isfinite(values)
        for index in np.flatnonzero(known):
            yield name, f"seed{first_seed + index}", float(values[index])
        if len(values) > 1 and known.any():
            yield name, "mean", float(values[known].mean())


class TensorBoard:
    """Event files below `folder`: one TensorBoard run for each seed and one for their mean.

    `resumed`: the run goes on with what it had written there; figures from the first new step on replace
    the old ones. Errors: the folder exists and is not empty, and the run is a new one.
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
            raise ImitaxError(f"TensorBoard folder '{self._folder}' exists and is not empty: choose another.")
        self._first_seed, self._flushed = config["seed"], time.monotonic()
        if not used:
            self._write(f"seed{self._first_seed}", 0, text("settings", settings_table(config)))

    def log(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """One event for each seed, with all its figures, and one for the mean."""
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

    # tensorboardX's `SummaryWriter` has a thread and a queue for each file, and waits for ever on a thread
    # that a full disk has ended; its `RecordWriter` writes here and now.
    def _write(self, label: str, step: int, summary) -> None:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        if label not in self._writers:
            folder = self._folder / label
            going_on = folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
            self._writers[label] = RecordWriter(str(path))
            first = Event(wall_time=time.time(), file_version="brain.Event:2")
            self._writers[label].write(first.SerializeToString())
            if going_on:  # TensorBoard forgets what came after a checkpoint, which is written once more
                start = SessionLog(status=SessionLog.START)
                again = Event(wall_time=time.time(), step=step, session_log=start)
                self._writers[label].write(again.SerializeToString())
        event = Event(wall_time=time.time(), step=step, summary=summary)
        self._writers[label].write(event.SerializeToString())


class WandB:
    """A Weights & Biases run; with WANDB_MODE=offline it stays on this machine.

    The mean over seeds has the metric's own name, each seed's figure the name seed3/METRIC. `folder`: where
    its files go, by default ./wandb. Errors: no key, or no connection.
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
        """All figures of a step at once."""
        figures = {
            name if label == "mean" or not self._several else f"{label}/{name}": value
            for name, label, value in series(metrics, self._first_seed)
        }
        self._run.log(figures, step=step)

    def close(self) -> None:
        """Hands over what was logged; wandb's own process sends or writes it."""
        self._run.finish()


@contextmanager
def _blaming_wandb() -> Iterator[None]:
    """No key, no connection, a wrong setting: each is an exception of another type."""
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise ImitaxError(
            f"Weights & Biases cannot be used: {said}; `wandb login` gives it a key, and with "
            "WANDB_MODE=offline it needs none."
        ) from error


def make_loggers(names: Sequence[str], folder: Path, resumed: bool = False) -> list[Logger]:
    """Loggers by name (of `NAMES`) for the run folder `folder`, new or `resumed`, each once.

    Raises:
        ImitaxError: the extra that one needs is not installed, or the name is unknown.
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
