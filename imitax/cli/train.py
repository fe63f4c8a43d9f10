"""Commands that train one run: expert, train, resume."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from imitax.cli.common import (
    Environment,
    EnvironmentOptions,
    Loggers,
    MethodName,
    Output,
    OutputOptions,
    PresetName,
    RunFolder,
    Training,
    TrainingOptions,
    add_report,
    answer,
)
from imitax.errors import ImitaxError

if TYPE_CHECKING:
    from imitax.demonstrations import Demonstrations
    from imitax.envs.base import Env


@dataclass(frozen=True)
class DemonstrationOptions:
    """The demonstrations and how much of them the method gets."""

    demos: Annotated[str | None, arg(metavar="PATH")] = None
    """Load .npz, .json, a Minari folder, minari:ID, or a shipped set such as Acrobot-v1/7."""
    trajectories: int | None = None
    """Use only the first N demonstrated trajectories; default: all."""
    subsample: int = 1
    """Keep every n-th pair of each trajectory, from a random offset."""
    check: bool = False
    """Check first that the demonstrations fit the environment; stop at a problem."""

    def load(self, env: "Env") -> "Demonstrations | None":
        """The demonstrations, checked if asked for; `ImitaxError` if they cannot be used."""
        from imitax.experts.demonstrate import load_demonstrations

        if self.demos is None:
            return None
        demonstrations = load_demonstrations(self.demos, env.spec)
        if self.check:
            _check(demonstrations, env)
        return demonstrations


@dataclass(frozen=True)
class Expert:
    """Train a policy on the true reward."""

    environment: Environment
    training: Training = TrainingOptions()
    output: Output = OutputOptions()

    def __call__(self) -> None:
        _train("rl", self.environment, DemonstrationOptions(), self.training, self.output)


@dataclass(frozen=True)
class Train:
    """Learn a policy from demonstrations."""

    method: Annotated[MethodName, Positional, arg(metavar="METHOD")]
    """Name the method, such as gail or bc (see `imitax methods`)."""
    environment: Environment
    preset: PresetName | None = None
    """Start from published settings (see `imitax methods`)."""
    init: Literal["bc"] | None = None
    """Start from a clone of the demonstrations, and warm up its value function first."""
    data: OmitArgPrefixes[DemonstrationOptions] = DemonstrationOptions()
    training: Training = TrainingOptions()
    output: Output = OutputOptions()

    def __call__(self) -> None:
        _train(
            self.method,
            self.environment,
            self.data,
            self.training,
            self.output,
            preset=self.preset,
            init=self.init,
        )


@dataclass(frozen=True)
class Resume:
    """Resume an interrupted run from its newest checkpoint, or extend a finished one."""

    run: RunFolder
    """Name the run folder."""
    iterations: int | None = None
    """Train up to this new total (at least the run's own); default: the run's own."""
    log: Loggers = ()
    """Log to TensorBoard or Weights & Biases too; repeat the option for both."""
    output: Output = OutputOptions()

    def __call__(self) -> None:
        verbosity = self.output.verbosity
        from imitax.cli.terminal import live_bar
        from imitax.runs.folder import resume
        from imitax.runs.loggers import make_loggers

        loggers = make_loggers(self.log, self.run, resumed=True)
        with live_bar(self.run.name, None, verbosity) as callbacks:
            _, summary = resume(self.run, self.iterations, callbacks=callbacks, loggers=loggers)
        (self.run / "report.html").unlink(missing_ok=True)  # it describes the run before
        _print_summary(self.run, summary, self.output)


def _train(
    method: str,
    environment: EnvironmentOptions,
    data: DemonstrationOptions,
    training: TrainingOptions,
    output: OutputOptions,
    **fields,
) -> None:
    """Train, write the run folder and print the summary; `fields` are those of `make_config`."""
    verbosity = output.verbosity  # a contradiction is refused before JAX is imported
    from imitax.cli.terminal import Verbosity, live_bar, print_settings
    from imitax.runs.folder import FolderOptions, default_folder, new_folder, train_to_folders
    from imitax.runs.loggers import make_loggers
    from imitax.training.logging import Logging

    fields |= {"trajectories": data.trajectories, "subsample": data.subsample}
    configs = training.configs(method, environment, **fields)
    config = next(iter(configs.values()))
    env = environment.make()
    demonstrations = data.load(env)
    path = training.out or default_folder(f"{method}-{config.env.replace('/', '_')}")
    loggers = make_loggers(training.log, path)
    if verbosity == Verbosity.VERBOSE:
        print_settings(config)
    if len(configs) > 1:
        new_folder(path)
    options = FolderOptions(training.episodes, data.demos, training.checkpoint_every)
    with (
        live_bar(method, config.iteration_steps, verbosity, config.seed) as callbacks,
        Logging(loggers, config) as log,
    ):
        folders = {path / name if name else path: config for name, config in configs.items()}
        runs = train_to_folders(folders, env, demonstrations, options, [*callbacks, log])
        log.evaluation(runs[next(iter(folders))][1])
    for folder, (_, summary) in runs.items():
        _print_summary(folder, summary, output)


def _check(demonstrations: "Demonstrations", env: "Env") -> None:
    """Print the findings of the data check on stderr; a problem is an `ImitaxError`."""
    from imitax.diagnosis.data import check_data

    findings = check_data(demonstrations, env)
    if findings and findings[0].severity == "problem":
        raise ImitaxError(str(findings[0]))
    for finding in findings:
        print(f"imitax: {finding.severity}: {finding}", file=sys.stderr)


def _print_summary(path: Path, summary: dict, output: OutputOptions) -> None:
    """Write the report of a finished run, and print its results."""
    from imitax.cli.terminal import print_reward, print_table
    from imitax.stats.units import count, duration, evaluation_cells

    report = add_report([path], path)
    if output.json or output.quiet:
        return answer(summary, output.json, f"{path}")
    rows = [
        [kind, *evaluation_cells(summary[kind], summary[kind].get("normalised"))]
        for kind in ("deterministic", "sampled")
    ]
    references = [kind for kind in ("expert", "random") if summary[kind]]
    rows += [[kind, *evaluation_cells(summary[kind], None)] for kind in references]
    seeds = summary["seeds"]
    title = f"{summary['method']} on {summary['env']}, {seeds} seed{'s' * (seeds > 1)}"
    print_table(title, ["policy", "return", "95 % interval", "score"], rows)
    if "irl" in summary:
        print_reward(summary["irl"])
    steps = summary["env_steps_per_seed"]
    length = f", {count(steps)} environment steps for each seed" if steps else ""
    print(f"Trained in {duration(summary['seconds'])}{length}.")
    print(f"Written to {path}/\n{report}".rstrip())
