"""Run folders as training leaves them, with made-up numbers and an untrained policy."""

import json

import jax
import numpy as np

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
