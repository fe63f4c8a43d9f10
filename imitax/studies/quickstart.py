"""The main job from nothing: expert, demonstrations, cloning, GAIL, the control, one table."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imitax import formats
from imitax.catalogue import method_title
from imitax.cli.terminal import Verbosity, evaluation_cells, live_bar
from imitax.envs import make
from imitax.files.write import write_json
from imitax.runs.folder import new_folder, train_to_folder
from imitax.stats import figures
from imitax.stats.estimates import describe_returns, normalised
from imitax.stats.units import duration
from imitax.training.config import check_seed, make_config
from imitax.training.evaluation import Evaluation, evaluate, evaluate_random, record
from imitax.training.fit import Training

ENV = "Acrobot-v1"
TRAJECTORIES = 7
EPISODES = 100
COLUMNS = ["policy", "actions", "return", "95 % interval", "score", "time"]  # 80 characters wide


def quickstart(path: Path, seed: int = 0, verbosity: Verbosity = Verbosity.QUIET) -> dict[str, Any]:
    """Train everything and write the folder `path`; returns what summary.json holds."""
    start = time.perf_counter()
    check_seed(seed)
    new_folder(path)
    env = make(ENV)
    config = make_config("rl", ENV, seed=seed)
    with live_bar("expert", config.iteration_steps, verbosity, seed) as progress:
        expert, _ = train_to_folder(config, env, None, path / "expert", EPISODES, progress)
    demonstrations = record(expert.policy, env, EPISODES, seed=seed + 1).choose(TRAJECTORIES)
    source = str(path / "demonstrations.npz")
    formats.save(demonstrations, source, spec=env.spec)

    trained: dict[str, Training] = {"expert": expert}
    for method in ("bc", "gail", "constant"):
        config = make_config(method, ENV, seed=seed)
        with live_bar(method, config.iteration_steps, verbosity, seed) as progress:
            trained[method], _ = train_to_folder(
                config, env, demonstrations, path / method, EPISODES, progress, source
            )
    summary = {"env": ENV, "seed": seed, "trajectories": TRAJECTORIES, "episodes": EPISODES}
    summary["policies"] = _evaluate_all(trained, env)
    summary["seconds"] = round(time.perf_counter() - start, 1)
    (path / "figures").mkdir()
    figures.save(_comparison(trained, summary["policies"]), path / "figures" / "quickstart")
    write_json(path / "summary.json", summary)
    return summary


def comparison_table(summary: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Title, columns and rows: two for each policy, deterministic and sampled."""
    shown, episodes = summary["trajectories"], summary["episodes"]
    title = f"{ENV}, {shown} demonstrated trajectories, {episodes} fresh episodes each"
    rows = [row for name, entry in summary["policies"].items() for row in _rows(name, entry)]
    return title, COLUMNS, rows


def _evaluate_all(trained: dict[str, Training], env) -> dict[str, dict]:
    """name -> deterministic and sampled evaluation, seconds and environment steps of training."""

    def both(play) -> dict[str, Evaluation]:
        return {"deterministic": play(False), "sampled": play(True)}

    uniform = evaluate_random(env, EPISODES)
    found = {"random": {"deterministic": None, "sampled": uniform}}
    for name, training in trained.items():
        found[name] = both(lambda sampled, policy=training.policy: evaluate(policy, env, EPISODES, sampled))
    expert = found["expert"]["sampled"].returns.mean()  # the demonstrations were sampled
    result = {}
    for name, evaluations in found.items():
        entry = {kind: e and describe_returns(e.returns) for kind, e in evaluations.items()}
        for described in filter(None, entry.values()):
            described["normalised"] = float(normalised(described["mean"], uniform.returns.mean(), expert))
        training = trained.get(name)
        entry["seconds"] = round(training.seconds, 1) if training else 0.0
        entry["env_steps"] = training.env_steps if training else 0
        result[name] = entry
    return result


def _rows(name: str, entry: dict) -> Iterator[list[str]]:
    time_taken = duration(entry["seconds"]) if entry["seconds"] else ""
    for kind in ("deterministic", "sampled"):
        if described := entry[kind]:
            yield [name, kind, *evaluation_cells(described, described["normalised"]), time_taken]
            name, time_taken = "", ""  # told once


def _comparison(trained: dict[str, Training], policies: dict):
    """Episode length while training, and the discriminator's scores."""
    figure, axes = figures.new(1, 2, width=5.0)
    left, right = axes[0]
    for name, colour in zip(("gail", "expert", "constant"), figures.COLOURS, strict=False):
        config = trained[name].config
        label = method_title(config.method, config.agent)
        figures.curve(left, trained[name].metrics["episode_return"], label, colour)
    figures.level(left, policies["expert"]["sampled"]["mean"], "expert")
    figures.level(left, policies["bc"]["sampled"]["mean"], method_title("bc"), ":")
    left.set(xlabel="iteration (5,120 steps)", ylabel="true return", title=f"{ENV}: training episodes")
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
