"""What is written into a run folder while it trains, and how an interrupted run is taken up again."""

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imitax.errors import Interrupted
from imitax.files.write import finite
from imitax.policies.tensors import from_tensors, to_tensors
from imitax.runs import checkpoint
from imitax.runs.samples import VisitLog
from imitax.training.config import RunConfig
from imitax.training.fit import History, LoopState, Progress, iterations_before

_PHASES = ("pretrain", "warm_up", "history")  # each has metrics of its own
STEPS_BETWEEN = 250_000  # environment steps, of all seeds, between two checkpoints by default


def default_interval(config: RunConfig) -> int:
    """Iterations between two checkpoints: some seconds of work, whatever the settings."""
    loop = config.settings.get("loop")
    return 1 if loop is None else max(1, round(STEPS_BETWEEN / (loop.steps * config.seeds)))


class Recorder:
    """Writes metrics.jsonl, keeps visits, and is the loop's keeper: checkpoints, also when asked to stop."""

    def __init__(self, path: Path, config: RunConfig, every: int, progress: Progress | None):
        self.visits = VisitLog()
        self._path, self._config, self._every, self._progress = path, config, every, progress
        self._seconds: list[float] = []  # of training, without the time that it lay interrupted
        self._begun = time.perf_counter()
        self._stop: str | None = None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keeps metrics.jsonl open, and turns Ctrl-C and SIGTERM into a stop after the iteration."""
        with (self._path / "metrics.jsonl").open("w") as self._file, self._signals():
            yield

    def note(self, iteration: int, total: int, metrics: dict[str, np.ndarray]) -> None:
        """Write the lines of an iteration; the loop's progress callback."""
        self._seconds.append(round(time.perf_counter() - self._begun, 3))
        self._write(iteration, self._seconds[-1], metrics)
        if self._progress is not None:
            self._progress(iteration, total, metrics)

    def restore(self, like: LoopState) -> tuple[LoopState, History] | None:
        """State and metrics of the newest whole checkpoint; their lines are written to metrics.jsonl anew."""
        folder = self._path / "checkpoints"
        found = checkpoint.newest(folder, lambda text: print(f"imitax: {text}", file=sys.stderr))
        if found is None:
            return None
        tensors = found.tensors
        state = from_tensors(like, tensors, folder, "state.")
        self._seconds = tensors["seconds"].tolist()
        self._begun = time.perf_counter() - (self._seconds[-1] if self._seconds else 0.0)
        self.visits.restore(_named(tensors, "visits."))
        history = [m for phase in _PHASES for m in _unstacked(_named(tensors, f"{phase}."))]
        for i, metrics in enumerate(history):
            self._write(i, self._seconds[i], metrics)
        return state, history

    def keep(self, total: int, state: LoopState, history: History) -> None:
        """Write a checkpoint if one is due; `Interrupted` if the run was asked to stop."""
        done = len(history)
        if not (self._stop or done == total or (self._every and done % self._every == 0)):
            return
        tensors = to_tensors(state, "state.")
        pretrain, before = self._config.settings["loop"].pretrain, iterations_before(self._config)
        parts = history[:pretrain], history[pretrain:before], history[before:]
        for phase, part in zip(_PHASES, parts, strict=True):
            tensors |= _stacked(f"{phase}.", part)
        tensors |= {f"visits.{i}": kept for i, kept in self.visits.kept().items()}
        tensors["seconds"] = np.array(self._seconds)
        earlier = range(self._every, done, self._every) if self._every else ()
        best = _score(history) >= max((_score(history[:i]) for i in earlier), default=-math.inf)
        checkpoint.save(self._path / "checkpoints", done, tensors, best)
        if self._stop and done < total:
            raise Interrupted(
                f"Stopped by {self._stop} after iteration {done} of {total}; go on with: "
                f"imitax resume {self._path}"
            )

    def _write(self, iteration: int, seconds: float, metrics: dict[str, np.ndarray]) -> None:
        for index in range(self._config.seeds):
            line: dict[str, Any] = {"iteration": iteration, "seed": self._config.seed + index}
            line["seconds"] = seconds
            line |= {name: finite(float(values[index])) for name, values in metrics.items()}
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number, frame):
            del frame
            self._stop = signal.Signals(number).name
            signal.signal(number, before[number])  # a second one is not patient

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _named(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def _stacked(prefix: str, history: History) -> dict[str, np.ndarray]:
    """Metrics of equal iterations as arrays [I, S]."""
    return {prefix + name: np.stack([m[name] for m in history]) for name in history[0]} if history else {}


def _unstacked(columns: dict[str, np.ndarray]) -> History:
    """The inverse of `_stacked`."""
    count = len(next(iter(columns.values()), ()))
    return [{name: values[i] for name, values in columns.items()} for i in range(count)]


def _score(history: History) -> float:
    """Mean true return of training episodes over the seeds, the last one known; what "best" means."""
    known = (float(np.mean(m["episode_return"])) for m in reversed(history))
    return next((value for value in known if math.isfinite(value)), -math.inf)
