"""Numbers as people read them: 1.2 M steps, 3 min 20 s, 4.5 MB."""

import math


def count(number: float) -> str:
    """A number of things with two or three digits: 950, 5.1 k, 512 k, 1.2 M."""
    return _scaled(number, ("", " k", " M", " G", " T"))


def size(number: float) -> str:
    """A number of bytes: 950 B, 4.5 MB, 24 GB; a kB is 1000 bytes."""
    return _scaled(number, (" B", " kB", " MB", " GB", " TB"))


def duration(seconds: float) -> str:
    """A time in its two largest units: 0.4 s, 42 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return "?"
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    for large, small, big, little in (
        (86400, 3600, "d", "h"),
        (3600, 60, "h", "min"),
        (60, 1, "min", "s"),
    ):
        if rounded >= large:
            # rounded first: no 59 min 60 s
            first, rest = divmod(round(rounded / small), large // small)
            return f"{first} {big} {rest} {little}" if rest else f"{first} {big}"
    return f"{rounded} s"


def evaluation_cells(returns: dict, score: float | None) -> list[str]:
    """Mean ± standard deviation, 95 % interval and normalised score, from what `describe_returns`
    gives.
    """
    low, high = returns["interval"]
    return [
        f"{returns['mean']:.1f} ± {returns['std']:.1f}",
        f"[{low:.1f}, {high:.1f}]",
        "" if score is None or not math.isfinite(score) else f"{score:z.2f}",
    ]


def _scaled(number: float, units: tuple[str, ...]) -> str:
    if not math.isfinite(number):
        return "?"
    if abs(number) < 999.5:
        return f"{number:.0f}{units[0]}"
    for unit in units[1:]:
        number /= 1000.0
        if abs(number) < 999.5 or unit == units[-1]:
            break
    return f"{number:.1f}{unit}" if abs(number) < 9.95 else f"{number:.0f}{unit}"
