"""The programs that `speed.py` starts and times, and the facts about the machine."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PEER_SECONDS = 300  # time limit of one run of the peer


def machine() -> dict:
    """Processor, load and versions."""
    from imitax.runs.provenance import versions

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "versions": versions(),
    }


def run_child(cache: Path, *options) -> dict[str, float]:
    """Run `speed_child.py` with its compilation cache in `cache`; event -> seconds since before
    its start.

    "compile" is the time of the first iteration beyond a later one: tracing, compiling or loading,
    starting.
    """
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["IMITAX_CACHE"] = str(cache)
    command = [sys.executable, str(HERE / "speed_child.py"), *map(str, options)]
    start = time.perf_counter()
    events: dict[str, float] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            elapsed = time.perf_counter() - start
            event = json.loads(line)
            events[event.pop("event")] = elapsed
            events |= event
    if process.returncode:
        raise SystemExit(f"speed_child.py ended with exit code {process.returncode}.")
    events["compile"] = events["iteration"] - events["imported"] - events["iteration_seconds"]
    return events


@lru_cache
def cold_and_warm(repetition: int, *options) -> dict[str, dict[str, float]]:
    """The same program twice: with an empty compilation cache, then with the cache it left.

    Cached: each combination of repetition and options runs once.
    """
    del repetition
    with tempfile.TemporaryDirectory() as folder:
        return {kind: run_child(Path(folder), *options) for kind in ("cold", "warm")}


def run_peer(
    python: str, demonstrations, envs: int, horizon: int, rounds: int, *options: str
) -> tuple[list[float], dict]:
    """Seconds of each round of `imitation` after the first, and its facts or the reason of a
    failure.
    """
    ends = np.zeros(demonstrations.pairs, bool)
    ends[np.cumsum(demonstrations.lengths) - 1] = True
    obs = demonstrations.observations
    # this discriminator ignores them
    successors = np.where(ends[:, None], obs, np.roll(obs, -1, axis=0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npz"
        np.savez(
            path, obs=obs, acts=np.asarray(demonstrations.actions), next_obs=successors, dones=ends
        )
        command = [python, str(HERE / "peers" / "imitation_gail.py"), "--demos", str(path)]
        command += [
            "--envs",
            str(envs),
            "--horizon",
            str(horizon),
            "--rounds",
            str(rounds),
            *options,
        ]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        try:
            process = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=PEER_SECONDS,
                check=True,
                env=environment,
            )
        except (subprocess.SubprocessError, OSError) as error:
            text = getattr(error, "stderr", None) or str(error)
            reason = (text.decode() if isinstance(text, bytes) else text).strip().splitlines()[-1]
            print(f"peer left out: {reason}", file=sys.stderr)
            return [], {"failed": reason}
    answer = json.loads(process.stdout.strip().splitlines()[-1])
    return answer.pop("seconds")[1:], answer
