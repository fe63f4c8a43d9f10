"""What a check found, as data: of demonstrations, of a run, of this machine."""

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

Severity = Literal[
    "problem", "warning", "note", "ok"
]  # the worst first; "ok": checked, and in order


class Finding(NamedTuple):
    """One thing that is wrong, or may be."""

    severity: Severity
    title: str
    evidence: str  # what was measured or found
    advice: str = ""  # what to try

    def __str__(self) -> str:
        return f"{self.title}: {self.evidence} Try: {self.advice}"


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """By severity; those of one severity keep their order."""
    return sorted(findings, key=lambda finding: get_args(Severity).index(finding.severity))
