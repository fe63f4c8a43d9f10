"""Run folders: what a run was made of, what happened, what came out.

config.json          settings, versions, seeds, fingerprint of the demonstrations: enough to repeat
metrics.jsonl        one line for each iteration and seed
checkpoints/         the newest states of training and the best one; `resume` continues from them
demonstrations.npz   what the method was given, before `trajectories` and `subsample`
policy.safetensors   the last policy of each seed; policy.json describes it
reward.safetensors   of mce_irl: the learnt reward [S, A] of each seed, and its parameters
visits.npz           observations of the policy at a few moments of training, and of the expert
figures/             learning curves, as PNG and SVG
summary.json         evaluation on fresh episodes; written last: without it, a run is incomplete
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from imitax import formats
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.envs.base import Env
from imitax.errors import ImitaxError
from imitax.files.read import read_json
from imitax.files.signals import first_signal
from imitax.files.write import finite, write_json
from imitax.methods.registry import find_method
from imitax.policies.policy import TrainedPolicy, load_policies, save_policies
from imitax.runs.held_out import held_out
from imitax.runs.provenance import describe_run
from imitax.runs.recorder import Recorder, check_version, default_interval
from imitax.runs.samples import SEEDS, save_samples
from imitax.runs.schema import check_parts, read_summary
from imitax.runs.summary import summarise
from imitax.stats import figures
from imitax.training import planning
from imitax.training.callbacks import Callback
from imitax.training.config import RunConfig, config_from_dict, config_value, override
from imitax.training.evaluation import check_episodes, record
from imitax.training.fit import Training, fit, fit_side_by_side, prepare
from imitax.training.logging import Logger, Logging


class Run(NamedTuple):
    """A finished run, read from its folder."""

    path: Path
    config: RunConfig
    summary: dict[str, Any]
    policies: list[TrainedPolicy]

    def env(self) -> Env:
        """The environment that it was trained on."""
        return make(self.config.env, self.config.backend, self.config.time_limit)


@dataclass(frozen=True)
class FolderOptions:
    """How a run is kept in its folder, besides what it is."""

    episodes: int = 100  # fresh evaluation episodes of each seed, deterministic and sampled
    source: str | None = None  # where the demonstrations came from, as the user named it
    checkpoint_every: int | None = (
        None  # iterations; None: about 250,000 environment steps; 0: only if stopped
    )


def default_folder(name: str) -> Path:
    """A folder below runs/ that does not exist yet, named after the time."""
    return Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"


def new_folder(path: Path) -> Path:
    """Make `path`; `ImitaxError` if it exists or cannot be made."""
    try:
        path.mkdir(parents=True)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise ImitaxError(f"Output folder '{path}' cannot be made: {error.strerror}.") from error
    return path


def train_to_folder(
    config: RunConfig,
    env: Env,
    demonstrations: Demonstrations | None,
    path: Path,
    options: FolderOptions = FolderOptions(),
    callbacks: Sequence[Callback] = (),
) -> tuple[Training, dict[str, Any]]:
    """Train, evaluate on fresh episodes for each seed, and write the run folder `path`.

    Bad input is an `ImitaxError` before the folder is made.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came; the run is saved, and `resume` continues it.
    """
    recorder = _begin(config, env, demonstrations, path, options, callbacks)
    with recorder.recording(), first_signal(recorder.stop):
        training = fit(config, env, demonstrations, [recorder])
    return training, _complete(recorder, training, env, demonstrations, options.episodes)


def train_to_folders(
    configs: dict[Path, RunConfig],
    env: Env,
    demonstrations: Demonstrations | None,
    options: FolderOptions = FolderOptions(),
    callbacks: Sequence[Callback] = (),
) -> dict[Path, tuple[Training, dict[str, Any]]]:
    """`train_to_folder` for configurations that differ in numbers alone, trained side by side.

    `callbacks` belong to the first of them. Each folder is that of a run of its own.
    """
    for path, config in configs.items():  # all of them before any folder is made
        _check(config, env, demonstrations, path, options)
    recorders = {}
    for path, config in configs.items():
        own = callbacks if not recorders else ()
        recorders[path] = _begin(config, env, demonstrations, path, options, own)

    def stop(signal: str) -> None:
        for recorder in recorders.values():
            recorder.stop(signal)

    with ExitStack() as stack:
        for recorder in recorders.values():
            stack.enter_context(recorder.recording())
        stack.enter_context(first_signal(stop))
        each = [[recorder] for recorder in recorders.values()]
        trainings = fit_side_by_side(list(configs.values()), env, demonstrations, each)
    return {
        path: (training, _complete(recorder, training, env, demonstrations, options.episodes))
        for (path, recorder), training in zip(recorders.items(), trainings, strict=True)
    }


def resume(
    path: str | os.PathLike,
    iterations: int | None = None,
    env: Env | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
) -> tuple[Training, dict[str, Any]]:
    """Resume an interrupted run from its newest whole checkpoint, or take a finished one to
    `iterations`.

    On a native environment the result is the same, bit for bit, as without the interruption. `env`
    is needed where the environment was made by a function. `loggers` continue from where the
    checkpoint stands.

    Raises:
        ImitaxError: there is no such run, it is finished, or a file that it needs is missing or
            damaged.
    """
    path = Path(path)
    check_parts(path, ("config.json",))
    described = read_run_config(path)
    config = _lengthened(path, config_from_dict(described["run"]), iterations)
    demonstrations = None
    env = env or make(config.env, config.backend, config.time_limit)
    if described.get("demonstrations") is not None:
        demonstrations = formats.load(path / "demonstrations.npz", env.spec)
        if demonstrations.fingerprint() != described["demonstrations"]["fingerprint"]:
            raise ImitaxError(
                f"File '{path / 'demonstrations.npz'}' is not what run '{path}' was begun with."
            )
    prepare(config, env, demonstrations)
    check_version(path)
    write_json(path / "config.json", described | {"run": config.as_dict()})
    (path / "summary.json").unlink(missing_ok=True)
    with Logging(loggers, config) as log:
        every = described["checkpoint_every"]
        recorder = Recorder(path, config, every, [*callbacks, log])
        with recorder.recording(), first_signal(recorder.stop):
            training = fit(config, env, demonstrations, [recorder], recorder.restore)
        summary = _complete(recorder, training, env, demonstrations, described["episodes"])
        log.evaluation(summary)
    return training, summary


def _lengthened(path: Path, config: RunConfig, iterations: int | None) -> RunConfig:
    """The configuration with `iterations`; `ImitaxError` if there is nothing left to do."""
    finished = (path / "summary.json").is_file()
    if iterations is not None:
        key = find_method(config.method).kind.length_setting
        before = config_value(config, key)
        if iterations < before:
            raise ImitaxError(
                f"Option iterations is {iterations}: expected at least the run's own {before}."
            )
        finished = finished and iterations == before
        config = replace(config, settings=override(config.settings, key, iterations))
    if finished:
        raise ImitaxError(
            f"Run '{path}' is finished: give more iterations to go further (--iterations N)."
        )
    return config


def read_run_config(path: Path) -> dict[str, Any]:
    """config.json of a run folder; `ImitaxError` if it is not one."""
    config = read_json(path / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("run"), dict):
        raise ImitaxError(
            f"File '{path / 'config.json'}' is not of a run: it has no settings under 'run'."
        )
    return config


def _check(
    config: RunConfig,
    env: Env,
    demonstrations: Demonstrations | None,
    path: Path,
    options: FolderOptions,
) -> None:
    """`ImitaxError` for what would stop a run."""
    check_episodes(options.episodes)
    if (every := options.checkpoint_every) is not None and every < 0:
        raise ImitaxError(f"Option checkpoint-every is {every}: expected at least 0.")
    prepare(config, env, demonstrations)
    if path.exists():
        raise _taken(path)


def _taken(path: Path) -> ImitaxError:
    return ImitaxError(f"Output folder '{path}' exists: choose another, nothing was written.")


def _begin(
    config: RunConfig,
    env: Env,
    demonstrations: Demonstrations | None,
    path: Path,
    options: FolderOptions,
    callbacks: Sequence[Callback],
) -> Recorder:
    """Make the folder of a run and write what is known beforehand, after all checks that could
    stop it.
    """
    _check(config, env, demonstrations, path, options)
    every = options.checkpoint_every
    every = default_interval(config) if every is None else every
    new_folder(path)
    if demonstrations is not None:
        formats.save(demonstrations, path / "demonstrations.npz")
    described = describe_run(config, demonstrations, options.source)
    write_json(
        path / "config.json", described | {"episodes": options.episodes, "checkpoint_every": every}
    )
    return Recorder(path, config, every, callbacks)


def _complete(
    recorder: Recorder,
    training: Training,
    env: Env,
    demonstrations: Demonstrations | None,
    episodes: int,
) -> dict[str, Any]:
    """Write what is left to write after training, the summary last; returns it."""
    path = recorder.path
    save_policies(training.policies, path / "policy.safetensors")
    if not find_method(training.config.method).loop:
        observations = [
            record(policy, env, min(episodes, 5)).observations
            for policy in training.policies[:SEEDS]
        ]
        recorder.samples.keep(training.iterations - 1, observations)
    used = None if training.demonstrations is None else training.demonstrations.observations
    episode = None if demonstrations is None else demonstrations.complete_episode()
    save_samples(recorder.samples.beside(used, episode), path / "visits.npz")
    summary = summarise(training, env, episodes)
    if (preference := held_out(training, demonstrations)) is not None:
        summary["held_out"] = preference
    if training.learnt is not None:
        planning.save_rewards(training.learnt, path / "reward.safetensors")
        summary["irl"] = finite(planning.describe(training, env))
    (path / "figures").mkdir(exist_ok=True)
    figures.save(figures.learning_curves(training.metrics, summary), path / "figures" / "learning")
    write_json(path / "summary.json", summary)
    return summary


def load_run(path: str | os.PathLike) -> Run:
    """Read a run folder; `ImitaxError` names the file that is missing or damaged."""
    path = Path(path)
    check_parts(
        path, ("config.json", "metrics.jsonl", "summary.json", "policy.safetensors", "policy.json")
    )
    config = config_from_dict(read_run_config(path)["run"])
    summary = read_summary(path / "summary.json", config.seeds)
    policies = load_policies(path / "policy.safetensors")
    if len(policies) != config.seeds:
        raise ImitaxError(f"Run '{path}' has {len(policies)} policies, but {config.seeds} seed(s).")
    return Run(path, config, summary, policies)


def load_policy(path: str | os.PathLike, seed: int = 0) -> TrainedPolicy:
    """The policy of one seed of a run folder, or of a policy.safetensors file."""
    path = Path(path)
    policies = load_policies(path) if path.suffix == ".safetensors" else load_run(path).policies
    if not 0 <= seed < len(policies):
        raise ImitaxError(f"Run '{path}' has seeds 0 … {len(policies) - 1}, not {seed}.")
    return policies[seed]
