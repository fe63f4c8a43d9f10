"""Configurations that differ in numbers alone: trained at once, and each as if it were alone."""

import dataclasses
import json
import logging
import signal

import jax
import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.errors import ImitaxError, Interrupted
from imitax.runs.folder import (
    FolderOptions,
    load_run,
    resume,
    train_to_folder,
    train_to_folders,
)
from imitax.training.config import make_config, make_configs
from imitax.training.fit import fit, fit_side_by_side
from imitax.training.lanes import shared_by

ENV, SEEDS, ITERATIONS = "CartPole-v1", 2, 3
RATES = {"agent.learning_rate": "1e-3,1e-2", "reward.learning_rate": "3e-3,3e-2"}


@pytest.fixture(scope="module")
def shown():
    rng = np.random.default_rng(0)
    episodes = [(rng.normal(size=(n, 4)), rng.integers(2, size=n)) for n in (20, 30, 25)]
    return Demonstrations.from_episodes(episodes, terminated=True, env_id=ENV)


def sizes(**overrides):
    small = {
        "loop.iterations": ITERATIONS,
        "loop.env_steps": 32,
        "loop.max_envs": 4,
        "agent.hidden": "8",
    }
    return small | {"reward.hidden": "8", "reward.updates": 2} | overrides


def cloning(**overrides):
    return {"bc.hidden": "8", "bc.epochs": 5, "bc.batch_size": 8} | overrides


