"""Every finding appears when it should, and only then; and in runs that are made to fail."""

from pathlib import Path

import numpy as np
import pytest

from imitax.diagnosis.run import CHECKS, diagnose
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.experts.demonstrate import load_demonstrations
from imitax.runs.folder import train_to_folder
from imitax.runs.read import RunData, read_run
from imitax.runs.samples import Visits
from imitax.training.config import make_config

ITERATIONS = 40


def run_of(scores=(0.2, 0.2), seeds=3, method="gail", reward=None, visits=None, summary=None, **metrics):
    """A run whose metrics are constant, or the lines that are given."""
    values = {name: np.broadcast_to(np.asarray(x, float), (seeds, ITERATIONS)) for name, x in metrics.items()}

    def entry(score):
        return {"normalised": score, "seed_means": [-500 + 400 * score] * seeds}

    summary = (summary or {}) | {
        "random": {"mean": -500.0}, "expert": {"mean": -100.0},
        "deterministic": entry(scores[0]), "sampled": entry(scores[1]),
    }  # fmt: skip
    run = {"method": method, "seed": 0, "seeds": seeds, "settings": {"reward": reward or {}}}
    return RunData(Path("run"), {"run": run}, summary, np.arange(ITERATIONS), values, None, visits)


def titles(run):
    return [finding.title for finding in diagnose(run)]


def visits(shown, seen):
    return Visits(
        np.array([0]), np.float32(seen)[None, None], np.float32(shown), np.zeros((0, 2), np.float32)
    )


