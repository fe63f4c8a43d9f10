"""Run folders: what a run was made of, what happened, what came out.

config.json          settings, versions, seeds, fingerprint of the demonstrations: enough to repeat it
metrics.jsonl        one line for each iteration and seed
checkpoints/         the newest states of training and the best one, from which `resume` goes on
demonstrations.npz   what the method was shown, before `trajectories` and `subsample`
policy.safetensors   the last policy of each seed; policy.json describes it
reward.safetensors   of mce_irl: the learnt reward [S, A] of each seed, and its parameters
visits.npz           observations of the policy at a few moments of training, and of the demonstrations
figures/             learning curves, as PNG and SVG
summary.json         evaluation on fresh episodes; written last, so a folder without it is incomplete
"""

import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imitax import formats
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.envs.base import Env
from imitax.errors import ImitaxError
from imitax.files.read import read_json
from imitax.files.write import finite, write_json
from imitax.methods.registry import find_method
from imitax.policies.policy import Policy, load_policies, save_policies
from imitax.runs.held_out import held_out
from imitax.runs.loggers import Logger, Logging
from imitax.runs.recorder import Recorder, default_interval
from imitax.runs.samples import SEEDS, save_visits
from imitax.runs.schema import check_parts, read_summary
from imitax.stats import figures
from imitax.stats.estimates import describe_returns, normalised
from imitax.training import planning
from imitax.training.config import RunConfig, config_from_dict, config_value, make_config, override
from imitax.training.evaluation import check_episodes, evaluate, evaluate_random, record
from imitax.training.fit import Progress, Training, fit, prepare

_PACKAGES = ("imitax", "jax", "jaxlib", "equinox", "optax", "gymnasium", "gymnax", "numpy")


class Run(NamedTuple):
    """A finished run, read from its folder."""

    path: Path
    config: RunConfig
    summary: dict[str, Any]
    policies: list[Policy]

    def env(self) -> Env:
        """The environment that it was trained on."""
        return make(self.config.env, self.config.backend, self.config.time_limit)


def train(
    method: str,
    env: Env,
    demonstrations: Demonstrations | None = None,
    *,
    agent: str | None = None,
    seeds: int = 1,
    seed: int = 0,
    iterations: int | None = None,
    steps: int | None = None,
    trajectories: int | None = None,
    subsample: int = 1,
    preset: str | None = None,
    init: str | None = None,
    settings: dict[str, Any] | None = None,
    progress: Progress | None = None,
    loggers: Sequence[Logger] = (),
) -> Training:
    """Train `method` (see `imitax methods`) on `env`: policies and metrics.

    `seeds` seeds from `seed` on are trained side by side; `iterations` and `steps` (environment steps per
    iteration) replace the loop's, `settings` any other value by its key ("reward.learning_rate").
    `progress` and `loggers` (`TensorBoard`, `WandB`, or your own) are told every iteration's metrics.
    """
    config = make_config(
        method,
        env.spec.id,
        agent=agent,
        preset=preset,
        init=init,
        overrides=overrides(method, iterations, steps, settings),
        seed=seed,
        seeds=seeds,
        trajectories=trajectories,
        subsample=subsample,
        backend=env.backend,
        time_limit=env.spec.time_limit,
    )
    if not loggers:
        return fit(config, env, demonstrations, progress)
    with Logging(loggers, config, progress) as log:
        return fit(config, env, demonstrations, log)


def overrides(
    method: str, iterations: int | None, steps: int | None, settings: dict | None
) -> dict[str, Any]:
    """Short options as settings; those of `settings` come last."""
    result: dict[str, Any] = {}
    if iterations is not None:
        result[find_method(method).kind.value] = iterations
    if steps is not None:
        result["loop.steps"] = steps
    return result | (settings or {})


def default_folder(name: str) -> Path:
    """A folder below runs/ that does not exist yet, named after the time."""
    return Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"


