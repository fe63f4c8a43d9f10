"""Every finding about a run, alone and word for word; and none where none is due."""

from pathlib import Path

import numpy as np
import pytest

from imitax.diagnosis.run import CHECKS, diagnose, sentences
from imitax.errors import ImitaxError
from imitax.findings import Finding
from imitax.runs.read import RunData, read_run
from imitax.runs.samples import ObservationSamples

ITERATIONS = 40


def run_of(
    scores=(0.2, 0.2),
    seeds=3,
    method="gail",
    reward=None,
    visits=None,
    summary=None,
    seed_means=None,
    **metrics,
):
    """A run whose metrics are constant, or the lines that are given."""
    values = {
        name: np.broadcast_to(np.asarray(x, float), (seeds, ITERATIONS))
        for name, x in metrics.items()
    }

    def entry(score):
        return {"normalised": score, "seed_means": seed_means or [-500 + 400 * score] * seeds}

    summary = (summary or {}) | {
        "random": {"mean": -500.0},
        "expert": {"mean": -100.0},
        "deterministic": entry(scores[0]),
        "sampled": entry(scores[1]),
    }
    run = {"method": method, "seed": 0, "seeds": seeds, "settings": {"reward": reward or {}}}
    return RunData(Path("run"), {"run": run}, summary, np.arange(ITERATIONS), values, None, visits)


def visits(expert, policy):
    return ObservationSamples(
        np.array([0]),
        np.float32(policy)[None, None],
        np.float32(expert),
        np.zeros((0, 2), np.float32),
    )


