"""A run's sanity controls: the same run with a constant reward, and with a random policy's
demonstrations.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

from imitax import formats
from imitax.errors import ImitaxError
from imitax.methods.registry import default_settings, find_method
from imitax.runs.folder import FolderOptions, Run, new_folder, train_to_folder
from imitax.stats.estimates import normalised
from imitax.training.callbacks import Bar
from imitax.training.config import RunConfig, make_config
from imitax.training.evaluation import record_random

NAMES = ("constant", "junk")
LOW = 0.25  # of a normalised score, or a difference of two


def control(run: Run, folder: Path, bar: Bar) -> dict[str, Any]:
    """Repeat `run` with a constant reward and with junk demonstrations, in two run folders below
    `folder`.

    Junk: as many trajectories of the random policy. Scores are normalised by the run's own expert
    and random policy: interquartile mean over seeds, sampled actions, with its 95 % interval.

    Raises:
        ImitaxError: the run does not imitate in the loop, or its demonstrations have no returns.
    """
    config, expert, random = run.config, run.summary.get("expert"), run.summary["random"]
    entry = find_method(config.method)
    if not (entry.loop and entry.demonstrations):
        raise ImitaxError(
            f"Run '{run.path}' is of '{config.method}': controls are for gail, fem and gtal."
        )
    if not expert:
        raise ImitaxError(
            f"Run '{run.path}' has demonstrations without returns, so nothing to score against."
        )
    env = run.env()
    demonstrations = formats.load(run.path / "demonstrations.npz", env.spec)
    episodes = run.summary["sampled"]["episodes"] // config.seeds
    new_folder(folder)
    junk = record_random(env, len(demonstrations), seed=config.seed)
    result = {"run": _score(run.summary, random, expert)}
    for name, settings, data in (
        ("constant", _constant(config), demonstrations),
        ("junk", config, junk),
    ):
        with bar(name, config.iteration_steps) as callbacks:
            options = FolderOptions(episodes, source=name)
            _, summary = train_to_folder(settings, env, data, folder / name, options, callbacks)
        result[name] = _score(summary, random, expert)
    return result | {"verdict": verdict(result)}


def verdict(scores: dict[str, dict]) -> str:
    """What the scores mean, in a sentence."""
    own = scores["run"]["score"]
    name, best = max(((name, scores[name]["score"]) for name in NAMES), key=lambda pair: pair[1])
    comparison = f"The run scores {own:.2f}, the better control ({name}) {best:.2f}"
    if own < LOW:
        return f"{comparison}: nothing was learnt that a control would have to explain."
    if best < LOW * own:
        return f"{comparison}: what was learnt comes from the demonstrations."
    if best < own - LOW:
        return f"{comparison}: part of the result does not come from the demonstrations."
    return f"{comparison}: the result says nothing about the demonstrations."


def _constant(config: RunConfig) -> RunConfig:
    """The same loop, agent, reward form and absorbing states, with a discriminator that never
    learns.
    """
    names = {field.name for field in fields(default_settings("constant", config.agent)["reward"])}
    overrides = {}
    for group, values in config.settings.items():
        for field in fields(values):
            if group != "reward" or field.name in names:
                overrides[f"{group}.{field.name}"] = getattr(values, field.name)
    return make_config(
        "constant",
        config.env,
        agent=config.agent,
        overrides=overrides,
        backend=config.backend,
        time_limit=config.time_limit,
        seed=config.seed,
        seeds=config.seeds,
        trajectories=config.trajectories,
        subsample=config.subsample,
    )


def _score(summary: dict, random: dict, expert: dict) -> dict[str, Any]:
    described = summary["sampled"]
    low, high = (
        float(normalised(x, random["mean"], expert["mean"])) for x in described["interval"]
    )
    middle = float(normalised(described["interquartile_mean"], random["mean"], expert["mean"]))
    return {"score": middle, "interval": sorted((low, high)), "return": described["mean"]}
