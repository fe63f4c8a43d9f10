"""What a check found, as data. Never imports JAX."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One thing that is wrong, or may be."""

    severity: Literal["problem", "warning", "note"]
    title: str
    numbers: str  # a sentence with what was measured
    advice: str  # what to try

    def __str__(self) -> str:
        return f"{self.title}: {self.numbers} Try: {self.advice}"
