"""Demonstrations that ship with the package."""

from importlib import resources
from pathlib import Path

from imitax.errors import unknown


def shipped() -> dict[str, Path]:
    """Name -> file of each shipped set, such as "Acrobot-v1/7": 7 trajectories of our expert."""
    sets = {}
    for file in resources.files("imitax.data").iterdir():
        if file.name.endswith(".npz"):
            env, _, count = file.name.removesuffix(".npz").rpartition("-")
            sets[f"{env}/{count}"] = Path(str(file))
    return dict(
        sorted(sets.items(), key=lambda item: (item[0].rpartition("/")[0], len(item[0]), item[0]))
    )


def shipped_path(name: str) -> Path:
    """The file of the set `name`; `ImitaxError` with the nearest names if there is none."""
    files = shipped()
    if name not in files:
        raise unknown("shipped demonstrations", name, files)
    return files[name]
