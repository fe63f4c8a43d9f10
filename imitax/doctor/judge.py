"""`imitax doctor`: whether training can run here, and what is known to make it slow or fail.

`examine` collects facts, runs the probe in a process of its own, and judges both; every judgement is a
function of the facts alone.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from imitax.doctor import machine
from imitax.stats.units import duration, size

_PROBE_SECONDS = 180  # more than an import and four small programs need on a slow and busy machine
_FEW_CORES = 4
_LITTLE_MEMORY = 2e9
_SMALL_SHARED_MEMORY = 256e6
_LITTLE_DISK = 1e9
_LARGE_CACHE = 5e9


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: str  # ok, note (worth knowing), warning (may fail or be slow), broken (training cannot run)
    name: str
    found: str
    advice: str = ""


def examine() -> dict[str, Any]:
    """Facts, findings, and whether training `works`; takes some seconds."""
    facts = machine.facts()
    facts["probe"] = probe()
    findings = [*probe_findings(facts["probe"]), *fact_findings(facts)]
    facts["findings"] = [finding._asdict() for finding in findings]
    return {"works": all(finding.state != "broken" for finding in findings)} | facts


def probe(seconds: float = _PROBE_SECONDS, module: str = "imitax.doctor.probe") -> list[dict[str, Any]]:
    """The stages that began, each with what was `found` or its `error`.

    In a process of its own: a program that crashes or hangs there does neither here.
    """
    command = [sys.executable, "-m", module]
    why = f"did not finish within {duration(seconds)}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        told, code = done.stdout, done.returncode
        said = done.stderr.strip().splitlines()
        why = f"the process ended with code {code}" + (f": {said[-1]}" if said else "")
    except subprocess.TimeoutExpired as error:
        told = (error.stdout or b"").decode()
    stages: dict[str, dict[str, Any]] = {}
    for line in told.splitlines():
        if line.startswith('{"stage"'):
            entry = json.loads(line)
            stages[entry["stage"]] = entry
    if not stages:
        stages["start"] = {"stage": "start"}
    last = list(stages.values())[-1]
    if "found" not in last and "error" not in last:
        last["error"] = why
    return list(stages.values())


def probe_findings(stages: list[dict[str, Any]]) -> Iterator[Finding]:
    """A stage that failed is what breaks training."""
    for entry in stages:
        if "error" in entry:
            yield Finding(
                "broken", entry["stage"], entry["error"], _PROBE_ADVICE.get(entry["stage"], _REINSTALL)
            )
        else:
            found = entry["found"]
            text = found if isinstance(found, str) else ", ".join(found["devices"])
            yield Finding("ok", entry["stage"], f"{text} ({duration(entry['seconds'])})")


_REINSTALL = "install again in a fresh environment"
_PROBE_ADVICE = {
    "JAX": "JAX_PLATFORMS=cpu leaves out a GPU that may be at fault; jax and jaxlib must be of one version",
}


def fact_findings(facts: dict[str, Any]) -> Iterator[Finding]:
    """Judgements of single facts, in the order in which they are shown."""
    for judge in (
        _requirements,
        _cores,
        _memory,
        _shared_memory,
        _gpu,
        _torch,
        _variables,
        _cache,
        _rendering,
    ):
        yield from judge(facts)


def _requirements(facts):
    unmet = facts["requirements"]
    for r in unmet:
        state = "broken" if r["found"] is None else "warning"
        found = f"{r['by']} wants {r['package']} {r['wanted']}, found {r['found'] or 'none'}"
        yield Finding(state, "versions", found, f"pip install '{r['package']}{r['wanted']}'")
    if not unmet:
        gymnax = facts["versions"]["gymnax"]
        found = f"every package has what it wants, also gymnax {gymnax}, which caps jax and gymnasium"
        yield Finding("ok", "versions", found)


def _cores(facts):
    cores = facts["machine"]["cores"]
    if cores <= _FEW_CORES:
        found = f"{cores:g}: vmapped QR, Cholesky, solve and eigh of jaxlib may wait for ever, at 0 % CPU"
        advice = "imitax has none of them in its programs; keep them out of vmapped functions of yours"
        yield Finding("note", "cores", found, advice)


def _memory(facts):
    free = facts["machine"]["memory_free"]
    if free is not None and free < _LITTLE_MEMORY:
        yield Finding("warning", "memory", f"{size(free)} free", "use fewer --seeds, or --set loop.envs=16")


def _shared_memory(facts):
    total = facts["machine"]["shared_memory"]
    if total is not None and total < _SMALL_SHARED_MEMORY:
        found = f"{size(total)}, too little for several worker processes"
        yield Finding("warning", "/dev/shm", found, "start a container with --shm-size=1g")


def _gpu(facts):
    kind = facts["machine"]["gpu"]
    platforms = [s["found"]["platform"] for s in facts["probe"] if s["stage"] == "JAX" and "found" in s]
    if kind is None or platforms != ["cpu"]:
        return
    advice = (
        "pip install 'jax[cuda13]', or cuda12 for an older driver"
        if kind == "NVIDIA"
        else "install jax for ROCm"
    )
    if hidden := facts["variables"].get("JAX_PLATFORMS"):
        advice = f"unset JAX_PLATFORMS, which is {hidden}"
    yield Finding(
        "note", "GPU", f"{kind}, but JAX computes on the CPU", f"{advice}; it pays for many seeds only"
    )


def _torch(facts):
    if torch := facts["torch"]:
        found = f"{torch['version']} with CUDA ({torch['packages']} packages, several GB)"
        yield Finding("note", "torch", found, "imitax needs none of it; it does no harm")


_VARIABLES = {
    "JAX_DEBUG_NANS": ("broken", "unset it: the return of an iteration without a finished episode is NaN"),
    "JAX_DISABLE_JIT": ("warning", "unset it: nothing is compiled, and training a hundred times slower"),
    "JAX_ENABLE_X64": ("note", "results are not those of 32-bit numbers, which all of this was tested with"),
}


def _variables(facts):
    for name, (state, advice) in _VARIABLES.items():
        value = facts["variables"].get(name, "")
        if value.lower() not in ("", "0", "false", "off"):
            yield Finding(state, name, f"is {value}", advice)


def _cache(facts):
    cache = facts["cache"]
    folder = cache["folder"]
    if not cache["writable"]:
        found = f"{folder} cannot be written, so every process compiles anew"
        yield Finding("warning", "cache", found, "set IMITAX_CACHE to a folder of yours")
    if cache["bytes"] > _LARGE_CACHE:
        yield Finding("note", "cache", f"{size(cache['bytes'])} in {folder}", "delete it at any time")
    if cache["free"] is not None and cache["free"] < _LITTLE_DISK:
        found = f"{size(cache['free'])} free on the disk of the cache"
        yield Finding("warning", "disk", found, "make room, or set IMITAX_CACHE to another disk")


def _rendering(facts):
    found = facts["renderers"]
    if found["pygame"] is None:
        advice = "pip install 'gymnasium[classic-control]'"
        yield Finding("warning", "pygame", "not installed, so classic control cannot be drawn", advice)
    if not found["display"]:
        yield Finding("note", "display", "none", "imitax watch RUN --save FILE.gif")
        # It finds the library by itself, if there is one.
        if found["mujoco"] and not {"EGL", "OSMesa"} & {*found["libraries"]}:
            advice = "apt-get install libegl1, or libosmesa6"
            yield Finding("note", "MuJoCo", "has no display and no library to draw with", advice)