def falling(start, last):
    return np.concatenate(
        [np.linspace(start, last, ITERATIONS // 2), np.full(ITERATIONS - ITERATIONS // 2, last)]
    )


UNIT = np.random.default_rng(0).uniform(-1, 1, (400, 2))
RAW = "the same units, order and normalisation in both: raw observations, as the environment returns them."
COLLAPSE = "a smaller agent.learning_rate, agent.entropy_coef=0.01, more agent.minibatches."
LENGTH = (
    "reward.absorbing=true (the default); and `imitax control`: a constant reward may do as well."
)
STEPS = "a smaller agent.learning_rate, fewer agent.epochs."
CASES = {
    "random": (
        dict(scores=(0.0, 0.05)),
        Finding(
            "problem",
            "No better than random",
            "the better of its two normalised scores is 0.05; 0 is the random policy, 1 the "
            "expert.",
            "the other findings; checking the data with `imitax train … --check`; more "
            "iterations; behaviour "
            "cloning as a first step.",
        ),
    ),
    "won": (
        dict(discriminator_accuracy=0.99, expert_logit=3.0, policy_logit=-3.5),
        Finding(
            "problem",
            "The discriminator has won",
            "it classifies 99% of the pairs correctly at the end, and the mean logits of expert "
            "and policy "
            "are 6.5 apart.",
            "fewer reward.updates, a smaller reward.learning_rate, reward.gradient_penalty=1, "
            "more "
            "demonstrations, more environment steps per iteration; if it wins at once, check the "
            "units and "
            "the order of the observations.",
        ),
    ),
    "idle": (
        dict(discriminator_accuracy=0.5),
        Finding(
            "problem",
            "The discriminator has learnt nothing",
            "its accuracy was never above 0.50, no better than guessing.",
            "more reward.updates or a larger reward.learning_rate; reward.entropy_coef=0.",
        ),
    ),
    "overfits": (
        dict(summary={"held_out": {"preference": [0.9, 0.8, 0.7], "episodes": 3}}),
        Finding(
            "problem",
            "The reward overfits its demonstrations",
            "in 80% of comparisons a pair that it was trained on is rewarded more than one of the "
            "3 held-out "
            "demonstrated episodes; 50% would be right.",
            "more demonstrations, reward.gradient_penalty=1, fewer reward.updates, a smaller "
            "discriminator "
            "(reward.hidden=32).",
        ),
    ),
    "collapsed": (
        dict(entropy=falling(1.0, 0.01)),
        Finding(
            "problem",
            "The policy has collapsed",
            "its entropy fell from 1.00 to 0.010 nats.",
            COLLAPSE,
        ),
    ),
    "collapsed Gaussian": (
        dict(entropy=falling(2.8, -7.0)),
        Finding(
            "problem",
            "The policy has collapsed",
            "its entropy fell from 2.80 to -7.000 nats.",
            COLLAPSE,
        ),
    ),
    "living": (
        dict(reward={"absorbing": False}, reward_mean=0.7, reward_std=0.1),
        Finding(
            "problem",
            "The reward favours staying alive",
            "every step is worth 0.70 ± 0.10 whatever the action, so the length of an episode "
            "explains 98% "
            "of its reward.",
            LENGTH,
        ),
    ),
    "ending": (
        dict(reward={"absorbing": False}, reward_mean=-0.7, reward_std=0.1),
        Finding(
            "problem",
            "The reward favours ending the episode",
            "every step is worth -0.70 ± 0.10 whatever the action, so the length of an episode "
            "explains 98% "
            "of its reward.",
            LENGTH,
        ),
    ),
    "units": (
        dict(visits=visits(UNIT * [1, 57.3], UNIT)),
        Finding(
            "problem",
            "Demonstrations and environment differ",
            "dimension 1: -55.9 … 56.2 in the demonstrations, -0.976 … 0.982 with the policy.",
            RAW,
        ),
    ),
    "apart": (
        dict(visits=visits(UNIT + np.array([0, 5]), UNIT)),
        Finding(
            "problem",
            "Demonstrations and environment differ",
            "dimension 1: 4.02 … 5.98 in the demonstrations, -0.976 … 0.982 with the policy.",
            RAW,
        ),
    ),
    "critic": (
        dict(explained_variance=0.0, reward_std=1.0),
        Finding(
            "warning",
            "The value function does not learn",
            "it explains a share of 0.00 of the variance of the returns at the end; 1 is all of "
            "it.",
            "a larger learning rate of the value network, more epochs, a smaller agent.discount "
            "if episodes "
            "are short.",
        ),
    ),
    "kl": (
        dict(kl=0.5, clip_fraction=0.2),
        Finding(
            "problem",
            "The policy's steps are too large",
            "a KL divergence of 0.500 nats per iteration and 20% of the ratios clipped at the end.",
            STEPS,
        ),
    ),
    "clip": (
        dict(kl=0.01, clip_fraction=0.8),
        Finding(
            "problem",
            "The policy's steps are too large",
            "a KL divergence of 0.010 nats per iteration and 80% of the ratios clipped at the end.",
            STEPS,
        ),
    ),
    "trpo": (
        dict(step_fraction=0.0),
        Finding(
            "problem",
            "TRPO takes no steps",
            "the line search rejected 100% of them.",
            "more environment steps per iteration, a larger agent.damping, more "
            "agent.cg_iterations.",
        ),
    ),
    "cloning": (
        dict(validation_loss=1.0 + np.arange(ITERATIONS)),
        Finding(
            "note",
            "Cloning overfits",
            "its validation loss was lowest (1.000) in round 1 of 40 and is 40.000 at the end; "
            "the best "
            "policy was kept.",
            "more demonstrations, smaller bc.hidden, or a method that uses the environment.",
        ),
    ),
    "noise": (
        dict(scores=(0.2, 0.8)),
        Finding(
            "warning",
            "Sampled and most likely actions differ",
            "the score is 0.20 with the most likely action and 0.80 with sampled ones.",
            "training for longer; reporting the one that you will use.",
        ),
    ),
    "seeds": (
        dict(scores=(0.5, 0.5), seed_means=[-480.0, -100.0, -120.0]),
        Finding(
            "warning",
            "Seeds disagree",
            "their scores range from 0.05 to 1.00, over 3 seeds.",
            "more seeds, and intervals before any claim; more iterations, smaller steps.",
        ),
    ),
    "one seed": (
        dict(seeds=1),
        Finding("note", "Few seeds", "this is 1 seed.", "--seeds 5: they train side by side."),
    ),
    "two seeds": (
        dict(seeds=2),
        Finding("note", "Few seeds", "this is 2 seeds.", "--seeds 5: they train side by side."),
    ),
}
# findings that a run without a summary cannot have
FROM_SUMMARY = ("random", "overfits", "noise", "seeds")
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


@pytest.mark.parametrize("options, finding", CASES.values(), ids=CASES)
def test_each_finding_alone(options, finding):
    assert diagnose(run_of(**options)) == [finding]


def test_every_check_has_a_case():
    findings = [finding for options, _ in CASES.values() for finding in diagnose(run_of(**options))]
    for check in CHECKS:
        results = (check(run_of(**options)) for options, _ in CASES.values())
        assert any(result in findings for result in results if result is not None), check


def test_a_healthy_run_has_none():
    assert diagnose(run_of(scores=(0.95, 0.96), **HEALTHY)) == []
    assert diagnose(run_of(scores=(0.5, 0.5), **HEALTHY)) == []  # not good, and nothing to blame


@pytest.mark.parametrize("name", ["won", "idle", "collapsed", "critic"])
def test_a_run_that_learnt_is_not_asked_why_it_failed(name):
    assert diagnose(run_of(**(CASES[name][0] | {"scores": (0.95, 0.95)}))) == []


@pytest.mark.parametrize("name", ["overfits", "kl", "apart"])
def test_what_did_not_hinder_a_run_is_a_warning(name):
    options, finding = CASES[name]
    assert diagnose(run_of(**(options | {"scores": (0.95, 0.95)}))) == [
        finding._replace(severity="warning")
    ]


def test_absorbing_states_are_not_blamed():
    assert diagnose(run_of(reward={"absorbing": True}, reward_mean=0.7, reward_std=0.1)) == []


def test_other_dimensions_are_counted():
    wide = np.concatenate([UNIT, UNIT, UNIT], axis=1)
    run = run_of(visits=visits(wide + 5, wide))
    (finding,) = diagnose(run)
    assert finding.evidence.startswith("dimension 0: ") and finding.evidence.endswith(
        "; and 2 more."
    )
    assert finding.evidence.count("dimension") == 4


@pytest.mark.parametrize("method", ["constant", "rl", "mce_irl"])
def test_what_does_not_apply_to_a_method(method):
    run = run_of(scores=(0.0, 0.0), seeds=1, method=method, step_fraction=0.0)
    titles = {
        "constant": ["Few seeds"],  # it has no advantages to step along
        "rl": ["TRPO takes no steps"],
        "mce_irl": ["No better than random", "TRPO takes no steps"],
    }
    assert [finding.title for finding in diagnose(run)] == titles[method]


def test_a_finding_as_a_sentence():
    assert sentences(run_of(seeds=1)) == [
        "Few seeds: this is 1 seed. Try: --seeds 5: they train side by side."
    ]


def test_a_gaussian_may_have_negative_entropy():
    assert diagnose(run_of(entropy=falling(2.8, -3.0))) == []


def test_an_unfinished_run_is_diagnosed_from_its_complete_iterations(make_run):
    path = make_run()
    complete = read_run(path)
    (path / "summary.json").unlink()
    lines, seeds = (
        (path / "metrics.jsonl").read_text().splitlines(keepends=True),
        complete.run["seeds"],
    )
    written = 4 * seeds - 1  # the last iteration is not complete, and a line is being written
    (path / "metrics.jsonl").write_text("".join(lines[:written]) + '{"iter')
    with pytest.raises(ImitaxError, match=r"summary.json"):
        read_run(path)
    run = read_run(path, unfinished=True)
    assert run.summary == {} and len(run.iterations) == 3
    for name, values in run.metrics.items():
        np.testing.assert_array_equal(values, complete.metrics[name][:, :3])
    diagnose(run)  # no check needs a summary


@pytest.mark.parametrize("name", CASES)
def test_every_check_takes_a_run_without_a_summary(name):
    options, finding = CASES[name]
    expected = [] if name in FROM_SUMMARY else [finding]
    assert diagnose(run_of(**options)._replace(summary={})) == expected