def new_folder(path: Path) -> Path:
    """Make `path`; `ImitaxError` if it exists or cannot be made."""
    try:
        path.mkdir(parents=True)
    except FileExistsError as error:
        raise ImitaxError(f"Output folder '{path}' exists: choose another, nothing was written.") from error
    except OSError as error:
        raise ImitaxError(f"Output folder '{path}' cannot be made: {error.strerror}.") from error
    return path


def train_to_folder(
    config: RunConfig,
    env: Env,
    demonstrations: Demonstrations | None,
    path: Path,
    episodes: int,
    progress: Progress | None = None,
    source: str | None = None,
    checkpoint_every: int | None = None,
) -> tuple[Training, dict[str, Any]]:
    """Train, evaluate on `episodes` fresh episodes for each seed, and write the run folder `path`.

    A checkpoint is written every `checkpoint_every` iterations (default: about 250,000 environment steps; 0:
    only when asked to stop) and at the end. Bad input is an `ImitaxError` before the folder is made.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came; the run is saved, and `resume` goes on with it.
    """
    check_episodes(episodes)
    prepare(config, env, demonstrations)
    every = default_interval(config) if checkpoint_every is None else checkpoint_every
    if every < 0:
        raise ImitaxError(f"Option checkpoint-every is {every}: expected at least 0.")
    new_folder(path)
    if demonstrations is not None:
        formats.save(demonstrations, path / "demonstrations.npz")
    described = _describe_config(config, demonstrations, source)
    described |= {"episodes": episodes, "checkpoint_every": every}
    write_json(path / "config.json", described)
    return _train_in(path, config, env, demonstrations, episodes, every, progress)


def resume(
    path: Path,
    iterations: int | None = None,
    env: Env | None = None,
    progress: Progress | None = None,
    loggers: Sequence[Logger] = (),
) -> tuple[Training, dict[str, Any]]:
    """Go on with an interrupted run from its newest whole checkpoint, or with a finished one to `iterations`.

    On a native environment the result is the same, bit for bit, as without the interruption. `env` is needed
    where the environment was made by a function. `loggers` count on where the checkpoint stands.

    Raises:
        ImitaxError: there is no such run, it is finished, or a file that it needs is missing or damaged.
    """
    check_parts(path, ("config.json",))
    described = read_run_config(path)
    config = config_from_dict(described["run"])
    done = (path / "summary.json").is_file()
    if iterations is not None:
        key = find_method(config.method).kind.value
        before = config_value(config, key)
        if iterations < before:
            raise ImitaxError(f"Option iterations is {iterations}: expected at least the run's own {before}.")
        done = done and iterations == before
        config = replace(config, settings=override(config.settings, key, iterations))
    if done:
        raise ImitaxError(f"Run '{path}' is finished: give more iterations to go further (--iterations N).")
    demonstrations = None
    if described.get("demonstrations") is not None:
        env = env or make(config.env, config.backend, config.time_limit)
        demonstrations = formats.load(path / "demonstrations.npz", env.spec)
        if demonstrations.fingerprint() != described["demonstrations"]["fingerprint"]:
            raise ImitaxError(
                f"File '{path / 'demonstrations.npz'}' is not what run '{path}' was begun with."
            )
    env = env or make(config.env, config.backend, config.time_limit)
    prepare(config, env, demonstrations)
    write_json(path / "config.json", described | {"run": config.as_dict()})
    (path / "summary.json").unlink(missing_ok=True)
    with Logging(loggers, config, progress) as log:
        training, summary = _train_in(
            path, config, env, demonstrations, described["episodes"], described["checkpoint_every"], log
        )
        log.evaluation(summary)
    return training, summary


def read_run_config(path: Path) -> dict[str, Any]:
    """config.json of a run folder; `ImitaxError` if it is not one."""
    config = read_json(path / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("run"), dict):
        raise ImitaxError(f"File '{path / 'config.json'}' is not of a run: it has no settings under 'run'.")
    return config


