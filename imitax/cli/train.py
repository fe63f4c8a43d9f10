"""Commands that train: expert, train, resume, quickstart, study."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from imitax.cli.common import (
    Backend,
    Env,
    Log,
    Out,
    Quiet,
    RunFolder,
    Set,
    Verbose,
    add_report,
    answer,
    app,
    verbosity,
)


@app.command
def quickstart(
    out: Out = None, seed: int = 0, json: bool = False, quiet: Quiet = False, verbose: Verbose = False
) -> None:
    """Train an Acrobot-v1 expert, clone and imitate it with GAIL, and compare all with the controls.

    Args:
        out: new folder to write; default runs/TIME-quickstart
        seed: of training
        json: print the summary as JSON instead of the table
        quiet: no progress, and of the result only the folder
        verbose: more of the progress
    """
    from imitax.cli.terminal import print_table
    from imitax.runs.folder import default_folder
    from imitax.stats.units import duration
    from imitax.studies.quickstart import comparison_table
    from imitax.studies.quickstart import quickstart as run

    path = out or default_folder("quickstart")
    summary = run(path, seed, verbosity(quiet, verbose))
    told = add_report([path / name for name in ("gail", "bc", "constant", "expert")], path)
    if json or quiet:
        return answer(summary, json, f"{path}")
    print_table(*comparison_table(summary))
    print(f"{duration(summary['seconds'])} in all. Written to {path}/\n{told}".rstrip())


@app.command
def expert(
    env: Env,
    agent: Literal["ppo", "trpo"] | None = None,
    seeds: int = 1,
    seed: int = 0,
    iterations: int | None = None,
    steps: int | None = None,
    backend: Backend = "auto",
    time_limit: int | None = None,
    episodes: int = 100,
    out: Out = None,
    checkpoint_every: int | None = None,
    set: Set = (),
    log: Log = (),
    json: bool = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a policy on the true reward.

    Args:
        env: environment id (see `imitax envs`)
        agent: policy optimiser; default ppo, or what the environment's tuned values name
        seeds: how many seeds to train side by side
        seed: the first of them
        iterations: cycles of collecting and updating; default 100
        steps: environment steps per iteration; default 5120
        backend: native (JAX), envpool, gymnasium, or auto: the first of them that has it
        time_limit: steps after which an episode is truncated; default the environment's own
        episodes: fresh evaluation episodes per seed, deterministic and sampled
        out: new run folder; default runs/TIME-rl-ENV
        checkpoint_every: iterations between two checkpoints, 0 for none; default about 250,000 steps
        set: other settings, for example agent.learning_rate=3e-4 (see `imitax methods`)
        log: tensorboard or wandb, while it trains; may be given twice
        json: print the summary as JSON
        quiet: no progress, and of the result only the folder
        verbose: the settings, every seed, and every iteration where stderr is no terminal
    """
    _train("rl", env, None, agent, seeds, seed, iterations, steps, None, 1, None, backend, time_limit,
           episodes, out, checkpoint_every, set, log, json, verbosity(quiet, verbose))  # fmt: skip


