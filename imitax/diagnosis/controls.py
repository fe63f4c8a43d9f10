"""A run's companions: the same with a reward that says nothing, and with demonstrations that show nothing."""

from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from imitax import formats
from imitax.errors import ImitaxError
from imitax.methods.registry import Kind, default_settings, find_method
from imitax.runs.folder import Run, new_folder, train_to_folder
from imitax.stats.estimates import normalised
from imitax.training.config import RunConfig, make_config
from imitax.training.evaluation import record_random
from imitax.training.fit import Progress

NAMES = ("constant", "junk")
LITTLE = 0.25  # of a normalised score


@runtime_checkable
class Bar(Protocol):
    """Makes a progress callback for each control."""

    def __call__(self, label: str) -> AbstractContextManager[Progress | None]:
        """A context with the callback of the run called `label`."""


def control(run: Run, folder: Path, bar: Bar) -> dict[str, Any]:
    """Repeat `run` with a constant reward and with junk demonstrations, in two runs below `folder`.

    Junk: as many trajectories of the random policy. Scores are normalised by the run's own expert and random
    policy: interquartile mean over seeds, sampled actions, and its 95 % interval.

    Raises:
        ImitaxError: the run does not imitate in the loop, or its demonstrations tell no return.
    """
    config, expert, random = run.config, run.summary.get("expert"), run.summary["random"]
    entry = find_method(config.method)
    if entry.kind is not Kind.LOOP or not entry.demonstrations:
        raise ImitaxError(f"Run '{run.path}' is of '{config.method}': controls are for gail, fem and gtal.")
    if not expert:
        raise ImitaxError(
            f"Run '{run.path}' has demonstrations without returns, so nothing to score against."
        )
    env = run.env()
    shown = formats.load(run.path / "demonstrations.npz", env.spec)
    episodes = run.summary["sampled"]["episodes"] // config.seeds
    new_folder(folder)
    result = {"run": _score(run.summary, random, expert)}
    for name, made, given in (
        ("constant", _constant(config), shown),
        ("junk", config, record_random(env, len(shown), seed=config.seed)),
    ):
        with bar(name) as progress:
            _, summary = train_to_folder(made, env, given, folder / name, episodes, progress, name)
        result[name] = _score(summary, random, expert)
    return result | {"verdict": verdict(result)}


def verdict(result: dict[str, dict]) -> str:
    """What the scores mean, in a sentence."""
    own = result["run"]["score"]
    name, worst = max(((name, result[name]["score"]) for name in NAMES), key=lambda pair: pair[1])
    told = f"The run scores {own:.2f}, the better control ({name}) {worst:.2f}"
    if own < LITTLE:
        return f"{told}: nothing was learnt that a control would have to explain."
    if worst < LITTLE * own:
        return f"{told}: what was learnt comes from the demonstrations."
    if worst < own - LITTLE:
        return f"{told}: part of the result does not come from the demonstrations."
    return f"{told}: the result says nothing about the demonstrations."


def _constant(config: RunConfig) -> RunConfig:
    """The same loop, agent, reward form and absorbing states, with a discriminator that never learns."""
    own = {field.name for field in fields(default_settings("constant", config.agent)["reward"])}
    overrides = {}
    for group, values in config.settings.items():
        for field in fields(values):
            if group != "reward" or field.name in own:
                overrides[f"{group}.{field.name}"] = getattr(values, field.name)
    return make_config(
        "constant", config.env, agent=config.agent, overrides=overrides, backend=config.backend,
        time_limit=config.time_limit, seed=config.seed, seeds=config.seeds,
        trajectories=config.trajectories, subsample=config.subsample,
    )  # fmt: skip


def _score(summary: dict, random: dict, expert: dict) -> dict[str, Any]:
    found = summary["sampled"]
    low, high = (float(normalised(x, random["mean"], expert["mean"])) for x in found["interval"])
    middle = float(normalised(found["interquartile_mean"], random["mean"], expert["mean"]))
    return {"score": middle, "interval": sorted((low, high)), "return": found["mean"]}
