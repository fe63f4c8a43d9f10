"""The original study of GAIL on Acrobot-v1, with several seeds and the controls it lacked."""

import time
from typing import NamedTuple

import numpy as np

from imitax.data import shipped_path
from imitax.stats import figures
from imitax.stats.estimates import bootstrap_interval, interquartile_mean
from imitax.studies.study import Arrays, Study

ENV = "Acrobot-v1"
EPISODES = 100
STEPS = 5000  # per iteration
METRICS = (
    *("episode_length", "entropy", "reward_mean", "reward_std", "expertlike_fraction"),
    *("expert_score", "policy_score", "discriminator_loss", "discriminator_accuracy"),
)


class Case(NamedTuple):
    """One run of the study: a method with its demonstrations and settings."""

    label: str
    method: str
    demonstrations: str | None  # a shipped set; "junk": a random policy's trajectories; or None
    preset: str | None = None
    settings: tuple[tuple[str, object], ...] = ()


CASES = {
    "gail-1": Case("1 trajectory", "gail", "Acrobot-v1/1"),
    "gail-4": Case("4 trajectories", "gail", "Acrobot-v1/4"),
    "gail-7": Case("7 trajectories", "gail", "Acrobot-v1/7"),
    "gail-10": Case("10 trajectories", "gail", "Acrobot-v1/10"),
    "ppo": Case("PPO on the true reward", "rl", None),
    "gail-7-pretrained": Case(
        "discriminator pre-trained", "gail", "Acrobot-v1/7", None, (("loop.pretrain", 30),)
    ),
    "original-gail": Case("original, expert's demonstrations", "gail", "Acrobot-v1/7", "original"),
    "original-constant": Case("original, constant reward", "constant", None, "original"),
    "original-junk": Case("original, random policy's demonstrations", "gail", "junk", "original"),
    "constant": Case("ours, constant reward", "constant", None),
    "junk": Case("ours, random policy's demonstrations", "gail", "junk"),
}


def run_case(key: str, seeds: int, iterations: int, callbacks) -> Arrays:
    """Train a case with all seeds at once and evaluate the final policies.

    Curves are [S, I] as curve_NAME, returns of fresh episodes [S, N] as sampled and deterministic;
    seconds are those of training.
    """
    from imitax.envs import make
    from imitax.experts.demonstrate import load_demonstrations
    from imitax.training.evaluation import evaluate, record_random
    from imitax.training.train import train

    case, env = CASES[key], make(ENV)
    demonstrations = None
    if case.demonstrations == "junk":
        demonstrations = record_random(env, 7)
    elif case.demonstrations is not None:
        demonstrations = load_demonstrations(case.demonstrations, env.spec)
    start = time.perf_counter()
    training = train(
        case.method,
        env,
        demonstrations,
        seeds=seeds,
        iterations=iterations,
        steps=STEPS,
        preset=case.preset,
        settings=dict(case.settings),
        callbacks=callbacks,
    )
    seconds = time.perf_counter() - start
    curves = {
        f"curve_{name}": training.metrics[name] for name in METRICS if name in training.metrics
    }
    sampled, deterministic = (
        evaluate(training.policies, env, EPISODES, stochastic).returns
        for stochastic in (True, False)
    )
    return {"sampled": sampled, "deterministic": deterministic, "seconds": np.array(seconds)} | {
        name: values.astype(np.float32) for name, values in curves.items()
    }


def _summarise(result: Arrays) -> dict:
    means = result["sampled"].mean(axis=1)
    sampled = {
        "interquartile_mean": float(interquartile_mean(means)),
        "interval": list(bootstrap_interval(means, interquartile_mean)),
        "seed_means": means.tolist(),
    }
    deterministic = float(interquartile_mean(result["deterministic"].mean(axis=1)))
    return {
        "return_sampled": sampled,
        "return_deterministic": {"interquartile_mean": deterministic},
        "seconds": round(float(result["seconds"]), 1),
    }


def expert_length() -> float:
    """Mean episode length of the ten shipped demonstrations."""
    with np.load(shipped_path("Acrobot-v1/10"), allow_pickle=False) as data:
        return float(data["episode_steps"].mean())


def _lengths(axis, results: dict[str, Arrays], title: str) -> None:
    for (key, result), colour in zip(results.items(), figures.COLOURS, strict=False):
        figures.curve(axis, result["curve_episode_length"], CASES[key].label, colour)
    figures.level(axis, expert_length(), "expert")
    axis.set(
        xlabel="iteration (5,000 pairs)",
        ylabel="episode length (steps)",
        title=title,
        ylim=(50, 520),
    )
    axis.legend(frameon=False, fontsize=8, loc="center right")