@app.command
def train(
    method: Annotated[str, Positional, arg(metavar="METHOD")],
    env: Env,
    demos: Annotated[str | None, arg(metavar="PATH")] = None,
    agent: Literal["ppo", "trpo"] | None = None,
    seeds: int = 1,
    seed: int = 0,
    iterations: int | None = None,
    steps: int | None = None,
    trajectories: int | None = None,
    subsample: int = 1,
    preset: str | None = None,
    init: Literal["bc"] | None = None,
    backend: Backend = "auto",
    time_limit: int | None = None,
    episodes: int = 100,
    out: Out = None,
    checkpoint_every: int | None = None,
    check: bool = False,
    set: Set = (),
    log: Log = (),
    json: bool = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn a policy from demonstrations.

    Args:
        method: bc, fem, gtal, gail, mce_irl or constant (see `imitax methods`)
        env: environment id (see `imitax envs`)
        demos: .npz, .json, a Minari folder or minari:ID, or a shipped set such as Acrobot-v1/7
        agent: policy optimiser; default ppo, or what the preset names
        seeds: how many seeds to train side by side, in one program
        seed: the first of them
        iterations: cycles of collecting and updating (bc: epochs); default 100 (bc: 300, mce_irl: 500)
        steps: environment steps per iteration; default 5120
        trajectories: use the first so many demonstrated trajectories; default all
        subsample: keep every so-many-th pair of each trajectory, from a random offset
        preset: published settings: original or paper
        init: bc: start from a clone of the demonstrations, and warm up its value function first
        backend: native (JAX), envpool, gymnasium, or auto: the first of them that has it
        time_limit: steps after which an episode is truncated; default the environment's own
        episodes: fresh evaluation episodes per seed, deterministic and sampled
        out: new run folder; default runs/TIME-METHOD-ENV
        checkpoint_every: iterations between two checkpoints, 0 for none; default about 250,000 steps
        check: look first whether the demonstrations can be of the environment; a problem ends it
        set: other settings, for example reward.form=logit reward.steps=5 (see `imitax methods`)
        log: tensorboard or wandb, while it trains; may be given twice
        json: print the summary as JSON
        quiet: no progress, and of the result only the folder
        verbose: the settings, every seed, and every iteration where stderr is no terminal
    """
    _train(method, env, demos, agent, seeds, seed, iterations, steps, trajectories, subsample, preset,
           backend, time_limit, episodes, out, checkpoint_every, set, log, json,
           verbosity(quiet, verbose), check, init)  # fmt: skip


def _train(method, env, source, agent, seeds, seed, iterations, steps, trajectories, subsample, preset,
           backend, time_limit, episodes, out, checkpoint_every, assignments, log, as_json,
           level, check=False, init=None):  # fmt: skip
    from imitax import envs
    from imitax.cli.terminal import Verbosity, live_bar, print_settings
    from imitax.experts.demonstrate import load_demonstrations
    from imitax.runs.folder import default_folder, overrides, train_to_folder
    from imitax.runs.loggers import Logging, make_loggers
    from imitax.training.config import make_config, parse_assignments

    values = overrides(method, iterations, steps, parse_assignments(sum(assignments, ())))
    config = make_config(
        method, env, agent=agent, preset=preset, overrides=values, backend=backend, time_limit=time_limit,
        seed=seed, seeds=seeds, trajectories=trajectories, subsample=subsample, init=init,
    )  # fmt: skip
    world = envs.make(env, backend, time_limit)
    demonstrations = None if source is None else load_demonstrations(source, world.spec)
    if check and demonstrations is not None:
        _check(demonstrations, world)
    path = out or default_folder(f"{method}-{env.replace('/', '_')}")
    loggers = make_loggers(log, path)
    if level == Verbosity.VERBOSE:
        print_settings(config)
    with (
        live_bar(method, config.iteration_steps, level, seed) as bar,
        Logging(loggers, config, bar) as progress,
    ):
        _, summary = train_to_folder(
            config, world, demonstrations, path, episodes, progress, source, checkpoint_every
        )
        progress.evaluation(summary)
    _finish(path, summary, as_json, level)


def _check(demonstrations, world) -> None:
    """What the data check finds, on stderr; a problem is an error."""
    import sys

    from imitax.diagnosis.data import check_data
    from imitax.errors import ImitaxError

    found = check_data(demonstrations, world)
    if found and found[0].severity == "problem":
        raise ImitaxError(str(found[0]))
    for finding in found:
        print(f"imitax: {finding.severity}: {finding}", file=sys.stderr)


@app.command
def resume(
    run: RunFolder,
    iterations: int | None = None,
    log: Log = (),
    json: bool = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Go on with a run that was interrupted, from its newest checkpoint, or further with a finished one.

    Args:
        run: run folder
        iterations: train up to so many, more than the run had; default what it had
        log: tensorboard or wandb, while it trains; may be given twice
        json: print the summary as JSON
        quiet: no progress, and of the result only the folder
        verbose: every seed, and every iteration where stderr is no terminal
    """
    from imitax.cli.terminal import live_bar
    from imitax.runs.folder import resume as go_on
    from imitax.runs.loggers import make_loggers

    level = verbosity(quiet, verbose)
    loggers = make_loggers(log, run, resumed=True)
    with live_bar(run.name, None, level) as progress:
        _, summary = go_on(run, iterations, progress=progress, loggers=loggers)
    (run / "report.html").unlink(missing_ok=True)  # of before
    _finish(run, summary, json, level)


def _finish(path: Path, summary: dict, as_json: bool, level: int) -> None:
    """The report of a run that is over, and its figures on the screen."""
    from imitax.cli.terminal import Verbosity, evaluation_cells, print_reward, print_table
    from imitax.stats.units import count, duration

    told = add_report([path], path)
    if as_json or level == Verbosity.QUIET:
        return answer(summary, as_json, f"{path}")
    rows = [
        [kind, *evaluation_cells(summary[kind], summary[kind].get("normalised"))]
        for kind in ("deterministic", "sampled")
    ]
    rows += [[kind, *evaluation_cells(summary[kind], None)] for kind in ("expert", "random") if summary[kind]]
    seeds = summary["seeds"]
    title = f"{summary['method']} on {summary['env']}, {seeds} seed{'s' * (seeds > 1)}"
    print_table(title, ["policy", "return", "95 % interval", "score"], rows)
    if "irl" in summary:
        print_reward(summary["irl"])
    steps = summary["env_steps_per_seed"]
    paced = f", {count(steps)} environment steps for each seed" if steps else ""
    print(f"Trained in {duration(summary['seconds'])}{paced}.")
    print(f"Written to {path}/\n{told}".rstrip())


@app.command
def study(
    name: Annotated[str, Positional, arg(metavar="NAME")],
    seeds: int = 5,
    iterations: int | None = None,
    only: tuple[str, ...] = (),
    out: Out = None,
    json: bool = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Repeat a study: every run and every figure; what is already there is not run again.

    Args:
        name: acrobot, the original study of GAIL on Acrobot-v1, corrected; theory, from MDPs to GAIL
        seeds: for each run, trained side by side
        iterations: of each run, 5,000 environment steps each; default 300 (theory: 150)
        only: names of runs, to make only these; default all
        out: folder of raw results, figures and summary; default studies/NAME
        json: print the summary as JSON
        quiet: no progress, and of the result only the folder
        verbose: more of the progress
    """
    from functools import partial

    from imitax.cli.terminal import live_bar, print_table
    from imitax.studies.study import find
    from imitax.studies.study import study as run_study

    path = out or Path("studies") / name
    bar = partial(live_bar, steps=find(name).steps, verbosity=verbosity(quiet, verbose))
    summary = run_study(name, path, seeds, iterations, only, bar)
    if json or quiet:
        return answer(summary, json, f"{path}")
    print_table(f"Study {name}, {seeds} seeds", *find(name).table(summary))
    print(f"Figures in {path}/figures/")
