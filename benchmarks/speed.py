"""Measures how fast imitax is. The meaning of each number: benchmarks/README.md.

    python benchmarks/speed.py
    python benchmarks/speed.py --peer-python /path/to/venv/bin/python --json speed.json
    python benchmarks/speed.py --only throughput profile
    python benchmarks/speed.py --quick        # a smoke test; its numbers mean little

Compared variants take turns, but a quiet machine still gives better numbers.
"""

import argparse
import json
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median

from speed_process import cold_and_warm, machine, run_child, run_peer
from speed_report import profile_tables, rounded, table

COMPILE = ("--demos", "Acrobot-v1/7", "--iterations", 4, "--disc-steps", 5, "--episodes", 0)
EXPERT = ("--demos", "Acrobot-v1/1", "--disc-steps", 5)
EXPERT_ITERATIONS = 25
# normalised score: 0 is the random policy, 1 the mean of the ten shipped demonstrations
EXPERT_LEVEL = 0.97
PROFILED_STEPS = 5  # of the discriminator


def throughput(args) -> dict:
    """Environment steps per second of complete iterations, variants taking turns."""
    import speed_loop as loop

    import imitax

    quick, demonstrations = args.quick, imitax.load_demonstrations(loop.DEMONSTRATIONS)
    variants = {
        "native, 5 discriminator steps": loop.config(4 if quick else 32, 5),
        "gymnasium, 5 discriminator steps": loop.config(4 if quick else 7, 5, backend="gymnasium"),
    }
    if not quick:
        variants |= {
            "native, 1 discriminator step": loop.config(32, 1),
            "native, 1 discriminator step, 4 seeds": loop.config(12, 1, seeds=4),
            "native, 5 discriminator steps, 4 seeds": loop.config(12, 5, seeds=4),
        }
    rounds = 1 if quick else args.rounds
    samples = {name: [[] for _ in range(rounds)] for name in variants}
    steps = {name: loop.STEPS * run.seeds for name, run in variants.items()}
    reports = {}
    for index in range(rounds):
        for name, run in variants.items():
            samples[name][index] = loop.iteration_seconds(run)
        for name, options in peers(args).items():
            seconds, reports[name] = run_peer(
                args.peer_python,
                demonstrations,
                loop.ENVS,
                loop.HORIZON,
                2 if quick else 5,
                *options,
            )
            if seconds:
                samples.setdefault(name, [[] for _ in range(rounds)])[index] = seconds
                steps[name] = loop.STEPS
    return report_throughput(samples, steps) | ({"peers": reports} if reports else {})


def peers(args) -> dict[str, list[str]]:
    """Name -> options of the peer's script; empty without a peer."""
    if args.peer_python is None:
        return {}
    single = ["--threads", "1"]
    options = {"imitation, 5 discriminator steps, 1 thread": single}
    # a busy machine slows its threads more than ours: the better of both counts
    if not args.quick:
        options["imitation, the same, torch's own threads"] = []
        options["imitation, 1 thread, discriminator batch 2 × 512"] = [
            "--threads",
            "1",
            "--demo-batch",
            "512",
        ]
    return options


def report_throughput(samples: dict[str, list[list[float]]], steps: dict[str, int]) -> dict:
    """Medians over all iterations; ratios to the first variant within each round, so that load
    cancels.
    """
    first = next(iter(samples))
    rows, result = [], {}
    for name, by_round in samples.items():
        pooled = [s for seconds in by_round for s in seconds]
        pairs = [(a, b) for a, b in zip(samples[first], by_round, strict=True) if a and b]
        ratio = median(median(a) / steps[first] / (median(b) / steps[name]) for a, b in pairs)
        figures = [steps[name] / x for x in (median(pooled), fmean(pooled), min(pooled))]
        result[name] = dict(zip(("median", "mean", "best"), map(rounded, figures), strict=True))
        result[name] |= {"ratio_to_first": rounded(ratio), "iterations": len(pooled)}
        rows.append([name, *(f"{x:,.0f}" for x in figures), f"{ratio:.3g}", len(pooled)])
    columns = [
        "GAIL, updates included",
        "steps/s, median",
        "mean",
        "best",
        "ratio to first",
        "iterations",
    ]
    table("Environment steps per second, 5,120 per iteration and seed", columns, rows)
    return result


def compile_time(args) -> dict:
    """Seconds before training runs at full speed, without the imports."""
    # a quick run has these figures from `expert_level`
    shared = (*EXPERT, "--iterations", 3, "--seed", 0)
    options = shared if args.quick else COMPILE
    runs = [cold_and_warm(index, *options) for index in range(1 if args.quick else args.rounds)]
    result, rows = {}, []
    for kind in ("cold", "warm"):
        imports, compiling = ([run[kind][name] for run in runs] for name in ("imported", "compile"))
        result[kind] = {"imports": rounded(median(imports)), "compile": rounded(median(compiling))}
        figures = (median(imports), median(compiling), max(compiling))
        rows.append([kind, *(f"{x:.2f}" for x in figures), len(runs)])
    table("Compile time, seconds", ["cache", "imports", "compile, median", "worst", "runs"], rows)
    return result