def draw_lengths(results: dict[str, Arrays]):
    """(a) Episode length during training for each number of demonstrations."""
    figure, axes = figures.new(width=6.5, height=4)
    _lengths(axes[0, 0], results, "GAIL on Acrobot-v1, by number of demonstrations")
    return figure


def draw_scores(results: dict[str, Arrays]):
    """(b) Discriminator scores and loss."""
    figure, axes = figures.new(2, len(results), width=4.6, height=3.0)
    for column, (key, result) in enumerate(results.items()):
        top, bottom = axes[:, column]
        for name, label, colour in (
            ("expert_score", "expert pairs", 0),
            ("policy_score", "policy pairs", 1),
        ):
            figures.curve(top, result[f"curve_{name}"], label, figures.COLOURS[colour])
        figures.level(top, 0.5, "0.5")
        top.set(ylabel="mean score D", title=_setting(key), ylim=(0, 1))
        figures.curve(bottom, result["curve_discriminator_loss"], "loss", figures.COLOURS[2])
        figures.level(bottom, 2 * np.log(2), "2 ln 2")
        bottom.set(xlabel="iteration", ylabel="discriminator loss (nats)")
        for axis in (top, bottom):
            axis.legend(frameon=False, fontsize=8)
    return figure


def draw_reward(results: dict[str, Arrays]):
    """(c) Standard deviation of the reward, and policy pairs above the expert's mean score."""
    figure, axes = figures.new(1, 2, width=5.0)
    left, right = axes[0]
    for (key, result), colour in zip(results.items(), figures.COLOURS, strict=False):
        figures.curve(left, result["curve_reward_std"], _setting(key), colour)
        figures.curve(right, 5000 * result["curve_expertlike_fraction"], _setting(key), colour)
    left.set(xlabel="iteration", ylabel="standard deviation of the reward", title="learnt reward")
    right.set(
        xlabel="iteration",
        ylabel="policy pairs of 5,000",
        title="pairs with D ≥ the expert's mean D",
    )
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8)
    return figure


def draw_against_ppo(results: dict[str, Arrays]):
    """(d) GAIL against PPO on the true reward, from the same initial parameters."""
    figure, axes = figures.new(width=6.5, height=4)
    _lengths(axes[0, 0], results, "GAIL and PPO on the true reward, same initial parameters")
    return figure


def draw_pretrained(results: dict[str, Arrays]):
    """(e) GAIL and PPO as in (d), and GAIL with a discriminator pre-trained for 30 iterations."""
    figure, axes = figures.new(width=6.5, height=4)
    _lengths(axes[0, 0], results, "Pre-training the discriminator for 30 iterations")
    return figure


def draw_controls(results: dict[str, Arrays]):
    """(f) Constant reward and junk demonstrations, in the original setting and in ours."""
    figure, axes = figures.new(1, 2, width=5.4, height=4)
    original = {key: result for key, result in results.items() if key.startswith("original")}
    ours = {key: result for key, result in results.items() if key not in original}
    _lengths(axes[0, 0], original, "original: reward D − 1, no absorbing states")
    _lengths(axes[0, 1], ours, "ours: relative to the absorbing state")
    return figure


def _setting(key: str) -> str:
    return "original setting" if key.startswith("original") else "our setting"


FIGURES = (
    ("a-episode-length", ("gail-1", "gail-4", "gail-7", "gail-10"), draw_lengths),
    ("b-discriminator", ("gail-7", "original-gail"), draw_scores),
    ("c-reward", ("gail-7", "original-gail"), draw_reward),
    ("d-against-ppo", ("gail-7", "ppo"), draw_against_ppo),
    ("e-pretrained", ("gail-7", "ppo", "gail-7-pretrained"), draw_pretrained),
    (
        "f-controls",
        ("original-gail", "original-constant", "original-junk", "gail-7", "constant", "junk"),
        draw_controls,
    ),
)


def summarise(results: dict[str, Arrays]) -> dict:
    """For each case, the interquartile mean over seeds, its interval, and the mean of each
    seed.
    """
    return {key: _summarise(result) for key, result in results.items()}


def table(summary: dict) -> tuple[list[str], list[list[str]]]:
    """A row for each case: interquartile means over seeds with 95 % intervals."""
    rows = []
    for key, entry in summary.items():
        sampled, (low, high) = entry["return_sampled"], entry["return_sampled"]["interval"]
        mode = entry["return_deterministic"]["interquartile_mean"]
        mean = f"{sampled['interquartile_mean']:.1f}"
        rows.append([f"`{key}`", CASES[key].label, mean, f"[{low:.1f}, {high:.1f}]", f"{mode:.1f}"])
    return ["run", "what it is", "return, sampled", "95 % interval", "return, deterministic"], rows


STUDY = Study("the original study", tuple(CASES), 300, STEPS, run_case, FIGURES, summarise, table)
