"""The one error type that a user may cause, and the sentence that goes with it."""

import difflib
from collections.abc import Iterable


class ImitaxError(ValueError):
    """Bad input, told in one sentence that names what was found and what was expected."""


def unknown(kind: str, name: str, known: Iterable[str]) -> ImitaxError:
    """An `ImitaxError` for a name that is not in `known`, with the nearest known names."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}."
    return ImitaxError(f"Unknown {kind} '{name}': {hint}")
