"""What `speed.py` needs of the system: programs that it starts and times, and what the machine is."""

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
PEER_SECONDS = 300  # a peer that takes longer for one run is left out


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
    """Run `speed_child.py` with its compilation cache in `cache`; event -> seconds since before it started.

    "compile" is what the first iteration took beyond a later one: tracing, compiling or loading, starting.
    """
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["IMITAX_CACHE"] = str(cache)
    command = [sys.executable, str(HERE / "speed_child.py"), *map(str, options)]
    start = time.perf_counter()
    found: dict[str, float] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            elapsed = time.perf_counter() - start
            event = json.loads(line)
            found[event.pop("event")] = elapsed
            found |= event
    if process.returncode:
        raise SystemExit(f"speed_child.py ended with exit code {process.returncode}.")
    found["compile"] = found["iteration"] - found["imported"] - found["iteration_seconds"]
    return found


@lru_cache
def cold_and_warm(repetition: int, *options) -> dict[str, dict[str, float]]:
    """The same program twice: with an empty compilation cache, then with what it left there.

    A pair with the same repetition and options is run once and remembered.
    """
    del repetition
    with tempfile.TemporaryDirectory() as folder:
        return {kind: run_child(Path(folder), *options) for kind in ("cold", "warm")}


def run_peer(
    python: str, demonstrations, envs: int, horizon: int, rounds: int, *options: str
) -> tuple[list[float], dict]:
    """Seconds of each round of `imitation` after the first, and what it says of itself or of its failure."""
    ends = np.zeros(demonstrations.pairs, bool)
    ends[np.cumsum(demonstrations.lengths) - 1] = True
    obs = demonstrations.observations
    successors = np.where(ends[:, None], obs, np.roll(obs, -1, axis=0))  # this discriminator ignores them
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npz"
        np.savez(path, obs=obs, acts=np.asarray(demonstrations.actions), next_obs=successors, dones=ends)
        command = [python, str(HERE / "peers" / "imitation_gail.py"), "--demos", str(path)]
        command += ["--envs", str(envs), "--horizon", str(horizon), "--rounds", str(rounds), *options]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PEER_SECONDS, check=True, env=environment
            )
        except (subprocess.SubprocessError, OSError) as error:
            said = getattr(error, "stderr", None) or str(error)
            reason = (said.decode() if isinstance(said, bytes) else said).strip().splitlines()[-1]
            print(f"peer left out: {reason}", file=sys.stderr)
            return [], {"failed": reason}
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return answer.pop("seconds")[1:], answer
