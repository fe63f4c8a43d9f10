"""From scratch: expert, demonstrations, cloning, GAIL and its control, in one table."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imitax import formats
from imitax.catalogue import method_title
from imitax.envs import make
from imitax.envs.base import Env
from imitax.files.write import write_json
from imitax.runs.folder import FolderOptions, new_folder, train_to_folder
from imitax.stats import figures
from imitax.stats.estimates import describe_returns, normalised
from imitax.stats.units import duration, evaluation_cells
from imitax.training.callbacks import Bar
from imitax.training.config import check_seed, make_config
from imitax.training.evaluation import Evaluation, evaluate, evaluate_random, record
from imitax.training.fit import Training

ENV = "Acrobot-v1"
TRAJECTORIES = 7
EPISODES = 100
COLUMNS = ["policy", "actions", "return", "95 % interval", "score", "time"]  # 80 characters wide


def quickstart(path: Path, bar: Bar, seed: int = 0) -> dict[str, Any]:
    """Train everything and write the new folder `path`; returns the content of summary.json."""
    start = time.perf_counter()
    check_seed(seed)
    new_folder(path)
    env = make(ENV)
    config = make_config("rl", ENV, seed=seed)
    options = FolderOptions(EPISODES)
    with bar("expert", config.iteration_steps) as callbacks:
        expert, _ = train_to_folder(config, env, None, path / "expert", options, callbacks)
    demonstrations = record(expert.policy, env, EPISODES, seed=seed + 1).choose(TRAJECTORIES)
    options = FolderOptions(EPISODES, source=str(path / "demonstrations.npz"))
    formats.save(demonstrations, path / "demonstrations.npz", spec=env.spec)

    trained: dict[str, Training] = {"expert": expert}
    for method in ("bc", "gail", "constant"):
        config = make_config(method, ENV, seed=seed)
        with bar(method, config.iteration_steps) as callbacks:
            trained[method], _ = train_to_folder(
                config, env, demonstrations, path / method, options, callbacks
            )
    summary = {"env": ENV, "seed": seed, "trajectories": TRAJECTORIES, "episodes": EPISODES}
    summary["policies"] = _evaluate_all(trained, env)
    summary["seconds"] = round(time.perf_counter() - start, 1)
    (path / "figures").mkdir()
    figures.save(_comparison(trained, summary["policies"]), path / "figures" / "quickstart")
    write_json(path / "summary.json", summary)
    return summary


def comparison_table(summary: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Title, columns and rows; two rows for each policy, deterministic and sampled."""
    trajectories, episodes = summary["trajectories"], summary["episodes"]
    title = f"{ENV}, {trajectories} demonstrated trajectories, {episodes} fresh episodes each"
    rows = [row for name, entry in summary["policies"].items() for row in _rows(name, entry)]
    return title, COLUMNS, rows


def _evaluate_all(trained: dict[str, Training], env: Env) -> dict[str, dict]:
    """name -> deterministic and sampled evaluation, seconds and environment steps of training."""
    uniform = evaluate_random(env, EPISODES)
    evaluations: dict[str, tuple[Evaluation | None, Evaluation]] = {"random": (None, uniform)}
    for name, training in trained.items():
        deterministic, sampled = (
            evaluate(training.policy, env, EPISODES, mode) for mode in (False, True)
        )
        evaluations[name] = deterministic, sampled
    random = uniform.returns.mean()
    expert = evaluations["expert"][1].returns.mean()  # the demonstrations were sampled
    entries = {}
    for name, pair in evaluations.items():
        entry: dict[str, Any] = {}
        for kind, evaluation in zip(("deterministic", "sampled"), pair, strict=True):
            entry[kind] = evaluation and describe_returns(evaluation.returns)
        for described in filter(None, entry.values()):
            described["normalised"] = float(normalised(described["mean"], random, expert))
        training = trained.get(name)
        entry["seconds"] = round(training.seconds, 1) if training else 0.0
        entry["env_steps"] = training.env_steps if training else 0
        entries[name] = entry
    return entries


def _rows(name: str, entry: dict) -> Iterator[list[str]]:
    time_taken = duration(entry["seconds"]) if entry["seconds"] else ""
    for kind in ("deterministic", "sampled"):
        if described := entry[kind]:
            yield [name, kind, *evaluation_cells(described, described["normalised"]), time_taken]
            name, time_taken = "", ""  # once per policy


def _comparison(trained: dict[str, Training], policies: dict):
    """Return of the training episodes, and the discriminator's scores."""
    figure, axes = figures.new(1, 2, width=5.0)
    left, right = axes[0]
    for name, colour in zip(("gail", "expert", "constant"), figures.COLOURS, strict=False):
        config = trained[name].config
        label = method_title(config.method, config.agent)
        figures.curve(left, trained[name].metrics["episode_return"], label, colour)
    figures.level(left, policies["expert"]["sampled"]["mean"], "expert")
    figures.level(left, policies["bc"]["sampled"]["mean"], method_title("bc"), ":")
    left.set(
        xlabel="iteration (5,120 steps)", ylabel="true return", title=f"{ENV}: training episodes"
    )
    for metric, label, colour in (
        ("expert_score", "expert pairs", figures.COLOURS[0]),
        ("policy_score", "policy pairs", figures.COLOURS[1]),
    ):
        figures.curve(right, trained["gail"].metrics[metric], label, colour)
    figures.level(right, 0.5, "½")
    right.set(xlabel="iteration", ylabel="mean D", title="GAIL: discriminator score")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8)
    return figure
