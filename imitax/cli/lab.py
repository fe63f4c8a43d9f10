"""Commands that run experiments: quickstart, transfer, study, benchmark."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from imitax.cli.common import (
    AgentName,
    EnvId,
    NewFolder,
    Output,
    OutputOptions,
    RunFolder,
    add_report,
    answer,
)
from imitax.errors import ImitaxError

if TYPE_CHECKING:
    from imitax.benchmark.grid import Cell


@dataclass(frozen=True)
class Quickstart:
    """Train an Acrobot-v1 expert, clone it, imitate it with GAIL, and compare with controls."""

    out: NewFolder = None
    """Write everything to this new folder; default: runs/TIME-quickstart."""
    seed: int = 0
    """Set the seed of training."""
    output: Output = OutputOptions()

    def __call__(self) -> None:
        from imitax.cli.terminal import live_bar, print_table
        from imitax.runs.folder import default_folder
        from imitax.stats.units import duration
        from imitax.studies.quickstart import comparison_table, quickstart

        path = self.out or default_folder("quickstart")
        bar = partial(live_bar, verbosity=self.output.verbosity, seed=self.seed)
        summary = quickstart(path, bar, self.seed)
        report = add_report([path / name for name in ("gail", "bc", "constant", "expert")], path)
        if self.output.json or self.output.quiet:
            return answer(summary, self.output.json, f"{path}")
        print_table(*comparison_table(summary))
        print(f"{duration(summary['seconds'])} in total. Written to {path}/\n{report}".rstrip())


@dataclass(frozen=True)
class Transfer:
    """Plan in another tabular environment with the reward learnt by an mce_irl run."""

    run: RunFolder
    """Name the run folder, of mce_irl."""
    env: EnvId
    """Name the other environment by its id (see `imitax envs`)."""
    time_limit: int | None = None
    """Truncate episodes after this many steps; required if the environment has no limit."""
    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> None:
        from imitax import envs
        from imitax.cli.terminal import print_table
        from imitax.runs.folder import load_run
        from imitax.training.planning import transfer

        result = transfer(load_run(self.run), envs.make(self.env, time_limit=self.time_limit))
        if self.json:
            return answer(result, True)
        returns = {
            "planned with the learnt reward": result["return_planned_anew"],
            "the run's own policy": result["return_old_policy"] or [float("nan")],
            "best": [result["return_best"]],
            "random": [result["return_random"]],
        }
        rows = [[label, f"{sum(x) / len(x):.4g}"] for label, x in returns.items()]
        title = f"Discounted return in {result['to']}, reward learnt in {result['from']}"
        print_table(title, ["policy", "return"], rows)


@dataclass(frozen=True)
class Study:
    """Repeat a study with all its runs and figures, keeping results that exist."""

    name: Annotated[str, Positional, arg(metavar="NAME")]
    """Name the study: acrobot (the original one, corrected) or theory (from MDPs to GAIL)."""
    seeds: int = 5
    """Train this many seeds of each run side by side."""
    iterations: int | None = None
    """Train each run for this many iterations; default: the study's own."""
    only: tuple[str, ...] = ()
    """Run only these cases of the study; default: all."""
    out: NewFolder = None
    """Write results, figures and summary to this folder; default: studies/NAME."""
    output: Output = OutputOptions()

    def __call__(self) -> None:
        from imitax.cli.terminal import live_bar, print_table
        from imitax.studies.runner import find, run_study

        path = self.out or Path("studies") / self.name
        bar = partial(live_bar, steps=find(self.name).steps, verbosity=self.output.verbosity)
        summary = run_study(self.name, path, self.seeds, self.iterations, self.only, bar)
        if self.output.json or self.output.quiet:
            return answer(summary, self.output.json, f"{path}")
        print_table(f"Study {self.name}, {self.seeds} seeds", *find(self.name).table(summary))
        print(f"Figures in {path}/figures/")


@dataclass(frozen=True)
class Benchmark:
    """Run the missing cells of a benchmark, then make tables and figures of the raw results."""

    name: Annotated[str, Positional, arg(metavar="NAME")]
    """Name the benchmark: classic, mujoco, or ablation (reward forms on the classic tasks)."""
    limit: Literal["paper", "native"] | None = None
    """Select the time limit: the paper's 200 steps, or the environment's own (mujoco: always)."""
    agent: AgentName = AgentName("ppo")
    """Select the policy optimiser of all methods but cloning (see `imitax methods`)."""
    only: tuple[str, ...] = ()
    """Run only these cells, by name or pattern: CartPole-v1/bc/4 "*/gail-ppo/*"; default: all."""
    workers: int = 2
    """Run this many cells at a time, each in its own process."""
    seeds: int | None = None
    """Train this many seeds of each cell side by side; default: 7 (mujoco: 3)."""
    report: bool = False
    """Skip the runs: make only tables and figures of existing results (needs no JAX)."""
    out: NewFolder = None
    """Write results, tables and figures to this folder; default: benchmarks/classic or mujoco."""
    json: bool = False
    """Print the summary as JSON."""

    def __call__(self) -> None:
        from imitax.benchmark.grid import BENCHMARKS, cells_of, select
        from imitax.benchmark.report import write_report

        mujoco = self.name == "mujoco"
        cells = select(cells_of(self.name, self.agent), self.only)
        folder = self.out or Path("benchmarks") / ("mujoco" if mujoco else "classic")
        limit = self.limit or BENCHMARKS[self.name]
        if mujoco and limit == "paper":
            raise ImitaxError(
                "Option limit is 'paper', but on MuJoCo the paper uses the native limits."
            )
        if not self.report:
            from imitax.benchmark.run import Options, run

            options = Options(folder, limit, self.seeds or 7)
            if mujoco:
                options = Options(folder, limit, self.seeds or 3, iterations=None, steps=None)
            run(cells, options, self.workers, _progress())
        summary = write_report(folder, limit)
        if self.json:
            return answer(summary, True)
        print((folder / f"{limit}.md").read_text())
        print(
            f"Raw results in {folder}/{limit}.jsonl, tables in {folder}/{limit}.md, "
            f"figures in {folder}/figures/"
        )


def _progress() -> "Callable[[Cell, list[dict]], None]":
    """A function that prints a line on stderr about each cell with its new results."""
    start, cells = time.perf_counter(), 0

    def report(cell: "Cell", lines: list[dict]) -> None:
        nonlocal cells
        cells += 1
        seconds = sum(line["seconds"] for line in lines)
        returns = [line["deterministic"] or line["sampled"] for line in lines]
        mean = sum(map(sum, returns)) / sum(map(len, returns))
        print(
            f"[{time.perf_counter() - start:6.0f} s, {cells}] {cell.name}: {len(lines)} seed(s), "
            f"{seconds:.1f} s, mean return {mean:.1f}",
            file=sys.stderr,
            flush=True,
        )

    return report