def expert_level(args) -> dict:
    """Seconds from process start to the evaluation of a policy learnt from one demonstration."""
    import imitax

    random = imitax.evaluate_random(imitax.make("Acrobot-v1", "native"), 100).returns.mean()
    expert = imitax.load_demonstrations("Acrobot-v1/10").returns.mean()
    iterations = 3 if args.quick else args.expert_iterations
    seeds = range(1 if args.quick else args.seeds)
    runs = [cold_and_warm(0, *EXPERT, "--iterations", iterations, "--seed", seed) for seed in seeds]
    result = {"iterations": iterations, "random": float(random), "expert": float(expert)}
    rows = []
    for kind in ("cold", "warm"):
        scores = [(run[kind]["mean_return"] - random) / (expert - random) for run in runs]
        seconds = [run[kind]["evaluated"] for run in runs]
        reached = sum(score >= EXPERT_LEVEL for score in scores)
        result[kind] = {"seconds": [*map(rounded, seconds)], "scores": [*map(rounded, scores)]}
        spans = [
            median(run[kind][name] for run in runs) for name in ("imported", "compile", "trained")
        ]
        figures = (median(seconds), max(seconds), *spans)
        text = ", ".join(f"{score:.3f}" for score in scores)
        rows.append([kind, *(f"{x:.1f}" for x in figures), f"{reached} of {len(runs)}", text])
    columns = ["cache", "median", "worst", "imported at", "compile takes", "trained at"]
    columns += [f"reached {EXPERT_LEVEL}", "scores"]
    title = (
        f"Process start to evaluated policy, one demonstration, {iterations} iterations, seconds"
    )
    table(title, columns, rows)
    return result


def long_run(args) -> dict:
    """Wall time of a process with 300 iterations × 5,000 steps and an empty compilation cache."""
    if args.quick:
        return {}
    result, rows = {}, []
    for disc_steps in (1, 5):
        options = ("--demos", "Acrobot-v1/7", "--iterations", 300, "--steps", 5000, "--episodes", 0)
        with tempfile.TemporaryDirectory() as folder:
            times = run_child(Path(folder), *options, "--disc-steps", disc_steps)
        loop = times["trained"] - times["iteration"]
        figures = {
            "trained_at": times["trained"],
            "imports": times["imported"],
            "compile": times["compile"],
        }
        figures["loop"] = loop
        result[f"{disc_steps} discriminator steps"] = {
            name: rounded(x) for name, x in figures.items()
        }
        rows.append([disc_steps, *(f"{x:.1f}" for x in figures.values())])
    columns = [
        "discriminator steps",
        "process start to trained",
        "imports",
        "compile",
        "the other 299",
    ]
    table("300 iterations × 5,000 steps, cold, seconds", columns, rows)
    return result


def profile(args) -> dict:
    """Where an iteration's time goes, and how far its matrix products are from the machine's
    rate.
    """
    import speed_loop as loop
    from speed_flops import gail_iteration

    import imitax

    rounds = 3 if args.quick else 10 * args.rounds
    parts, rates = loop.parts(PROFILED_STEPS), loop.rates()
    functions = parts | {name: function for name, (function, _) in rates.items()}
    taken = {name: median(values) for name, values in loop.interleaved(functions, rounds).items()}
    rate = {name: amount / taken[name] for name, (_, amount) in rates.items()}
    pairs = imitax.load_demonstrations(loop.DEMONSTRATIONS).pairs
    work = gail_iteration(6, 3, loop.HIDDEN, loop.STEPS, pairs, PROFILED_STEPS, loop.EPOCHS)
    return profile_tables({name: taken[name] for name in parts}, rate, work)


def host(args) -> dict:
    """EnvPool's rate with random actions, and the shares of it that collection and all of GAIL
    reach.
    """
    if find_spec("envpool") is None:
        print("\nhost: EnvPool is not installed; pip install 'imitax[mujoco,envpool]'")
        return {}
    import speed_host

    names, steps, rounds = (("Hopper-v5",), 1024, 1) if args.quick else (speed_host.ENVS, 4096, 7)
    result, rows = {}, []
    for env_id in names:
        taken = speed_host.seconds(env_id, steps, rounds)
        iteration = taken["collect"] + taken["learn"]
        shares = {"collecting": taken["raw"] / taken["collect"], "gail": taken["raw"] / iteration}
        result[env_id] = {"steps_per_second": rounded(steps / taken["raw"])}
        result[env_id] |= {name: rounded(x) for name, x in shares.items()}
        result[env_id]["milliseconds"] = {name: rounded(1e3 * x) for name, x in taken.items()}
        figures = [
            f"{steps / taken['raw']:,.0f}",
            *(f"{100 * share:.0f} %" for share in shares.values()),
        ]
        rows.append(
            [env_id, *figures, *(f"{1e3 * x:.0f}" for name, x in taken.items() if name != "raw")]
        )
    columns = [
        "environment",
        "EnvPool alone, steps/s",
        "collecting",
        "GAIL",
        "ms: collect",
        "learn",
    ]
    columns += ["of which discriminator", "policy and value"]
    table("The host path: shares of EnvPool's rate with random actions", columns, rows)
    return result


MEASURES = {
    "throughput": throughput,
    "compile": compile_time,
    "expert": expert_level,
    "long": long_run,
    "profile": profile,
    "host": host,
}


def options() -> argparse.Namespace:
    """The command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument(
        "--peer-python", metavar="PATH", help="python of an environment with `imitation`"
    )
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="default: all"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as JSON")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run, without the measure 'long'"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="repetitions of everything; default 3"
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of 'expert'; default 3")
    parser.add_argument(
        "--expert-iterations",
        type=int,
        default=EXPERT_ITERATIONS,
        help=f"iterations of 'expert'; default {EXPERT_ITERATIONS}",
    )
    return parser.parse_args()


def main() -> None:
    """Run the chosen measures; print tables, write JSON."""
    args = options()
    start = time.perf_counter()
    results = {"machine": machine()}
    facts = results["machine"]
    print(f"{facts['cores']} cores, {facts['cpu']}, load {facts['load_before']} before the start")
    print(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    for name in args.only:
        results[name] = MEASURES[name](args)
        sys.stdout.flush()
    results["seconds"] = round(time.perf_counter() - start, 1)
    print(f"\n{results['seconds']} s in total")
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
