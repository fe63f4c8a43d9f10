"""Runs cells: first the expert of each environment, then every missing line."""

import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from imitax import formats
from imitax.benchmark import raw
from imitax.benchmark.grid import LIMITS, MUJOCO, PLANS, Cell, references
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.envs.base import Env
from imitax.errors import ImitaxError
from imitax.methods.registry import default_settings, find_method
from imitax.policies.policy import save_policies
from imitax.runs.provenance import versions
from imitax.training.config import RunConfig, make_config
from imitax.training.evaluation import (
    evaluate,
    evaluate_random,
    record,
    record_constant,
    record_random,
)
from imitax.training.fit import Training, fit

Report = Callable[[Cell, list[raw.Line]], None]
_REFERENCE_EPISODES = 10  # times as many as for a learner: the ends of the scale must be accurate


class Options(NamedTuple):
    """What the cells of a benchmark have in common."""

    folder: Path
    limit: str = "paper"  # a key of LIMITS
    seeds: int = 7  # from 0 on
    iterations: int | None = 100  # of the loop, except for the expert; None: the tuned number
    steps: int | None = 5120  # per iteration; None: the tuned number
    episodes: int = 50  # of evaluation, for each seed
    expert_iterations: int | None = None  # None: the number tuned for the environment

    @property
    def raw(self) -> Path:
        """The file of raw results."""
        return self.folder / f"{self.limit}.jsonl"

    def demonstrations(self, env: str) -> Path:
        """The file of the expert's trajectories."""
        return self.folder / "demonstrations" / f"{env}-{self.limit}.npz"

    def expert(self, env: str) -> Path:
        """The file of the expert's policy."""
        return self.folder / "experts" / f"{env}-{self.limit}.safetensors"


def run(cells: list[Cell], options: Options, workers: int, report: Report) -> int:
    """Run cells and seeds without a line, `workers` at a time; returns the number of new lines.

    `report` is called with a cell and its new lines once they are on disk.

    Raises:
        ImitaxError: an option is out of range, or a line on file was made with other settings.
    """
    for name, value in (
        ("workers", workers),
        ("seeds", options.seeds),
        ("iterations", options.iterations),
    ):
        if value is not None and value < 1:
            raise ImitaxError(f"Option {name} is {value}: expected at least 1.")
    results = raw.read(options.raw)
    ends = [end for env in dict.fromkeys(cell.env for cell in cells) for end in references(env)]
    for cell in (*ends, *cells):
        for line in results.get(cell.name, {}).values():
            _check_same(cell, line, options)
    for expert in ends[::2]:
        if expert.name in results and not options.demonstrations(expert.env).exists():
            raise ImitaxError(
                f"File '{options.demonstrations(expert.env)}' is missing, but '{options.raw}' "
                f"holds the results of '{expert.name}' that made it: expected both or neither."
            )
    references_first = [(end, [0]) for end in ends if end.name not in results]
    wanted = set(range(options.seeds))
    missing = [
        (cell, part) for cell in cells for part in _runs(wanted - results.get(cell.name, {}).keys())
    ]
    added = 0
    for tasks in (references_first, missing):
        for cell, lines in _results(tasks, options, workers):
            raw.append(options.raw, lines)
            added += len(lines)
            report(cell, lines)
    return added


def run_cell(cell: Cell, seeds: list[int], options: Options) -> list[raw.Line]:
    """Train and evaluate one cell with consecutive `seeds`; a line for each."""
    env = make(cell.env, "auto", LIMITS[options.limit])
    if not cell.method:
        random = evaluate_random(env, _REFERENCE_EPISODES * options.episodes)
        return [_line(cell, env, 0, options, sampled=random.returns[0], seconds=random.seconds)]
    if cell.method == "rl":
        return [_make_expert(cell, env, options)]
    demonstrations = demonstrations_of(cell, env, options)
    if find_method(cell.method).loop:
        config = config_of(cell, options, seeds[0], len(seeds))
        return _lines(cell, env, fit(config, env, demonstrations), options)
    # Cloning splits the episodes by the seed of the run, so each seed is a run of its own.
    runs = [fit(config_of(cell, options, seed, 1), env, demonstrations) for seed in seeds]
    return [line for training in runs for line in _lines(cell, env, training, options)]


def config_of(cell: Cell, options: Options, seed: int = 0, seeds: int = 1) -> RunConfig:
    """The configuration of a cell's run."""
    overrides = dict(cell.settings)
    if cell.method == "rl":
        if options.expert_iterations is not None:
            overrides["loop.iterations"] = options.expert_iterations
    elif find_method(cell.method).loop:
        lengths = {"loop.iterations": options.iterations, "loop.env_steps": options.steps}
        overrides |= {name: value for name, value in lengths.items() if value is not None}
    return make_config(
        cell.method,
        cell.env,
        agent=cell.agent,
        preset=cell.preset,
        overrides=overrides,
        seed=seed,
        seeds=seeds,
        time_limit=LIMITS[options.limit],
    )


def demonstrations_of(cell: Cell, env: Env, options: Options) -> Demonstrations | None:
    """The demonstrations of a cell, subsampled as in the paper; the same for every seed."""
    if not cell.demos:
        return None
    plan = PLANS[cell.env]
    if cell.demos == "junk-random":
        demonstrations = record_random(env, plan.compared)
    elif cell.demos == "junk-constant":
        demonstrations = record_constant(env, plan.compared)
    else:
        file = formats.load(options.demonstrations(cell.env), env.spec)
        demonstrations = file.choose(int(cell.demos))
        if cell.env in MUJOCO:
            return demonstrations  # subsampled when they were written
    return demonstrations.subsample(plan.subsample, np.random.default_rng(len(demonstrations)))


