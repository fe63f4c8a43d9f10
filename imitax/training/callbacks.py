"""What happens after every iteration besides training: progress, logging, checkpoints, samples,
early stops.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from imitax.training.rollout import EnvState
from imitax.types import HostOrDevice, Learner, Transition

History = list[dict[str, np.ndarray]]  # metrics [S] of every iteration


class LoopState(NamedTuple):
    """What the next iteration depends on, besides settings, demonstrations and the number of the
    iteration.

    Every leaf has a leading seed axis. Random numbers follow from seed and iteration, so no key is
    in here.
    """

    learner: Learner
    envs: EnvState | None  # None where environments cannot be resumed
    episode_return: HostOrDevice  # [S, B]; true reward so far in the episodes that are running


class Moment(NamedTuple):
    """An iteration that has just ended.

    Arrays of `state` are valid during the call: the next iteration is computed in their memory, so
    copy what you keep.
    """

    iteration: int  # from 0
    iterations: int  # of the run
    metrics: dict[str, np.ndarray]  # name -> [S]
    rollout: Transition | None = None  # [S, T, B]; None outside the loop
    state: LoopState | None = None  # None outside the loop
    history: Sequence[dict[str, np.ndarray]] = ()  # metrics of all iterations so far


Callback = Callable[[Moment], None]  # may raise to stop the run


@runtime_checkable
class Bar(Protocol):
    """Shows the progress of runs."""

    def __call__(
        self, label: str, steps: int | None = None
    ) -> AbstractContextManager[Sequence[Callback]]:
        """A context with the callbacks of the run `label`, whose iterations take `steps`
        environment steps.
        """
        ...


# from the shapes; None: begin anew
Restore = Callable[[LoopState], tuple[LoopState, History] | None]


def select_seeds(moment: Moment, seeds: slice) -> Moment:
    """The moment as a run of these seeds alone sees it."""

    def rows(tree):
        return jax.tree.map(lambda x: x[seeds], tree)

    return Moment(
        moment.iteration,
        moment.iterations,
        rows(moment.metrics),
        rows(moment.rollout),
        rows(moment.state),
        _HistoryOfSeeds(moment.history, seeds),
    )


class _HistoryOfSeeds(Sequence):
    """Metrics of some seeds, sliced when they are asked for: a history grows."""

    def __init__(self, history: Sequence[dict[str, np.ndarray]], seeds: slice):
        self._history, self._seeds = history, seeds

    def __len__(self) -> int:
        return len(self._history)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return {name: values[self._seeds] for name, values in self._history[index].items()}