def falling(start, last):
    return np.concatenate(
        [np.linspace(start, last, ITERATIONS // 2), np.full(ITERATIONS - ITERATIONS // 2, last)]
    )


UNIT = np.random.default_rng(0).uniform(-1, 1, (400, 2))
CASES = {
    "random": (dict(scores=(0.0, 0.05)), "No better than random"),
    "won": (
        dict(discriminator_accuracy=0.99, expert_logit=3.0, policy_logit=-3.0),
        "The discriminator has won",
    ),
    "idle": (dict(discriminator_accuracy=0.5), "The discriminator has learnt nothing"),
    "sure": (dict(entropy=falling(2.8, -7.0)), "The policy has collapsed"),
    "by heart": (
        dict(summary={"held_out": {"preference": [0.9, 0.8, 0.7], "episodes": 3}}),
        "The reward knows its demonstrations by heart",
    ),
    "collapsed": (dict(entropy=falling(1.0, 0.01)), "The policy has collapsed"),
    "living": (
        dict(reward={"absorbing": False}, reward_mean=0.7, reward_std=0.1),
        "The reward pays for staying alive",
    ),
    "ending": (
        dict(reward={"absorbing": False}, reward_mean=-0.7, reward_std=0.1),
        "The reward pays for ending the episode",
    ),
    "units": (dict(visits=visits(UNIT * [1, 57.3], UNIT)), "Demonstrations and environment differ"),
    "apart": (dict(visits=visits(UNIT + np.array([0, 5]), UNIT)), "Demonstrations and environment differ"),
    "critic": (dict(explained_variance=0.0, reward_std=1.0), "The value function does not learn"),
    "kl": (dict(kl=0.5, clip_fraction=0.2), "The policy's steps are too large"),
    "clip": (dict(kl=0.01, clip_fraction=0.8), "The policy's steps are too large"),
    "trpo": (dict(step_fraction=0.0), "TRPO makes no steps"),
    "cloning": (dict(validation_loss=1.0 + np.arange(ITERATIONS)), "Cloning overfits"),
    "noise": (dict(scores=(0.2, 0.8)), "Sampled and most likely actions differ"),
    "one seed": (dict(seeds=1), "Few seeds"),
}
HEALTHY = dict(
    discriminator_accuracy=0.7,
    expert_logit=0.5,
    policy_logit=-0.5,
    entropy=falling(1.0, 0.5),
    reward_mean=-0.1,
    reward_std=0.5,
    explained_variance=0.8,
    kl=0.01,
    clip_fraction=0.1,
    validation_loss=falling(1.0, 0.3),
    visits=visits(UNIT, 2 * UNIT),
)


@pytest.mark.parametrize("name", CASES)
def test_each_finding_alone(name):
    options, title = CASES[name]
    assert titles(run_of(**options)) == [title]


def test_a_healthy_run_has_none():
    assert titles(run_of(scores=(0.95, 0.96), **HEALTHY)) == []
    assert titles(run_of(scores=(0.5, 0.5), **HEALTHY)) == []  # not good, and nothing to blame


@pytest.mark.parametrize("name", ["won", "idle", "collapsed", "critic"])
def test_a_run_that_learnt_is_not_asked_why_it_failed(name):
    assert titles(run_of(**(CASES[name][0] | {"scores": (0.95, 0.95)}))) == []


def test_absorbing_states_are_not_blamed():
    assert titles(run_of(reward={"absorbing": True}, reward_mean=0.7, reward_std=0.1)) == []


def test_seeds_that_disagree():
    run = run_of(scores=(0.5, 0.5))
    run.summary["sampled"]["seed_means"] = [-480.0, -100.0, -120.0]
    assert titles(run) == ["Seeds disagree"]


def test_findings_say_numbers_and_what_to_try():
    for options, title in CASES.values():
        (finding,) = [f for f in diagnose(run_of(**options)) if f.title == title]
        assert any(c.isdigit() for c in finding.numbers) and finding.numbers.endswith(".")
        assert finding.advice.endswith(".") and str(finding).count("\n") == 0
    assert all(check.__doc__ for check in CHECKS)


# Runs that are made to fail.


def trained(path, settings, spoil=lambda x: x):
    env = make("CartPole-v1")
    source = Path(__file__).parents[2] / "docs/results/classic/demonstrations/CartPole-v1-native.npz"
    shown = spoil(load_demonstrations(source, env.spec).choose(4))
    config = make_config(
        "gail", "CartPole-v1", overrides={"loop.iterations": 12, "loop.steps": 1280} | settings
    )
    train_to_folder(config, env, shown, path, 5)
    return [(f.severity, f.title) for f in diagnose(read_run(path))]


def test_a_reward_that_pays_for_living_is_found(tmp_path):
    found = trained(
        tmp_path / "run",
        {"reward.absorbing": False, "reward.form": "neg_log_one_minus_d", "reward.learning_rate": 1e-5},
    )
    assert ("problem", "The reward pays for staying alive") in found


def test_an_absurd_learning_rate_is_found(tmp_path):
    found = trained(tmp_path / "run", {"agent.learning_rate": 1.0})
    assert {"The policy's steps are too large", "The policy has collapsed"} & {title for _, title in found}


def test_an_overwhelming_discriminator_is_found(tmp_path):
    found = trained(
        tmp_path / "run", {"reward.steps": 100, "reward.learning_rate": 0.03, "agent.learning_rate": 1e-6}
    )
    assert ("problem", "The discriminator has won") in found


def test_permuted_observations_are_found(tmp_path):
    from dataclasses import replace

    from imitax.diagnosis.data import check_data

    env = make("CartPole-v1")
    shown = load_demonstrations("Acrobot-v1/4")  # of another task altogether: four of its numbers
    mixed = replace(shown, observations=100 * shown.observations[:, [4, 1, 5, 0]], actions=shown.actions % 2)
    found = check_data(mixed, env)
    assert found[0].severity == "problem" and "begin where the environment does not" in found[0].title


def test_a_gaussian_may_have_negative_entropy():
    assert "The policy has collapsed" not in titles(run_of(entropy=falling(2.8, -3.0)))


def test_a_run_on_its_way_is_diagnosed_from_what_it_has_done(make_run):
    path = make_run()
    whole = read_run(path)
    (path / "summary.json").unlink()
    lines, seeds = (path / "metrics.jsonl").read_text().splitlines(keepends=True), whole.run["seeds"]
    done = 3 * seeds + seeds - 1  # the last iteration is not whole, and a line is being written
    (path / "metrics.jsonl").write_text("".join(lines[:done]) + '{"iter')
    with pytest.raises(ImitaxError, match=r"summary.json"):
        read_run(path)
    run = read_run(path, unfinished=True)
    assert run.summary == {} and len(run.iterations) == 3
    for name, values in run.metrics.items():
        np.testing.assert_array_equal(values, whole.metrics[name][:, :3])
    diagnose(run)  # no check needs a summary


def test_every_check_takes_a_run_without_a_summary():
    for case, (options, title) in CASES.items():
        found = titles(run_of(**options)._replace(summary={}))
        if case not in ("random", "noise", "by heart"):  # those are about the score
            assert title in found, case
