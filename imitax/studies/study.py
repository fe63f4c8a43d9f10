"""What a study is: cases that each leave arrays, and the figures and table made from them
alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]
Results = dict[str, Arrays]  # case -> its arrays


class Study(NamedTuple):
    """A set of cases, and what is made of their results."""

    title: str
    cases: tuple[str, ...]
    iterations: int  # per run, by default
    steps: int  # environment steps per iteration
    run: Callable[[str, int, int, Any], Arrays]  # (case, seeds, iterations, callbacks)
    figures: tuple[tuple[str, tuple[str, ...], Callable], ...]  # (name, cases, drawing)
    summarise: Callable[[Results], dict]  # plain data about the cases that have run
    table: Callable[[dict], tuple[list[str], list[list[str]]]]  # columns and rows of the summary
