"""Cloning finds a simple rule, keeps what validates best, and never validates on episodes it
trained on.
"""

import jax
import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.methods.cloning import CloningConfig, schedule
from imitax.training.config import make_config
from imitax.training.data import expert_sample, hold_out
from imitax.training.fit import fit

EPISODES, LENGTH = 10, 30
RULE = np.array([1.0, -2.0, 0.5, 1.5])


def config(env_id="CartPole-v1", seed=0, **overrides):
    small = {"bc.hidden": "16", "bc.epochs": 120, "bc.patience": 0}
    small |= {"bc.batch_size": 30, "bc.learning_rate": 1e-2}
    return make_config("bc", env_id, seed=seed, overrides=small | overrides)


def rule(obs):
    """CartPole's action by a plane through the space of observations."""
    return (obs @ RULE > 0).astype(np.int64)


def demonstrate(rng, action_of, size=4):
    episodes = []
    for _ in range(EPISODES):
        obs = rng.normal(size=(LENGTH, size)).astype(np.float32)
        episodes.append((obs, action_of(obs)))
    return Demonstrations.from_episodes(episodes, terminated=True)


@pytest.fixture(scope="module")
def noisy():
    """300 pairs of the rule, with a third of the actions at random: worth fitting only so far."""
    rng = np.random.default_rng(1)

    def action_of(obs):
        return np.where(rng.random(len(obs)) < 0.33, rng.integers(2, size=len(obs)), rule(obs))

    return demonstrate(rng, action_of)


def test_it_clones_a_linear_rule(rng):
    run = fit(config(), make("CartPole-v1"), demonstrate(rng, rule))
    unseen = rng.normal(size=(2000, 4)).astype(np.float32)
    assert np.mean(run.policy(unseen) == rule(unseen)) > 0.95
    assert run.env_steps == 0
    # A nearly uniform start: the first epoch's loss is near ln 2, and much less at the end.
    assert run.metrics["train_loss"].shape == (1, 120)
    assert (
        run.metrics["train_loss"][0, -1] < 0.1 < run.metrics["train_loss"][0, 0] < np.log(2) + 0.05
    )


def test_it_clones_continuous_actions_in_the_environments_units(rng):
    # Pendulum's torque lies between −2 and 2; the policy's own units between −1 and 1.
    def torque(obs):
        return np.clip(obs @ RULE[:3], -2.0, 2.0).astype(np.float32)[:, None]

    run = fit(config("Pendulum-v1"), make("Pendulum-v1"), demonstrate(rng, torque, size=3))
    unseen = rng.normal(size=(2000, 3)).astype(np.float32)
    action = run.policy(unseen)
    assert action.shape == (2000, 1) and np.abs(action).max() <= 2.0
    assert np.mean(np.abs(action - torque(unseen))) < 0.3


