"""Strictness and quick compilation for all tests, small fixtures, and made-up run folders."""

import ctypes
import gc
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager

import jax
import numpy as np
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Every call of a function of the package checks the types and shapes that it declares; compiled
# ones were checked when they were traced. An int may stand where a float is declared, as PEP 484
# has it.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
install_import_hook("imitax", f"{__name__}.typechecked")


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "rank_promotion: the code under test broadcasts arrays of different rank, so let it",
    )
    # One folder of compiled programs for all workers, which inherit it; gone with the session.
    if "IMITAX_CACHE" not in os.environ:
        config.compilation_cache = os.environ["IMITAX_CACHE"] = tempfile.mkdtemp(
            prefix="imitax-tests-"
        )


def pytest_unconfigure(config):
    if folder := getattr(config, "compilation_cache", None):
        del os.environ["IMITAX_CACHE"]
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # Adding [B, A] to [A] is an error: a missing axis would go unnoticed.
    strict = item.get_closest_marker("rank_promotion") is None
    jax.config.update("jax_numpy_rank_promotion", "raise" if strict else "allow")
    # Most of the time goes into compiling; only learning runs of minutes need fast programs.
    jax.config.update("jax_disable_most_optimizations", item.get_closest_marker("slow") is None)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Give the memory of a module's programs back: what the next one shares is in the folder."""
    if nextitem is not None and nextitem.path != item.path:
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture
def rng():
    """A numpy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def logged_compilations():
    """A context in which every thread logs what it compiles; `jax.log_compiles` is this one's alone."""

    @contextmanager
    def context():
        jax.config.update("jax_log_compiles", True)
        try:
            yield
        finally:
            jax.config.update("jax_log_compiles", False)

    return context


@pytest.fixture
def key():
    """A JAX key with a fixed seed."""
    return jax.random.key(0)


# Run folders as training leaves them, with made-up numbers and an untrained policy.

LOOP_METRICS = ("episode_return", "episode_length", "reward_mean", "reward_std", "entropy", "kl")
METRICS = {
    "bc": ("train_loss", "validation_loss", "best_loss"),
    "gail": (
        *LOOP_METRICS,
        "expert_score",
        "policy_score",
        "discriminator_loss",
        "absorbing_logit",
    ),
    "constant": LOOP_METRICS,
    "rl": LOOP_METRICS,
}


def write_run(
    path, method="gail", env="CartPole-v1", seeds=3, iterations=12, demonstrations=True, level=400.0
):
    """A run folder whose last policies return `level` on average; random 20, expert 500."""
    from imitax.stats.estimates import describe_returns
    from imitax.training.config import make_config

    rng = np.random.default_rng(len(method) + seeds)
    path.mkdir(parents=True)
    config = make_config(method, "CartPole-v1", seeds=seeds, seed=5).as_dict() | {"env": env}
    source = (
        {"source": "shown.npz", "fingerprint": "ab" * 32, "trajectories": 4}
        if demonstrations
        else None
    )
    versions = {"python": "3.12.0", "imitax": "0.1.0"}
    content = {
        "run": config,
        "demonstrations": source,
        "versions": versions,
        "started": "2026-02-03T04:05:06+0000",
    }
    (path / "config.json").write_text(json.dumps(content, default=lambda settings: vars(settings)))
    with (path / "metrics.jsonl").open("w") as file:
        for i in range(iterations):
            for seed in range(5, 5 + seeds):
                values = {name: rng.normal() for name in METRICS[method]}
                if i == 0 and "episode_return" in values:
                    values["episode_return"] = None  # no episode ended
                line = {"iteration": i, "seed": seed, "seconds": 1.5 + 0.25 * i} | values
                file.write(json.dumps(line) + "\n")
    returns = {
        "random": np.full((1, 10), 20.0) + rng.normal(size=(1, 10)),
        "expert": np.full((1, 4), 500.0),
        "deterministic": level + rng.normal(size=(seeds, 10)),
        "sampled": level - 50 + rng.normal(size=(seeds, 10)),
    }
    summary = {
        "method": method,
        "env": env,
        "seconds": 12.5,
        "env_steps_per_seed": 5120 * iterations,
    }
    summary |= {name: describe_returns(x) for name, x in returns.items()}
    if not demonstrations:
        summary["expert"] = None
    (path / "summary.json").write_text(json.dumps(summary))
    write_visits(path, seeds, iterations, demonstrations)
    from imitax.core.normaliser import empty_normaliser
    from imitax.envs import make
    from imitax.networks import mlp_policy
    from imitax.policies.policy import TrainedPolicy, save_policies

    spec = make("CartPole-v1").spec
    family, normaliser = mlp_policy(spec, (4,)), empty_normaliser(spec.observation)
    keys = jax.random.split(jax.random.key(0), seeds)
    policies = [TrainedPolicy(spec, family, family.init(key), normaliser) for key in keys]
    save_policies(policies, path / "policy.safetensors")
    return path


def write_visits(path, seeds, iterations, demonstrations=True, size=4, points=60):
    """Observations that move towards the demonstrations."""
    from imitax.runs.samples import ObservationSamples, save_samples

    rng = np.random.default_rng(1)
    moments = np.unique(np.linspace(0, iterations - 1, 4).round().astype(np.int64))
    shift = np.linspace(2.0, 0.0, len(moments))[:, None, None, None]
    policy = shift + rng.normal(size=(len(moments), min(seeds, 3), points, size))
    expert = rng.normal(size=(40 * demonstrations, size))
    episode = np.linspace(-0.05, 0.05, 30 * demonstrations)[:, None] * np.ones(size)
    arrays = (x.astype(np.float32) for x in (policy, expert, episode))
    save_samples(ObservationSamples(moments, *arrays), path / "visits.npz")


def write_four(folder):
    """GAIL, cloning, the control and an expert on CartPole-v1, the last without demonstrations."""
    return [
        write_run(folder / "gail", level=480.0),
        write_run(folder / "bc", "bc", seeds=1, level=450.0),
        write_run(folder / "constant", "constant", level=21.0),
        write_run(folder / "rl", "rl", demonstrations=False, level=495.0),
    ]


@pytest.fixture
def make_run(tmp_path):
    """Builds a run folder below `tmp_path`; see `write_run` for the options."""
    return lambda name="run", *arguments, **options: write_run(
        tmp_path / name, *arguments, **options
    )


@pytest.fixture
def four_runs(tmp_path):
    """Four runs that may be changed; see `write_four`."""
    return write_four(tmp_path)


@pytest.fixture(scope="session")
def shared_runs(tmp_path_factory):
    """The same for tests that only read them."""
    return write_four(tmp_path_factory.mktemp("shared"))