def _make_expert(cell: Cell, env: Env, options: Options) -> raw.Line:
    """Train the expert; write its policy, and trajectories with sampled actions as in the paper.

    Files without a line are from a call that was interrupted here: they are written again.
    """
    training = fit(config_of(cell, options), env)
    for path in (options.expert(cell.env), options.demonstrations(cell.env)):
        path.parent.mkdir(parents=True, exist_ok=True)
    options.demonstrations(cell.env).unlink(missing_ok=True)
    save_policies(training.policies, options.expert(cell.env))
    plan = PLANS[cell.env]
    demonstrations = record(training.policy, env, max(plan.counts), seed=1)
    if cell.env in MUJOCO:  # complete, they would be tens of megabytes
        rng = np.random.default_rng(len(demonstrations))
        demonstrations = demonstrations.subsample(plan.subsample, rng)
    formats.save(demonstrations, options.demonstrations(cell.env), spec=env.spec)
    return _lines(cell, env, training, options, _REFERENCE_EPISODES * options.episodes)[0]


def _lines(
    cell: Cell, env: Env, training: Training, options: Options, episodes: int | None = None
) -> list[raw.Line]:
    """Evaluate the final policy of each seed, each on its own episodes; a line for each."""
    curves = training.metrics.get("episode_return")
    lines = []
    for index, policy in enumerate(training.policies):
        seed = training.config.seed + index
        deterministic, sampled = (
            evaluate(policy, env, episodes or options.episodes, stochastic, seed).returns[0]
            for stochastic in (False, True)
        )
        line = _line(
            cell,
            env,
            seed,
            options,
            deterministic=deterministic,
            sampled=sampled,
            curve=[] if curves is None else curves[index],
            env_steps=training.env_steps,
            seconds=training.seconds / training.config.seeds,
            demonstrations=training.demonstrations,
        )
        lines.append(line)
    return lines


def _line(
    cell: Cell,
    env: Env,
    seed: int,
    options: Options,
    *,
    deterministic: ArrayLike = (),
    sampled: ArrayLike = (),
    curve: ArrayLike = (),
    env_steps: int = 0,
    seconds: float = 0.0,
    demonstrations: Demonstrations | None = None,
) -> raw.Line:
    return {
        "cell": cell.name,
        "seed": seed,
        "time_limit": env.spec.time_limit,
        "settings": _settings(cell, options),
        "demonstrations": None if demonstrations is None else _described(demonstrations),
        "deterministic": raw.plain(deterministic),
        "sampled": raw.plain(sampled),
        "curve": raw.plain(curve),
        "env_steps": env_steps,
        "seconds": round(seconds, 2),
        "versions": versions(),
    }


def _described(demonstrations: Demonstrations) -> dict:
    return {
        "trajectories": len(demonstrations),
        "pairs": demonstrations.pairs,
        "mean_return": raw.plain([demonstrations.returns.mean()])[0],
        "fingerprint": demonstrations.fingerprint(),
    }


def _settings(cell: Cell, options: Options) -> dict:
    """The settings of a cell's run, as JSON gives them back."""
    if not cell.method:
        return {}
    config = config_of(cell, options)
    return json.loads(json.dumps({name: asdict(group) for name, group in config.settings.items()}))


def _check_same(cell: Cell, line: raw.Line, options: Options) -> None:
    where = f"File '{options.raw}' holds '{cell.name}' with seed {line['seed']}, made with"
    rest = "choose another folder, or remove those lines."
    expected = _settings(cell, options)
    # A setting newer than the line had no effect then, and neither has its default.
    defaults = default_settings(cell.method, cell.agent or "ppo") if cell.method else {}
    for group in sorted(expected.keys() | line["settings"].keys()):
        now = expected.get(group, {})
        had = (asdict(defaults[group]) if group in defaults else {}) | line["settings"].get(
            group, {}
        )
        for name in sorted(had.keys() | now.keys()):
            if had.get(name) != now.get(name):
                raise ImitaxError(
                    f"{where} {group}.{name} {had.get(name)}, now {now.get(name)}: {rest}"
                )
    episodes = options.episodes * (_REFERENCE_EPISODES if cell in references(cell.env) else 1)
    if len(line["sampled"]) != episodes:
        raise ImitaxError(
            f"{where} {len(line['sampled'])} evaluation episodes, now {episodes}: {rest}"
        )


def _runs(seeds: set[int]) -> Iterator[list[int]]:
    """Runs of consecutive seeds, which are trained side by side."""
    part: list[int] = []
    for seed in sorted(seeds):
        if part and seed != part[-1] + 1:
            yield part
            part = []
        part.append(seed)
    if part:
        yield part


def _results(
    tasks: list[tuple[Cell, list[int]]], options: Options, workers: int
) -> Iterator[tuple[Cell, list[raw.Line]]]:
    """The lines of each task, in the order of completion."""
    if workers == 1 or len(tasks) < 2:
        for cell, seeds in tasks:
            yield cell, run_cell(cell, seeds, options)
        return
    # JAX does not survive a fork
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        futures = {pool.submit(run_cell, cell, seeds, options): cell for cell, seeds in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise ImitaxError(
            "A worker process died, perhaps out of memory: finished cells are saved, run the same "
            "command again with fewer workers."
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
