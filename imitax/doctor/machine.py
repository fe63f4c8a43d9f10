"""Collects facts about the machine as plain data, without importing the packages that they are
about.
"""

import ctypes.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from imitax.core.compiling import cache_folder

_PACKAGES = (
    "jax",
    "jaxlib",
    "equinox",
    "optax",
    "gymnax",
    "gymnasium",
    "minari",
    "numpy",
    "rich",
    "tyro",
)
_VARIABLES = (
    *(
        "JAX_PLATFORMS",
        "JAX_ENABLE_X64",
        "JAX_DISABLE_JIT",
        "JAX_DEBUG_NANS",
        "JAX_COMPILATION_CACHE_DIR",
    ),
    *("XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "IMITAX_CACHE", "MUJOCO_GL", "MINARI_DATASETS_PATH"),
)


def facts() -> dict[str, Any]:
    """Versions, hardware, cache, renderers, datasets and environment variables."""
    return {
        "versions": {"imitax": version("imitax"), "python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        "extras": extras(),
        "requirements": unmet_requirements(),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": cores(),
            **memory(),
            "shared_memory": _space(Path("/dev/shm"))["total"],
            "gpu": gpu(),
        },
        "cache": cache(),
        "renderers": renderers(),
        "minari": minari(),
        "torch": torch_with_cuda(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def version(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def extras() -> dict[str, dict[str, str | None]]:
    """Extra -> its packages and their versions, for every extra of imitax but that of its own
    tests.
    """
    packages: dict[str, dict[str, str | None]] = {}
    for requirement in _requirements("imitax"):
        for extra in re.findall(r"extra == [\"']([^\"']+)", str(requirement.marker or "")):
            if extra != "test":
                # Of "minari[hf]" what matters is what the extra of the other package requires.
                names = _required_by_extras(requirement) or [requirement.name]
                packages.setdefault(extra, {}).update({name: version(name) for name in names})
    return packages


def unmet_requirements() -> list[dict[str, str | None]]:
    """What imitax and its direct dependencies require of other packages and do not find."""
    names = {"imitax"} | {r.name for r in _applying("imitax")}
    unmet = []
    for name in sorted(names):
        for requirement in _applying(name):
            installed = version(requirement.name)
            specifier = requirement.specifier
            if installed is None or not specifier.contains(installed, prereleases=True):
                by = f"{name} {version(name)}"
                entry = {"package": requirement.name, "wanted": str(specifier), "found": installed}
                unmet.append({"by": by} | entry)
    return unmet


def _requirements(package: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(package) or ()]
    except metadata.PackageNotFoundError:
        return []


def _applying(package: str) -> Iterator[Requirement]:
    for requirement in _requirements(package):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _required_by_extras(requirement: Requirement) -> list[str]:
    """Packages that the extras of a requirement add."""
    return [
        added.name
        for added in _requirements(requirement.name)
        for extra in requirement.extras
        if added.marker is not None
        and added.marker.evaluate({"extra": extra})
        and not added.marker.evaluate({"extra": ""})
    ]


def cores(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> float:
    """Processor cores that this process may use: its affinity, and the quota of its container."""
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = cgroup.read_text().split()
        return allowed if quota == "max" else min(allowed, round(int(quota) / int(period), 1))
    except (OSError, ValueError):
        return allowed


def memory(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> dict[str, int | None]:
    """Bytes in total and free, within the limit of a container; None if the system does not
    say.
    """
    try:
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        total, free = (1024 * int(lines[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
    except (OSError, ValueError, KeyError):
        return {"memory": None, "memory_free": None}
    try:
        limit, used = (
            int((cgroup / name).read_text()) for name in ("memory.max", "memory.current")
        )
        total, free = min(total, limit), min(free, max(0, limit - used))
    except (OSError, ValueError):  # no container, or one without a limit
        pass
    return {"memory": total, "memory_free": free}


def gpu() -> str | None:
    """The kind of accelerator that the system has, whether or not JAX can use it."""
    if Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi"):
        return "NVIDIA"
    return "AMD" if Path("/dev/kfd").exists() else None


def cache() -> dict[str, Any]:
    """The compilation cache: folder, size, whether it is writable, free space on its disk."""
    folder = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR", cache_folder() / "jax"))
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return {
        "folder": str(folder),
        "bytes": bytes_below(folder),
        "writable": existing.is_dir() and os.access(existing, os.W_OK | os.X_OK),
        "free": _space(existing)["free"],
    }


def renderers() -> dict[str, Any]:
    """What is needed to draw: pygame, MuJoCo and the graphics libraries that it may use, a
    display.
    """
    return {
        "pygame": version("pygame-ce") or version("pygame"),
        "mujoco": version("mujoco"),
        "libraries": [name for name in ("EGL", "OSMesa", "GL") if ctypes.util.find_library(name)],
        "display": sys.platform != "linux"
        or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))),
    }


def minari() -> dict[str, Any]:
    """Minari's folder and its contents (`formats.minari_list`, which lists them too, needs
    JAX).
    """
    folder = Path(os.environ.get("MINARI_DATASETS_PATH", Path.home() / ".minari" / "datasets"))
    datasets = sum(1 for _ in folder.rglob("data/metadata.json")) if folder.is_dir() else 0
    return {"folder": str(folder), "datasets": datasets, "bytes": bytes_below(folder)}


def torch_with_cuda() -> dict[str, Any] | None:
    """torch and the number of CUDA packages, if both are installed."""
    torch = version("torch")
    names = {name.lower() for d in metadata.distributions() if (name := d.metadata["Name"])}
    packages = sum(name.startswith("nvidia-") for name in names)
    return (
        {"version": torch, "packages": packages} if torch and (packages or "+cu" in torch) else None
    )


def bytes_below(folder: Path) -> int:
    """Size of all files below a folder, 0 if it does not exist; files that vanish meanwhile do not
    count.
    """
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                pass
    return total


def _space(folder: Path) -> dict[str, int | None]:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return {"total": None, "free": None}
    return {"total": usage.total, "free": usage.free}
