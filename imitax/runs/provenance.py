"""Where a result comes from: versions, machine, and which demonstrations it used."""

import platform
import time
from importlib import metadata
from typing import Any

from imitax.demonstrations import Demonstrations
from imitax.training.config import RunConfig

_PACKAGES = ("imitax", "jax", "jaxlib", "equinox", "optax", "gymnasium", "gymnax", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python, the package and what its results depend on."""
    result = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            result[name] = "not installed"
    return result


def describe_run(
    config: RunConfig, demonstrations: Demonstrations | None, source: str | None
) -> dict[str, Any]:
    """What config.json holds: enough to repeat the run."""
    data = None
    if demonstrations is not None:
        data = {
            "source": source,
            "fingerprint": demonstrations.fingerprint(),
            "trajectories": len(demonstrations),
        }
    return {
        "run": config.as_dict(),
        "demonstrations": data,
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
