"""How fast imitax is, measured and printed in one run. What each figure means: benchmarks/README.md.

    python benchmarks/speed.py
    python benchmarks/speed.py --peer-python /path/to/venv/bin/python --json speed.json
    python benchmarks/speed.py --only throughput profile
    python benchmarks/speed.py --quick        # does it run? its figures mean little
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median

import numpy as np

HERE = Path(__file__).resolve().parent
EXPERT_LEVEL = 0.97  # normalised score: 0 is the random policy, 1 the mean of the ten shipped demonstrations
PEER_SECONDS = 300  # a peer that takes longer for one run is left out


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def table(title: str, columns: list[str], rows: list[list]) -> None:
    """A Markdown table on stdout."""
    cells = [columns] + [[f"{c:,.4g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    print(f"\n{title}\n")
    for index, row in enumerate(cells):
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        print("| " + " | ".join(padded) + " |")
        if index == 0:
            print("|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|")
    sys.stdout.flush()


def machine() -> dict:
    """Processor, load and versions."""
    from imitax.experiment.runs import versions

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {"cpu": model, "cores": os.cpu_count(), "load_before": load, "versions": versions()}


# --- throughput -------------------------------------------------------------------------------------


def throughput(args) -> dict:
    """Environment steps per second of whole iterations, variants taking turns."""
    import speed_loop as loop

    quick = args.quick
    variants = {  # name -> (run, iterations skipped after the first); seeds count in the steps
        "native, 5 discriminator steps": (loop.config(4 if quick else 32, 5), 1),
        "gymnasium, 5 discriminator steps": (loop.config(3 if quick else 7, 5, backend="gymnasium"), 1),
    }
    if not quick:
        variants |= {
            "native, 1 discriminator step": (loop.config(32, 1), 1),
            "native, 1 discriminator step, 4 seeds": (loop.config(12, 1, seeds=4), 1),
            "native, 5 discriminator steps, 4 seeds": (loop.config(12, 5, seeds=4), 1),
        }
    rounds = 1 if quick else args.rounds
    samples = {name: [[] for _ in range(rounds)] for name in variants}
    steps = {name: loop.STEPS * run.seeds for name, (run, _) in variants.items()}
    peer_info = {}
    for index in range(rounds):
        for name, (run, skip) in variants.items():
            samples[name][index] = loop.iteration_seconds(run, skip)
        for name, options in peers(args).items():
            seconds, peer_info[name] = run_peer(args.peer_python, options, 2 if quick else 5)
            if seconds:
                samples.setdefault(name, [[] for _ in range(rounds)])[index] = seconds
                steps[name] = loop.STEPS
    return report_throughput(samples, steps) | ({"peers": peer_info} if peer_info else {})


def report_throughput(samples: dict[str, list[list[float]]], steps: dict[str, int]) -> dict:
    """Medians over all iterations; ratios to the first variant within each round, so that load cancels."""
    first = next(iter(samples))
    rows, result = [], {}
    for name, by_round in samples.items():
        pooled = [s for seconds in by_round for s in seconds]
        pairs = [(a, b) for a, b in zip(samples[first], by_round, strict=True) if a and b]
        ratio = median(median(a) / steps[first] / (median(b) / steps[name]) for a, b in pairs)
        entry = {
            "steps_per_second_median": rounded(steps[name] / median(pooled)),
            "steps_per_second_mean": rounded(steps[name] / fmean(pooled)),
            "steps_per_second_best": rounded(steps[name] / min(pooled)),
            "ratio_to_first": rounded(ratio),
            "iterations": len(pooled),
        }
        result[name] = entry
        figures = [f"{entry[f'steps_per_second_{kind}']:,.0f}" for kind in ("median", "mean", "best")]
        rows.append([name, *figures, f"{ratio:.3g}", len(pooled)])
    columns = ["GAIL, updates included", "steps/s, median", "mean", "best", "ratio to the first", "iterations"]
    table("Environment steps per second (5,120 per iteration and seed)", columns, rows)
    return result


def peers(args) -> dict[str, list[str]]:
    """Name -> options of the peer's script, if there is a peer."""
    if args.peer_python is None:
        return {}
    found = {"imitation, 5 discriminator steps": []}
    if not args.quick:
        found["imitation, the same, one thread"] = ["--threads", "1"]
        found["imitation, the same, discriminator batch 2 × 512"] = ["--demo-batch", "512"]
    return found