def test_it_keeps_the_parameters_that_validate_best(noisy):
    run = fit(config(), make("CartPole-v1"), noisy)
    losses = run.metrics["validation_loss"][0]
    best = losses.argmin()
    assert 0 < best < len(losses) - 1 and losses[-1] > losses[best] + 0.02  # it went on to overfit
    np.testing.assert_array_equal(run.metrics["best_loss"][0], np.minimum.accumulate(losses))
    # The policy that came back has the least of these losses, not the last: −mean log π(a | s) by
    # the book.
    _, validation = hold_out(noisy, run.config)
    moments = run.policy.normaliser
    mean, variance = np.asarray(moments.mean), np.asarray(moments.variance)
    obs = (validation.observations - mean) / np.sqrt(variance)
    logits = np.asarray(run.policy.params(obs), np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    loss = -np.mean(log_p[np.arange(len(logits)), validation.actions])
    np.testing.assert_allclose(loss, losses[best], rtol=1e-4)


def test_validation_episodes_are_not_trained_on():
    # Observations that name their episode.
    episodes = [
        (np.full((LENGTH, 4), float(i)), np.zeros(LENGTH, np.int64)) for i in range(EPISODES)
    ]
    demonstrations = Demonstrations.from_episodes(episodes, terminated=True)
    train, validation = hold_out(demonstrations, config())
    named = [set(part.observations[:, 0].tolist()) for part in (train, validation)]
    assert named[0].isdisjoint(named[1]) and len(named[0] | named[1]) == EPISODES
    assert len(named[0]) == 7 and len(named[1]) == 3  # 70 % for training, as in Ho & Ermon 2016
    assert train.pairs == 7 * LENGTH and validation.pairs == 3 * LENGTH
    other, _ = hold_out(demonstrations, config(seed=1))  # another seed, another split
    assert set(other.observations[:, 0].tolist()) != named[0]


def test_the_normaliser_knows_only_the_training_episodes(noisy):
    run = fit(config(), make("CartPole-v1"), noisy)
    train, _ = hold_out(noisy, run.config)
    moments = run.policy.normaliser
    assert moments.count == train.pairs == 7 * LENGTH
    np.testing.assert_allclose(moments.mean, train.observations.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments.variance, train.observations.var(0), rtol=1e-4)


def test_the_same_seed_gives_the_same_bits(noisy):
    env = make("CartPole-v1")
    one, two, other = (fit(config(seed=seed), env, noisy).learner for seed in (3, 3, 4))
    pairs = list(zip(*map(jax.tree.leaves, (one, two, other)), strict=True))
    assert all(np.array_equal(a, b) for a, b, _ in pairs)
    assert not all(np.array_equal(a, c) for a, _, c in pairs)


def test_pairs_reach_the_method_as_they_were_shown(noisy):
    sample = expert_sample(noisy, make("CartPole-v1").spec)
    np.testing.assert_array_equal(sample.transitions.obs, noisy.observations)
    np.testing.assert_array_equal(sample.transitions.action, noisy.actions)
    assert np.isnan(sample.transitions.reward).all()  # the true one is never shown
    # Ten episodes that terminated after 30 of 500 steps each: 470 of 500 are absorbed.
    np.testing.assert_allclose(sample.absorbing_mass, 470 / 500, rtol=1e-6)


def test_it_stops_where_it_no_longer_gets_better(noisy):
    settings = {"bc.patience": 20}, {"bc.patience": 20, "bc.min_updates": 0}
    whole, early = (fit(config(**s), make("CartPole-v1"), noisy) for s in settings)
    losses = whole.metrics["validation_loss"][0]
    least = np.minimum.accumulate(losses)
    last = next(
        i for i in range(20, len(losses)) if least[i] == least[i - 20]
    )  # 20 epochs without a better one
    assert whole.iterations == 120 and early.iterations == last + 1 < 120
    np.testing.assert_allclose(early.metrics["validation_loss"][0], losses[: last + 1], rtol=1e-5)
    # It keeps the best that it had seen, which is what goes on to be the best of the others too,
    # or nearly.
    assert early.metrics["best_loss"][0, -1] == early.metrics["validation_loss"].min()


@pytest.mark.parametrize(
    "size, options, expected",
    [
        # (minibatches of a pass, rounds, steps of a round): whole passes as long as the updates
        # suffice.
        (1280, {}, (10, 300, 10)),
        (12_800, {}, (100, 300, 100)),
        (100, {}, (1, 300, 1)),  # fewer pairs than a minibatch has
        # Then as many rounds, each of them a part of a pass.
        (128_000, {}, (1000, 300, 100)),
        (128_000, {"max_updates": 300_000}, (1000, 300, 1000)),
        (128_000, {"max_updates": 150_000}, (1000, 300, 500)),
        # Fewer updates than rounds.
        (1280, {"max_updates": 7}, (10, 7, 1)),
        (1280, {"max_updates": 1, "epochs": 1}, (10, 1, 1)),
    ],
)
def test_rounds_are_passes_or_parts_of_passes(size, options, expected):
    settings = CloningConfig(**options)
    assert schedule(size, settings) == expected
    _, rounds, steps = expected
    assert rounds <= settings.epochs and rounds * steps <= settings.max_updates


def test_it_waits_a_hundred_rounds_unless_told_otherwise():
    assert CloningConfig().patience == 100 and CloningConfig().max_updates == 30_000


def test_many_pairs_are_cloned_with_few_updates(rng):
    # 12 rounds of 10 updates each, where a pass over the 210 training pairs would take 21 of them.
    few = {"bc.epochs": 12, "bc.max_updates": 120, "bc.batch_size": 10}
    run = fit(config(**few), make("CartPole-v1"), demonstrate(rng, rule))
    assert run.metrics["train_loss"].shape == (1, 12)
    unseen = rng.normal(size=(2000, 4)).astype(np.float32)
    assert np.mean(run.policy(unseen) == rule(unseen)) > 0.9
    # Every round draws from all the pairs: with one update each, rounds differ.
    single = fit(
        config(**few | {"bc.max_updates": 12}), make("CartPole-v1"), demonstrate(rng, rule)
    )
    assert len(np.unique(single.metrics["train_loss"])) == 12