def _train_in(
    path, config, env, demonstrations, episodes, every, progress
) -> tuple[Training, dict[str, Any]]:
    """Train, from a checkpoint if there is one, and write what is missing in a run folder."""
    recorder = Recorder(path, config, every, progress)
    with recorder.recording():
        training = fit(config, env, demonstrations, recorder.note, recorder.visits, recorder)
    save_policies(training.policies, path / "policy.safetensors")
    if not find_method(config.method).loop:
        shown = [record(policy, env, min(episodes, 5)).observations for policy in training.policies[:SEEDS]]
        recorder.visits.keep(training.iterations - 1, shown)
    save_visits(recorder.visits.visits(training.demonstrations, demonstrations), path / "visits.npz")
    summary = summarise(training, env, episodes)
    if (known := held_out(training, demonstrations)) is not None:
        summary["held_out"] = known
    if training.learnt is not None:
        planning.save_rewards(training.learnt, path / "reward.safetensors")
        summary["irl"] = finite(planning.describe(training, env))
    (path / "figures").mkdir(exist_ok=True)
    figures.save(figures.learning_curves(training.metrics, summary), path / "figures" / "learning")
    write_json(path / "summary.json", summary)
    return training, summary


def summarise(training: Training, env: Env, episodes: int) -> dict[str, Any]:
    """Deterministic and sampled evaluation, beside the random policy and the demonstrations' own return."""
    random = describe_returns(evaluate_random(env, episodes).returns)
    demonstrations = training.demonstrations
    expert = None
    if demonstrations is not None and np.isfinite(demonstrations.returns).all():
        expert = describe_returns(demonstrations.returns)
    summary: dict[str, Any] = {
        "method": training.config.method,
        "env": training.config.env,
        "seeds": training.config.seeds,
        "seconds": round(training.seconds, 3),
        "env_steps_per_seed": training.env_steps,
        "random": random,
        "expert": expert,
    }
    for name, stochastic in (("deterministic", False), ("sampled", True)):
        result = evaluate(training.policies, env, episodes, stochastic)
        described = describe_returns(result.returns)
        if expert is not None:
            score = normalised(described["interquartile_mean"], random["mean"], expert["mean"])
            described["normalised"] = float(score)
        described["episode_length"] = float(result.lengths.mean())
        summary[name] = described
    summary["final"] = {name: _known_mean(values[:, -1]) for name, values in training.metrics.items()}
    return finite(summary)


def load_run(path: Path) -> Run:
    """Read a run folder; `ImitaxError` names the file that is missing or damaged."""
    check_parts(path, ("config.json", "metrics.jsonl", "summary.json", "policy.safetensors", "policy.json"))
    config = config_from_dict(read_run_config(path)["run"])
    summary = read_summary(path / "summary.json", config.seeds)
    policies = load_policies(path / "policy.safetensors")
    if len(policies) != config.seeds:
        raise ImitaxError(f"Run '{path}' has {len(policies)} policies, but {config.seeds} seed(s).")
    return Run(path, config, summary, policies)


def load_policy(path: str | Path, seed: int = 0) -> Policy:
    """The policy of one seed of a run folder, or of a policy.safetensors file."""
    path = Path(path)
    policies = load_policies(path) if path.suffix == ".safetensors" else load_run(path).policies
    if not 0 <= seed < len(policies):
        raise ImitaxError(f"Run '{path}' has seeds 0 … {len(policies) - 1}, not {seed}.")
    return policies[seed]


def versions() -> dict[str, str]:
    """Versions of Python, the package and what its results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _describe_config(config: RunConfig, demonstrations: Demonstrations | None, source: str | None) -> dict:
    return {
        "run": config.as_dict(),
        "demonstrations": None
        if demonstrations is None
        else {
            "source": source,
            "fingerprint": demonstrations.fingerprint(),
            "trajectories": len(demonstrations),
        },
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _known_mean(values: np.ndarray) -> float | None:
    """Mean over the seeds that have a value (no episode may have ended in the last iteration)."""
    known = values[np.isfinite(values)]
    return known.mean().item() if known.size else None