def run_peer(python: str, options: list[str], rounds: int) -> tuple[list[float], dict]:
    """Seconds of each round after the first, and what the peer says of itself (or of its failure)."""
    import speed_loop as loop

    import imitax

    demonstrations = imitax.load_demonstrations(loop.DEMONSTRATIONS)
    obs, ends = demonstrations.observations, np.zeros(demonstrations.pairs, bool)
    ends[np.cumsum(demonstrations.lengths) - 1] = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npz"
        successors = np.where(ends[:, None], obs, np.roll(obs, -1, axis=0))  # unused by this discriminator
        np.savez(path, obs=obs, acts=np.asarray(demonstrations.actions), next_obs=successors, dones=ends)
        command = [python, str(HERE / "peers" / "imitation_gail.py"), "--demos", str(path)]
        command += ["--envs", str(loop.ENVS), "--horizon", str(loop.HORIZON), "--rounds", str(rounds), *options]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PEER_SECONDS, check=True, env=environment
            )
        except (subprocess.SubprocessError, OSError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
            print(f"peer left out: {reason}", file=sys.stderr)
            return [], {"failed": reason}
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return answer.pop("seconds")[1:], answer


# --- from process start -----------------------------------------------------------------------------


def run_child(cache: Path, *options) -> dict[str, float]:
    """Run `speed_child.py` with its compilation cache in `cache`; event -> seconds since before it started."""
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


def cold_and_warm(*options) -> dict[str, dict[str, float]]:
    """The same program twice: with an empty compilation cache, then with what it left there."""
    with tempfile.TemporaryDirectory() as folder:
        return {kind: run_child(Path(folder), *options) for kind in ("cold", "warm")}


def compile_time(args) -> dict:
    """Seconds before training runs at full speed, without the imports."""
    runs = [
        cold_and_warm("--demos", "Acrobot-v1/7", "--iterations", 4, "--disc-steps", 5, "--episodes", 0)
        for _ in range(1 if args.quick else args.rounds)
    ]
    result, rows = {}, []
    for kind in ("cold", "warm"):
        spans = {name: [run[kind][name] for run in runs] for name in ("imported", "compile")}
        result[kind] = {name: rounded(median(values)) for name, values in spans.items()}
        rows.append([kind, f"{median(spans['imported']):.2f}", f"{median(spans['compile']):.2f}",
                     f"{max(spans['compile']):.2f}", len(runs)])  # fmt: skip
    table("Compile time, seconds", ["cache", "imports", "compile, median", "worst", "runs"], rows)
    return result


def expert_level(args) -> dict:
    """Seconds from process start to the evaluation of a policy learnt from one demonstration."""
    import imitax

    demonstrations = imitax.load_demonstrations("Acrobot-v1/10")
    random = imitax.evaluate_random(imitax.make("Acrobot-v1", "native"), 100).returns.mean()
    expert = demonstrations.returns.mean()
    iterations = 3 if args.quick else args.expert_iterations
    runs = [
        cold_and_warm("--demos", "Acrobot-v1/1", "--iterations", iterations, "--seed", seed,
                      "--disc-steps", args.expert_disc_steps)  # fmt: skip
        for seed in range(1 if args.quick else args.seeds)
    ]
    result = {"iterations": iterations, "random": float(random), "expert": float(expert)}
    rows = []
    for kind in ("cold", "warm"):
        scores = [(run[kind]["mean_return"] - random) / (expert - random) for run in runs]
        times = [run[kind]["evaluated"] for run in runs]
        reached = sum(score >= EXPERT_LEVEL for score in scores)
        result[kind] = {
            "seconds": [rounded(t) for t in times],
            "scores": [rounded(s) for s in scores],
            "reached": reached,
        }
        spans = [median(run[kind][name] for run in runs) for name in ("imported", "compile", "trained")]
        scored = ", ".join(f"{score:.3f}" for score in scores)
        rows.append([kind, f"{median(times):.1f}", f"{max(times):.1f}", *(f"{span:.1f}" for span in spans),
                     f"{reached} of {len(runs)}", scored])  # fmt: skip
    columns = ["cache", "median", "worst", "imported at", "compile", "trained at",
               f"reached {EXPERT_LEVEL}", "scores"]  # fmt: skip
    title = f"Process start to evaluated policy, one demonstration, {iterations} iterations, seconds"
    table(title, columns, rows)
    return result


def long_run(args) -> dict:
    """Wall time of 300 iterations × 5,000 steps, a whole process with an empty compilation cache."""
    iterations = 3 if args.quick else 300
    result, rows = {}, []
    for disc_steps in (1,) if args.quick else (1, 5):
        with tempfile.TemporaryDirectory() as folder:
            found = run_child(Path(folder), "--demos", "Acrobot-v1/7", "--iterations", iterations, "--steps", 5000,
                              "--disc-steps", disc_steps, "--episodes", 0)  # fmt: skip
        result[f"{disc_steps} discriminator steps"] = {"seconds": rounded(found["trained"])}
        loop = found["trained"] - found["iteration"]
        rows.append([disc_steps, f"{found['trained']:.1f}", f"{found['imported']:.1f}",
                     f"{found['compile']:.1f}", f"{loop:.1f}"])  # fmt: skip
    columns = ["discriminator steps", "process start to trained", "imports", "compile", "the loop itself"]
    table(f"{iterations} iterations × 5,000 steps, cold, seconds", columns, rows)
    return result


# --- profile ----------------------------------------------------------------------------------------


def profile(args) -> dict:
    """Where an iteration's time goes, and how far its matrix products are from the machine's rate."""
    import speed_loop as loop
    from speed_flops import gail_iteration

    import imitax

    rounds, disc_steps = (3, 5) if args.quick else (args.rounds * 10, 5)
    seconds = {name: median(values) for name, values in loop.interleaved(loop.parts(disc_steps), rounds).items()}
    rates = loop.rates()
    measured = loop.interleaved({name: function for name, (function, _) in rates.items()}, rounds)
    rate = {name: work / median(measured[name]) for name, (_, work) in rates.items()}
    pairs = imitax.load_demonstrations(loop.DEMONSTRATIONS).pairs
    work = gail_iteration(6, 3, loop.HIDDEN, loop.STEPS, pairs, disc_steps, loop.EPOCHS)
    return report_profile(seconds, rate, work)


def report_profile(seconds: dict, rate: dict, work: dict) -> dict:
    """Two tables: the parts with their shares, and the iteration against its bounds."""
    big, layer, _, tanh = rate
    whole = seconds["collect"] + seconds["learn"]
    rows = []
    for name in ("collect", "discriminator", "reward", "policy"):
        rows.append([name, f"{1e3 * seconds[name]:.1f}", f"{100 * seconds[name] / whole:.0f} %",
                     f"{work[name].flop / 1e9:.3f}", f"{work[name].flop / seconds[name] / 1e9:.1f}"])  # fmt: skip
    total = sum(work.values(), start=type(work["policy"])(0, 0))
    rows.append(["(shuffle, in policy)", f"{1e3 * seconds['shuffle']:.1f}", f"{100 * seconds['shuffle'] / whole:.0f} %",
                 "0", "0"])  # fmt: skip
    rows.append(["collect + learn, as trained", f"{1e3 * whole:.1f}", "100 %", f"{total.flop / 1e9:.3f}",
                 f"{total.flop / whole / 1e9:.1f}"])  # fmt: skip
    columns = ["part, 5 discriminator steps", "ms", "share", "GFLOP", "GFLOP/s"]
    table("Where an iteration goes (each part compiled alone)", columns, rows)
    table("The machine's rates, float32", ["operation", "per second, ×10⁹"],
          [[name, f"{value / 1e9:.3g}"] for name, value in rate.items()])  # fmt: skip
    bounds = {
        "matrix products at the 2048 rate": total.flop / rate[big],
        "matrix products at the layer's rate": total.flop / rate[layer],
        "tanh": total.tanh / rate[tanh],
        "shuffle": seconds["shuffle"],
    }
    bounds["the rest"] = whole - sum(list(bounds.values())[1:])
    table("What one iteration would take", ["bound", "ms", "share of collect + learn"],
          [[n, f"{1e3 * s:.1f}", f"{100 * s / whole:.0f} %"] for n, s in bounds.items()])  # fmt: skip
    return {
        "milliseconds": {name: rounded(1e3 * s) for name, s in seconds.items()},
        "gflop": {name: w.flop / 1e9 for name, w in work.items()} | {"iteration": total.flop / 1e9},
        "gflop_per_second": rounded(total.flop / whole / 1e9),
        "rates_per_second": {name: rounded(value) for name, value in rate.items()},
        "bounds_milliseconds": {name: rounded(1e3 * s) for name, s in bounds.items()},
    }


MEASURES = {
    "throughput": throughput,
    "compile": compile_time,
    "expert": expert_level,
    "long": long_run,
    "profile": profile,
}


def main() -> None:
    """Measure what was asked for; print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", metavar="PATH", help="interpreter of an environment with `imitation`")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there; -: to stdout")
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is repeated; default 3")
    parser.add_argument("--seeds", type=int, default=3, help="of the expert-level measure; default 3")
    parser.add_argument("--expert-iterations", type=int, default=60, help="of training; default 60")
    parser.add_argument("--expert-disc-steps", type=int, default=1, help="discriminator steps; default 1")
    args = parser.parse_args()
    start = time.perf_counter()
    results = {"machine": machine()}
    known = results["machine"]
    print(f"{known['cores']} cores, {known['cpu']}, load {known['load_before']} before the start")
    print(", ".join(f"{name} {version}" for name, version in known["versions"].items()))
    for name in args.only:
        results[name] = MEASURES[name](args)
    results["seconds"] = round(time.perf_counter() - start, 1)
    print(f"\n{results['seconds']} s in all")
    if args.json is not None:
        text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        print(text) if str(args.json) == "-" else args.json.write_text(text)


if __name__ == "__main__":
    main()