def bits(training):
    """Everything that a training says, but how long it took."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(training.learner)]
    return [x.tobytes() for x in leaves], {
        name: x.tobytes() for name, x in training.metrics.items()
    }


def programs(caplog, logged_compilations, function):
    """(result of the function, how often what learns was compiled for it)"""
    caplog.clear()
    with caplog.at_level(logging.WARNING), logged_compilations():
        result = function()
    messages = [record.getMessage() for record in caplog.records]
    return result, sum(
        text.startswith(("Compiling one ", "Compiling jit(one) ")) for text in messages
    )


def test_each_result_is_what_it_is_alone_bit_for_bit(shown, caplog, logged_compilations):
    configs = list(
        make_configs("gail", ENV, seeds=SEEDS, seed=5, overrides=sizes(**RATES)).values()
    )
    env = make(ENV)
    together, compiled = programs(
        caplog, logged_compilations, lambda: fit_side_by_side(configs, env, shown)
    )
    assert compiled == 1 and len(together) == 4
    for config, training in zip(configs, together, strict=True):
        alone = fit(config, env, shown)
        assert training.config == config and len(training.policies) == SEEDS
        assert bits(training) == bits(alone)
    assert len({str(bits(training)) for training in together}) == 4


def test_a_seed_is_what_it_is_alone_bit_for_bit(shown):
    config, env = make_config("gail", ENV, seeds=SEEDS, seed=5, overrides=sizes()), make(ENV)
    beside, alone = (
        fit(config, env, shown),
        fit(dataclasses.replace(config, seed=6, seeds=1), env, shown),
    )
    row = dataclasses.replace(
        beside,
        learner=jax.tree.map(lambda x: x[1:], beside.learner),
        metrics={name: values[1:] for name, values in beside.metrics.items()},
    )
    assert bits(row) == bits(alone)


@pytest.mark.parametrize(
    "method, options, overrides",
    [
        ("gail", {"agent": "trpo"}, sizes(**{"agent.max_kl": "0.01,0.02"})),
        (
            "gail",
            {"init": "bc"},
            sizes(**{"bc.epochs": 3, "loop.warm_up": 1, "bc.learning_rate": "1e-3,1e-2"}),
        ),
        ("bc", {}, cloning(**{"bc.learning_rate": "1e-3,1e-2"})),
    ],
    ids=["trpo", "clone", "bc"],
)
def test_other_methods_too(shown, method, options, overrides):
    configs = list(make_configs(method, ENV, seeds=SEEDS, overrides=overrides, **options).values())
    env = make(ENV)
    for config, training in zip(configs, fit_side_by_side(configs, env, shown), strict=True):
        assert bits(training) == bits(fit(config, env, shown))


def test_numbers_share_a_program():
    numbers = {
        "agent.clip": "0.1,0.2",
        "agent.discount": "0.9,0.99",
        "reward.gradient_penalty": "1,10",
    }
    configs = list(make_configs("gail", ENV, overrides=sizes(**numbers)).values())
    assert len(configs) == 8 and len(set(map(shared_by, configs))) == 1
    more = make_config("gail", ENV, seeds=3, overrides=sizes(**{"reward.gradient_penalty": 1.0}))
    assert shared_by(more) == shared_by(configs[0])


GAIL, CLONE = {"overrides": sizes()}, {"overrides": cloning()}
DIFFERENT = {
    "length": ("gail", GAIL, {"overrides": sizes(**{"loop.iterations": 2})}),
    "steps": ("gail", GAIL, {"overrides": sizes(**{"loop.env_steps": 64})}),
    "pre-training": ("gail", GAIL, {"overrides": sizes(**{"loop.pretrain": 1})}),
    "trajectories": ("gail", GAIL, GAIL | {"trajectories": 1}),
    "offsets": ("gail", GAIL | {"subsample": 3}, GAIL | {"subsample": 3, "seed": 7}),
    "agent": ("gail", GAIL, GAIL | {"agent": "trpo"}),
    "form": ("gail", GAIL, {"overrides": sizes(**{"reward.form": "logit"})}),
    "switched off": ("gail", GAIL, {"overrides": sizes(**{"reward.entropy_coef": 0})}),
    "start": ("gail", GAIL, GAIL | {"init": "bc"}),
    "split": ("bc", CLONE, CLONE | {"seed": 4}),
    "share": ("bc", CLONE, {"overrides": cloning(**{"bc.train_fraction": 0.5})}),
    "rounds": ("bc", CLONE, {"overrides": cloning(**{"bc.epochs": 4})}),
}


@pytest.mark.parametrize("method, one, other", DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_in_more_than_numbers_shares_none(method, one, other):
    one, other = (make_config(method, ENV, **options) for options in (one, other))
    assert shared_by(one) != shared_by(other)
    assert shared_by(one) == shared_by(dataclasses.replace(one))


def test_methods_with_equal_settings_share_none():
    small = {key: value for key, value in sizes().items() if not key.startswith("reward.")}
    fem, gtal = (make_config(method, ENV, overrides=small) for method in ("fem", "gtal"))
    assert fem.settings == gtal.settings and shared_by(fem) != shared_by(gtal)


def test_runs_of_different_lengths_on_different_data_are_not_mixed(shown):
    options = [{}, {"trajectories": 1}, {"seed": 4}, {"overrides": cloning(**{"bc.epochs": 4})}]
    configs = [make_config("bc", ENV, **CLONE | changed) for changed in options]
    env = make(ENV)
    for config, training in zip(configs, fit_side_by_side(configs, env, shown), strict=True):
        alone = fit(config, env, shown)
        assert training.config == config and training.iterations == alone.iterations
        assert training.demonstrations.fingerprint() == alone.demonstrations.fingerprint()
        assert bits(training) == bits(alone)


def test_each_clone_takes_as_many_rounds_as_alone(rng):
    observations = [rng.normal(size=(12, 4)) for _ in range(4)]
    episodes = [(obs, (obs[:, 0] > 0).astype(int)) for obs in observations]  # can be learnt
    shown = Demonstrations.from_episodes(episodes, terminated=True)
    settings = {"bc.epochs": 20, "bc.min_updates": 0, "bc.patience": 1}
    overrides = cloning(**settings, **{"bc.learning_rate": "10,1e-3"})
    configs = list(make_configs("bc", ENV, seeds=SEEDS, overrides=overrides).values())
    env, moments = make(ENV), ([], [])
    callbacks = [[noted.append] for noted in moments]
    together = fit_side_by_side(configs, env, shown, callbacks)
    assert shared_by(configs[0]) == shared_by(configs[1])
    assert together[0].iterations < together[1].iterations
    for config, training, noted in zip(configs, together, moments, strict=True):
        assert bits(training) == bits(fit(config, env, shown))
        assert len(noted) == training.iterations == noted[0].iterations


def test_callbacks_see_their_own_seeds_alone(shown):
    configs = list(
        make_configs(
            "gail", ENV, seeds=SEEDS, overrides=sizes(**{"agent.learning_rate": "1e-3,1e-2"})
        ).values()
    )
    together, alone, env = ([], []), ([], []), make(ENV)

    def noting(moments):
        def note(moment):
            moment = moment._replace(history=list(moment.history))
            moments.append(jax.tree.map(np.asarray, moment))

        return [note]

    fit_side_by_side(configs, env, shown, [noting(moments) for moments in together])
    for config, moments in zip(configs, alone, strict=True):
        fit(config, env, shown, noting(moments))
    for ours, theirs in zip(together, alone, strict=True):
        assert len(ours) == ITERATIONS and len(ours[-1].history) == ITERATIONS
        assert ours[0].rollout.reward.shape == (SEEDS, 8, 4)
        for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_array_equal(one, other)


def test_one_that_does_not_fit_is_refused_before_any_is_trained(shown):
    configs = [
        make_config("gail", ENV, overrides=sizes()),
        make_config("gail", ENV, trajectories=9),
    ]
    with pytest.raises(ImitaxError, match="9 trajectories"):
        fit_side_by_side(configs, make(ENV), shown, [[pytest.fail], [pytest.fail]])


def test_each_folder_is_that_of_a_run_of_its_own(shown, tmp_path):
    overrides = sizes(**{"agent.learning_rate": "1e-3,1e-2"})
    configs = list(make_configs("gail", ENV, seeds=SEEDS, seed=3, overrides=overrides).values())
    env, options, moments = make(ENV), FolderOptions(2, "shown", 2), []
    paths = {tmp_path / f"together-{i}": config for i, config in enumerate(configs)}
    results = train_to_folders(
        paths, env, shown, options, [lambda moment: moments.append(moment.iteration)]
    )
    assert list(results) == list(paths) and moments == list(range(ITERATIONS))
    for i, (path, config) in enumerate(paths.items()):
        own = tmp_path / f"alone-{i}"
        train_to_folder(config, env, shown, own, options)
        assert load_run(path).config == load_run(own).config == config
        for name in (
            "policy.safetensors",
            "demonstrations.npz",
            "visits.npz",
            "figures/learning.svg",
        ):
            assert (path / name).read_bytes() == (own / name).read_bytes(), name
        assert without_times(path) == without_times(own)
        files = [
            sorted(f.name for f in (folder / "checkpoints").iterdir()) for folder in (path, own)
        ]
        assert files[0] == files[1]


def test_a_signal_stops_all_of_them_and_each_can_be_resumed(shown, tmp_path):
    overrides = sizes(**{"agent.learning_rate": "1e-3,1e-2"})
    configs = list(make_configs("gail", ENV, seeds=SEEDS, seed=3, overrides=overrides).values())
    env, options = make(ENV), FolderOptions(2, "shown", checkpoint_every=0)
    paths = {tmp_path / f"together-{i}": config for i, config in enumerate(configs)}

    def interrupt(moment):
        if moment.iteration == 0:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as stop:
        train_to_folders(paths, env, shown, options, [interrupt])
    for i, (path, config) in enumerate(paths.items()):
        assert f"resume with: imitax resume {path}" in str(stop.value)
        assert not (path / "summary.json").exists()
        resume(path)
        own = tmp_path / f"alone-{i}"
        train_to_folder(config, env, shown, own, options)
        policies = [folder / "policy.safetensors" for folder in (path, own)]
        assert policies[0].read_bytes() == policies[1].read_bytes()
        assert without_times(path) == without_times(own)


def test_no_folder_is_made_where_one_of_the_runs_cannot_be(shown, tmp_path):
    good = make_config("gail", ENV, overrides=sizes())
    (tmp_path / "taken").mkdir()
    bad = {
        tmp_path / "b": (
            make_config("gail", ENV, overrides={"agent.learning_rate": -1}),
            "'agent.learning_rate'",
        ),
        tmp_path / "taken": (
            good,
            "Output folder '.*taken' exists: choose another, nothing was written",
        ),
    }
    for path, (config, message) in bad.items():
        with pytest.raises(ImitaxError, match=message):
            train_to_folders({tmp_path / "a": good, path: config}, make(ENV), shown)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def without_times(path):
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    files = [
        *lines,
        *(json.loads((path / name).read_text()) for name in ("summary.json", "config.json")),
    ]
    return [{k: v for k, v in data.items() if k not in ("seconds", "started")} for data in files]
