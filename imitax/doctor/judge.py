"""`imitax doctor`: whether training works on this machine, and what is known to make it slow or
fail.

`examine` collects facts, runs the probe in a process of its own, and judges both; every judgement
is a function of the facts alone.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from imitax.doctor import machine
from imitax.findings import Finding
from imitax.stats.units import duration, size

_PROBE_SECONDS = 180  # more than an import and four small programs take on a slow and busy machine
_FEW_CORES = 4
_LITTLE_MEMORY = 2e9
_SMALL_SHARED_MEMORY = 256e6
_LITTLE_DISK = 1e9
_LARGE_CACHE = 5e9

Facts = dict[str, Any]  # of `machine.facts`, and "probe"


def examine() -> dict[str, Any]:
    """Facts, findings, and whether training `works`; takes some seconds."""
    facts = machine.facts()
    facts["probe"] = probe()
    findings = [*probe_findings(facts["probe"]), *fact_findings(facts)]
    facts["findings"] = [finding._asdict() for finding in findings]
    return {"works": all(finding.severity != "problem" for finding in findings)} | facts


def probe(
    seconds: float = _PROBE_SECONDS, module: str = "imitax.doctor.probe"
) -> list[dict[str, Any]]:
    """The stages that began, each with what it `found` or its `error`.

    They run in a process of their own, so that a crash or a hang there does not reach this one.
    """
    command = [sys.executable, "-m", module]
    reason = f"did not finish within {duration(seconds)}"
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        output = process.stdout
        errors = process.stderr.strip().splitlines()
        reason = f"the process ended with code {process.returncode}" + (
            f": {errors[-1]}" if errors else ""
        )
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode()
    stages: dict[str, dict[str, Any]] = {}
    for line in output.splitlines():
        if line.startswith('{"stage"'):
            entry = json.loads(line)
            stages[entry["stage"]] = entry
    if not stages:
        stages["start"] = {"stage": "start"}
    last = list(stages.values())[-1]
    if "found" not in last and "error" not in last:
        last["error"] = reason
    return list(stages.values())


def probe_findings(stages: list[dict[str, Any]]) -> Iterator[Finding]:
    """A stage that failed is a problem: training would fail as well."""
    for entry in stages:
        name = entry["stage"]
        if "error" in entry:
            yield Finding("problem", name, entry["error"], _PROBE_ADVICE.get(name, _REINSTALL))
        else:
            result = entry["found"]
            text = result if isinstance(result, str) else ", ".join(result["devices"])
            yield Finding("ok", name, f"{text} ({duration(entry['seconds'])})")


_REINSTALL = "reinstall in a fresh environment"
_PROBE_ADVICE = {
    "JAX": "JAX_PLATFORMS=cpu skips a GPU that may be at fault; "
    "jax and jaxlib must have the same version",
}


def fact_findings(facts: Facts) -> Iterator[Finding]:
    """Judgements of single facts, in the order in which they are shown."""
    for judge in _JUDGES:
        yield from judge(facts)


def _requirements(facts: Facts) -> Iterator[Finding]:
    unmet = facts["requirements"]
    for r in unmet:
        severity = "problem" if r["found"] is None else "warning"
        evidence = f"{r['by']} requires {r['package']} {r['wanted']}, found {r['found'] or 'none'}"
        yield Finding(severity, "versions", evidence, f"pip install '{r['package']}{r['wanted']}'")
    if not unmet:
        gymnax = facts["versions"]["gymnax"]
        evidence = (
            f"all requirements are met, also those of gymnax {gymnax}, which caps jax and gymnasium"
        )
        yield Finding("ok", "versions", evidence)


def _cores(facts: Facts) -> Iterator[Finding]:
    cores = facts["machine"]["cores"]
    if cores <= _FEW_CORES:
        evidence = (
            f"{cores:g}: QR, Cholesky, solve and eigh of jaxlib may hang under vmap, at 0 % CPU"
        )
        advice = "imitax uses none of them; keep them out of functions of yours that are vmapped"
        yield Finding("note", "cores", evidence, advice)


def _memory(facts: Facts) -> Iterator[Finding]:
    free = facts["machine"]["memory_free"]
    if free is not None and free < _LITTLE_MEMORY:
        yield Finding(
            "warning",
            "memory",
            f"{size(free)} free",
            "use fewer --seeds, or --set loop.max_envs=16",
        )


def _shared_memory(facts: Facts) -> Iterator[Finding]:
    total = facts["machine"]["shared_memory"]
    if total is not None and total < _SMALL_SHARED_MEMORY:
        evidence = f"{size(total)}, too little for several worker processes"
        yield Finding("warning", "/dev/shm", evidence, "start a container with --shm-size=1g")


def _gpu(facts: Facts) -> Iterator[Finding]:
    kind = facts["machine"]["gpu"]
    platforms = [
        s["found"]["platform"] for s in facts["probe"] if s["stage"] == "JAX" and "found" in s
    ]
    if kind is None or platforms != ["cpu"]:
        return
    if platform := facts["variables"].get("JAX_PLATFORMS"):
        advice = f"unset JAX_PLATFORMS, which is {platform}"
    elif kind == "NVIDIA":
        advice = "pip install 'jax[cuda13]', or cuda12 for an older driver"
    else:
        advice = "install jax for ROCm"
    evidence = f"{kind}, but JAX computes on the CPU"
    yield Finding("note", "GPU", evidence, f"{advice}; a GPU is worth it for many seeds only")


def _torch(facts: Facts) -> Iterator[Finding]:
    if torch := facts["torch"]:
        evidence = f"{torch['version']} with CUDA ({torch['packages']} packages, several GB)"
        yield Finding("note", "torch", evidence, "imitax does not need it; it does no harm")


_VARIABLES = {
    "JAX_DEBUG_NANS": (
        "problem",
        "unset it: the return of an iteration without a finished episode is NaN",
    ),
    "JAX_DISABLE_JIT": (
        "warning",
        "unset it: nothing is compiled, and training is a hundred times slower",
    ),
    "JAX_ENABLE_X64": ("note", "unset it for comparable results: everything was tested in 32 bits"),
}


def _variables(facts: Facts) -> Iterator[Finding]:
    for name, (severity, advice) in _VARIABLES.items():
        value = facts["variables"].get(name, "")
        if value.lower() not in ("", "0", "false", "off"):
            yield Finding(severity, name, f"is {value}", advice)


def _cache(facts: Facts) -> Iterator[Finding]:
    cache = facts["cache"]
    folder = cache["folder"]
    if not cache["writable"]:
        evidence = f"{folder} is not writable, so every process compiles anew"
        yield Finding("warning", "cache", evidence, "set IMITAX_CACHE to a folder of yours")
    if cache["bytes"] > _LARGE_CACHE:
        evidence = f"{size(cache['bytes'])} in {folder}"
        yield Finding("note", "cache", evidence, "delete it whenever you like")
    if cache["free"] is not None and cache["free"] < _LITTLE_DISK:
        evidence = f"{size(cache['free'])} free on the disk of the cache"
        yield Finding("warning", "disk", evidence, "make room, or set IMITAX_CACHE to another disk")


def _rendering(facts: Facts) -> Iterator[Finding]:
    renderers = facts["renderers"]
    if renderers["pygame"] is None:
        advice = "pip install 'gymnasium[classic-control]'"
        yield Finding(
            "warning", "pygame", "not installed, so classic control cannot be drawn", advice
        )
    if not renderers["display"]:
        yield Finding("note", "display", "none", "imitax watch RUN --save FILE.gif")
        # It finds the library by itself, if there is one.
        if renderers["mujoco"] and not {"EGL", "OSMesa"} & {*renderers["libraries"]}:
            advice = "apt-get install libegl1, or libosmesa6"
            yield Finding("note", "MuJoCo", "has no display and no library to draw with", advice)


_JUDGES = (
    _requirements,
    _cores,
    _memory,
    _shared_memory,
    _gpu,
    _torch,
    _variables,
    _cache,
    _rendering,
)
