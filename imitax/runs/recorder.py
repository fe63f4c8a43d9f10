"""What is written into a run folder while it trains, and how an interrupted run is resumed."""

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imitax.errors import ImitaxError, Interrupted
from imitax.files.write import finite
from imitax.policies.tensors import from_tensors, to_tensors
from imitax.runs import checkpoint
from imitax.runs.samples import SampleLog
from imitax.training.callbacks import Callback, History, LoopState, Moment
from imitax.training.config import RunConfig

_PHASES = ("pretrain", "warm_up", "history")  # each has metrics of its own
STEPS_BETWEEN = 250_000  # environment steps, of all seeds, between two checkpoints by default


def default_interval(config: RunConfig) -> int:
    """Iterations between two checkpoints: some seconds of work, whatever the settings."""
    loop = config.settings.get("loop")
    return 1 if loop is None else max(1, round(STEPS_BETWEEN / (loop.env_steps * config.seeds)))


def check_version(path: Path) -> None:
    """`ImitaxError` if the newest checkpoint of a run folder is one of version 0.1.0, which kept
    other states.
    """
    newest = checkpoint.newest(path / "checkpoints", lambda text: None)
    if newest is not None and "state.episode_return" not in newest.tensors:
        raise ImitaxError(
            f"Run '{path}' was checkpointed by imitax 0.1.0, whose checkpoints this version cannot "
            "resume: resume it with that version, or train it anew."
        )


class Recorder:
    """Writes metrics.jsonl, samples of observations and checkpoints; a callback of training.

    A checkpoint is written every `every` iterations (0: never), at the end, and when the run is
    asked to stop. `callbacks` are called before that, with the same moments.
    """

    def __init__(
        self, path: Path, config: RunConfig, every: int, callbacks: Sequence[Callback] = ()
    ):
        self.path = path
        self.samples = SampleLog()
        self._config, self._every, self._callbacks = config, every, callbacks
        self._seconds: list[float] = []  # of training, without the time that it lay interrupted
        self._begun = time.perf_counter()
        self._stop: str | None = None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keeps metrics.jsonl open."""
        with (self.path / "metrics.jsonl").open("w") as self._file:
            yield

    def stop(self, signal: str) -> None:
        """Ask the run to stop after its iteration, because of `signal`."""
        self._stop = signal

    def __call__(self, moment: Moment) -> None:
        """Record an iteration; `Interrupted` if the run was asked to stop, once its state is
        saved.
        """
        if moment.rollout is not None:
            self.samples(moment.iteration, moment.iterations, moment.rollout)
        self._seconds.append(round(time.perf_counter() - self._begun, 3))
        self._write(moment.iteration, self._seconds[-1], moment.metrics)
        for callback in self._callbacks:
            callback(moment)
        if moment.state is not None:
            self._keep(moment.iterations, moment.state, moment.history)

    def restore(self, like: LoopState) -> tuple[LoopState, History] | None:
        """State and metrics of the newest whole checkpoint; their lines are written to
        metrics.jsonl anew.
        """
        folder = self.path / "checkpoints"
        newest = checkpoint.newest(folder, lambda text: print(f"imitax: {text}", file=sys.stderr))
        if newest is None:
            return None
        tensors = newest.tensors
        state = from_tensors(like, tensors, folder, "state.")
        self._seconds = tensors["seconds"].tolist()
        self._begun = time.perf_counter() - (self._seconds[-1] if self._seconds else 0.0)
        self.samples.restore(_named(tensors, "visits."))
        history = [m for phase in _PHASES for m in _unstacked(_named(tensors, f"{phase}."))]
        for i, metrics in enumerate(history):
            self._write(i, self._seconds[i], metrics)
        return state, history

    def _keep(self, total: int, state: LoopState, history: Sequence[dict[str, np.ndarray]]) -> None:
        """Write a checkpoint if one is due; `Interrupted` if the run was asked to stop."""
        done = len(history)
        if not (self._stop or done == total or (self._every and done % self._every == 0)):
            return
        tensors = to_tensors(state, "state.")
        pretrain, before = self._config.settings["loop"].pretrain, self._config.waiting_iterations
        parts = history[:pretrain], history[pretrain:before], history[before:]
        for phase, part in zip(_PHASES, parts, strict=True):
            tensors |= _stacked(f"{phase}.", part)
        tensors |= {f"visits.{i}": sample for i, sample in self.samples.samples().items()}
        tensors["seconds"] = np.array(self._seconds)
        earlier = range(self._every, done, self._every) if self._every else ()
        best = _score(history) >= max((_score(history[:i]) for i in earlier), default=-math.inf)
        checkpoint.save(self.path / "checkpoints", done, tensors, best)
        if self._stop and done < total:
            raise Interrupted(
                f"Stopped by {self._stop} after iteration {done} of {total}; resume with: "
                f"imitax resume {self.path}"
            )

    def _write(self, iteration: int, seconds: float, metrics: dict[str, np.ndarray]) -> None:
        for index in range(self._config.seeds):
            line: dict[str, Any] = {"iteration": iteration, "seed": self._config.seed + index}
            line["seconds"] = seconds
            line |= {name: finite(float(values[index])) for name, values in metrics.items()}
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def _named(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def _stacked(prefix: str, history: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Metrics of equal iterations as arrays [I, S]."""
    return (
        {prefix + name: np.stack([m[name] for m in history]) for name in history[0]}
        if history
        else {}
    )


def _unstacked(columns: dict[str, np.ndarray]) -> History:
    """The inverse of `_stacked`."""
    count = len(next(iter(columns.values()), ()))
    return [{name: values[i] for name, values in columns.items()} for i in range(count)]


def _score(history: Sequence[dict[str, np.ndarray]]) -> float:
    """Mean true return of training episodes over the seeds, the last one known; what "best"
    means.
    """
    known = (float(np.mean(m["episode_return"])) for m in reversed(history))
    return next((value for value in known if math.isfinite(value)), -math.inf)
