"""Loggers: where the metrics of a run go while it trains. The loggers that ship are in
`runs.loggers`.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Protocol, runtime_checkable

import numpy as np

from imitax.training.callbacks import Moment
from imitax.training.config import RunConfig


@runtime_checkable
class Logger(Protocol):
    """Where metrics go. Each function is called from one thread: `start` once, `log` often,
    `close` once.
    """

    def start(self, config: dict[str, Any]) -> None:
        """Begin a run with this configuration (`RunConfig.as_dict`): seeds, settings and the
        rest.
        """

    def log(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """Metrics [S], one for each seed, after `step` environment steps of each; NaN where there
        is none.
        """

    def close(self) -> None:
        """The run is over; also called when it failed."""


class Logging:
    """`with Logging(loggers, config) as callback`: hands every iteration to all loggers.

    They start with the first iteration, so a run that is refused leaves nothing. The step is the
    number of environment steps of each seed; for cloning, of rounds.
    """

    def __init__(self, loggers: Sequence[Logger], config: RunConfig):
        self._loggers, self._config = loggers, config
        self._started: list[Logger] = []
        self._close = ExitStack()
        self._steps = config.iteration_steps or 1
        self._step = 0

    def __enter__(self) -> "Logging":
        return self

    def __call__(self, moment: Moment) -> None:
        """Log an iteration."""
        for logger in self._loggers[len(self._started) :]:
            logger.start(self._config.as_dict())
            self._started.append(logger)
            self._close.callback(logger.close)
        self._step = (moment.iteration + 1) * self._steps
        for logger in self._started:
            logger.log(self._step, moment.metrics)

    def evaluation(self, summary: dict[str, Any]) -> None:
        """The mean true return of each seed on fresh episodes, as in summary.json, at the last
        step.
        """
        kinds = ("deterministic", "sampled")
        returns = {
            f"evaluation/{kind}_return": np.asarray(summary[kind]["seed_means"]) for kind in kinds
        }
        for logger in self._started:
            logger.log(self._step, returns)

    def __exit__(self, *exception) -> None:
        self._close.close()  # every one, also where one fails
