"""The command that runs benchmarks."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from imitax.cli.common import Out, answer, app


@app.command
def benchmark(
    name: Annotated[str, Positional, arg(metavar="NAME")],
    limit: Literal["paper", "native"] | None = None,
    agent: Literal["ppo", "trpo"] = "ppo",
    only: tuple[str, ...] = (),
    workers: int = 2,
    seeds: int | None = None,
    report: bool = False,
    out: Out = None,
    json: bool = False,
) -> None:
    """Run a benchmark's missing cells, then make its tables and figures from the raw results.

    Args:
        name: classic, ablation (of reward forms, on the classic tasks) or mujoco
        limit: time limit of the episodes: the paper's 200 steps, or the environments' own (mujoco: these)
        agent: policy optimiser of all learners but cloning
        only: cells to run, by name or pattern: CartPole-v1/bc/4 "*/gail-ppo/*"; default all
        workers: cells at a time, each in a process of its own
        seeds: for each cell, trained side by side; default 7, mujoco 3
        report: only make tables and figures of the raw results that are there (needs no JAX)
        out: folder of raw results, tables and figures; default benchmarks/classic or mujoco
        json: print the summary as JSON
    """
    import sys
    import time

    from imitax.benchmark.grid import BENCHMARKS, cells_of, select
    from imitax.benchmark.report import write_report
    from imitax.errors import ImitaxError

    cells = select(cells_of(name, agent), only)
    folder = out or Path("benchmarks") / ("mujoco" if name == "mujoco" else "classic")
    limit = limit or BENCHMARKS[name]
    if name == "mujoco" and limit == "paper":
        raise ImitaxError(
            "Option limit is 'paper', but on MuJoCo the paper's limits are the environments' own."
        )
    if not report:
        from imitax.benchmark.run import Options, run

        start, done = time.perf_counter(), 0

        def tell(cell, lines):
            nonlocal done
            done += 1
            seconds = sum(line["seconds"] for line in lines)
            played = [line["deterministic"] or line["sampled"] for line in lines]
            mean = sum(map(sum, played)) / sum(map(len, played))
            print(
                f"[{time.perf_counter() - start:6.0f} s, {done}] {cell.name}: {len(lines)} seed(s), "
                f"{seconds:.1f} s, mean return {mean:.1f}",
                file=sys.stderr, flush=True,
            )  # fmt: skip

        options = Options(folder, limit, seeds or 7)
        if name == "mujoco":
            options = Options(folder, limit, seeds or 3, iterations=None, steps=None)
        run(cells, options, workers, tell)
    summary = write_report(folder, limit)
    if json:
        return answer(summary, True)
    print((folder / f"{limit}.md").read_text())
    print(f"Raw results in {folder}/{limit}.jsonl, tables in {limit}.md, figures in {folder}/figures/")
