"""Demonstrations from anywhere: a file, a shipped set, or an expert trained for the purpose."""

import os
from pathlib import Path

from imitax import formats
from imitax.data import shipped, shipped_path
from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env
from imitax.errors import ImitaxError, unknown
from imitax.policies.external import Expert
from imitax.policies.policy import TrainedPolicy
from imitax.training.evaluation import record
from imitax.types import EnvSpec

SUFFIX = {"npz": ".npz", "json": ".json", "minari": ""}


def load_demonstrations(source: str | os.PathLike, spec: EnvSpec | None = None) -> Demonstrations:
    """Demonstrations from a file or folder (npz, JSON, Minari), or a shipped set such as
    "Acrobot-v1/7".

    `spec` tells an episode that reached the time limit from one that terminated, where a file does
    not.
    """
    if not Path(source).exists() and str(source) in shipped():
        source = shipped_path(str(source))
    return formats.load(source, spec)


def new_files(
    env: Env, trajectories: tuple[int, ...], folder: Path, format: str = "npz"
) -> dict[int, Path]:
    """Number of trajectories -> file to make; `ImitaxError` if there is none to make, or one
    exists.
    """
    if not trajectories or min(trajectories) < 1:
        found = " ".join(map(str, trajectories)) or "empty"
        raise ImitaxError(f"Option trajectories is {found}: expected numbers of at least 1.")
    if format not in SUFFIX:
        raise unknown("format", format, SUFFIX)
    paths = {count: folder / f"{env.spec.id}-{count}{SUFFIX[format]}" for count in trajectories}
    for path in paths.values():
        if path.exists():
            raise ImitaxError(f"File '{path}' exists: choose another folder, nothing was written.")
    return paths


def make_demonstrations(
    policy: TrainedPolicy | Expert,
    env: Env,
    trajectories: tuple[int, ...],
    folder: Path,
    format: str = "npz",
    stochastic: bool = True,
    seed: int = 0,
) -> dict[Path, Demonstrations]:
    """One file for each number of trajectories, the smaller sets the first trajectories of the
    larger.
    """
    paths = new_files(env, trajectories, folder, format)
    played = record(policy, env, max(trajectories), stochastic, seed)
    folder.mkdir(parents=True, exist_ok=True)
    result = {}
    for count, path in paths.items():
        result[path] = played.choose(count)
        formats.save(result[path], path, format, env.spec)
    return result
