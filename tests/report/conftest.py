"""Run folders as training leaves them, with made-up numbers and an untrained policy."""

import json

import jax
import numpy as np
import pytest

from imitax.core.normaliser import empty_normaliser
from imitax.envs import make
from imitax.networks import mlp_policy
from imitax.policies.policy import TrainedPolicy
from imitax.policies.storage import save_policies
from imitax.runs.samples import Visits, save_visits
from imitax.stats.estimates import describe_returns
from imitax.training.config import make_config

METRICS = {
    "bc": ("train_loss", "validation_loss", "best_loss"),
    "gail": ("episode_return", "episode_length", "expert_score", "policy_score", "discriminator_loss",
             "reward_mean", "reward_std", "entropy", "kl", "absorbing_logit"),
    "constant": ("episode_return", "episode_length", "reward_mean", "reward_std", "entropy", "kl"),
    "rl": ("episode_return", "episode_length", "reward_mean", "reward_std", "entropy", "kl"),
}  # fmt: skip


def write_run(
    path, method="gail", env="CartPole-v1", seeds=3, iterations=12, demonstrations=True, level=400.0
):
    """A run folder whose last policies return `level` on average; random 20, expert 500."""
    rng = np.random.default_rng(len(method) + seeds)
    path.mkdir(parents=True)
    config = make_config(method, "CartPole-v1", seeds=seeds, seed=5).as_dict() | {"env": env}
    shown = {"source": "shown.npz", "fingerprint": "ab" * 32, "trajectories": 4} if demonstrations else None
    versions = {"python": "3.12.0", "imitax": "0.1.0"}
    whole = {
        "run": config,
        "demonstrations": shown,
        "versions": versions,
        "started": "2026-02-03T04:05:06+0000",
    }
    (path / "config.json").write_text(json.dumps(whole, default=lambda settings: vars(settings)))
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
    summary = {"method": method, "env": env, "seconds": 12.5, "env_steps_per_seed": 5120 * iterations}
    summary |= {name: describe_returns(x) for name, x in returns.items()}
    if not demonstrations:
        summary["expert"] = None
    (path / "summary.json").write_text(json.dumps(summary))
    write_visits(path, seeds, iterations, demonstrations)
    spec = make("CartPole-v1").spec
    family, normaliser = mlp_policy(spec, (4,)), empty_normaliser(spec.observation)
    keys = jax.random.split(jax.random.key(0), seeds)
    policies = [TrainedPolicy(spec, family, family.init(key), normaliser) for key in keys]
    save_policies(policies, path / "policy.safetensors")
    return path


def write_visits(path, seeds, iterations, demonstrations=True, size=4, points=60):
    """Where it went: towards the demonstrations."""
    rng = np.random.default_rng(1)
    moments = np.unique(np.linspace(0, iterations - 1, 4).round().astype(np.int64))
    shift = np.linspace(2.0, 0.0, len(moments))[:, None, None, None]
    policy = shift + rng.normal(size=(len(moments), min(seeds, 3), points, size))
    shown = rng.normal(size=(40 * demonstrations, size))
    episode = np.linspace(-0.05, 0.05, 30 * demonstrations)[:, None] * np.ones(size)
    arrays = (x.astype(np.float32) for x in (policy, shown, episode))
    save_visits(Visits(moments, *arrays), path / "visits.npz")


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
    return lambda name="run", *arguments, **options: write_run(tmp_path / name, *arguments, **options)


@pytest.fixture
def four_runs(tmp_path):
    """Four runs that may be changed; see `write_four`."""
    return write_four(tmp_path)


@pytest.fixture(scope="session")
def shared_runs(tmp_path_factory):
    """The same for tests that only read them."""
    return write_four(tmp_path_factory.mktemp("shared"))
