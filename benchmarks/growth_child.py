"""One row of `growth.py`: GAIL with PPO on an environment and demonstrations made up in any size.

    python benchmarks/growth_child.py --pairs 1000 --seeds 1 --envs 8 --observations 4

Prints a line of JSON: seconds of the quickest iteration after the first, and the bytes of memory
that training needed at most, beyond those of libraries and demonstrations.
"""

import argparse
import json
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import imitax
from imitax.core.spaces import vector
from imitax.envs.base import NativeEnv
from imitax.types import Discrete, EnvSpec, Step

EPISODE = 100  # steps
HORIZON = 16  # steps of each environment in an iteration


def drift(observations: int) -> NativeEnv:
    """A cloud of points that shrinks and is blown about; nothing depends on the action."""
    spec = EnvSpec("Drift", vector(observations), Discrete(2), EPISODE)

    def fresh(key, batch):
        return jax.random.normal(key, (batch, observations))

    def reset(key, batch):
        obs = fresh(key, batch)
        return (obs, jnp.zeros(batch, jnp.int32)), obs

    def step(state, action, key):
        key_wind, key_reset = jax.random.split(key)
        obs, steps = state
        next_obs = 0.9 * obs + 0.1 * jax.random.normal(key_wind, obs.shape)
        truncated = steps + 1 == EPISODE
        obs = jnp.where(truncated[:, None], fresh(key_reset, len(steps)), next_obs)
        reward = jnp.zeros(len(steps))
        result = Step(next_obs, obs, reward, jnp.zeros_like(truncated), truncated)
        return (obs, jnp.where(truncated, 0, steps + 1)), result

    return NativeEnv(spec, reset, step)


def demonstrations(pairs: int, observations: int) -> imitax.Demonstrations:
    """Random pairs in whole episodes."""
    rng = np.random.default_rng(0)
    episodes = [
        (
            rng.standard_normal((EPISODE, observations), np.float32),
            rng.integers(2, size=EPISODE),
        )
        for _ in range(max(1, pairs // EPISODE))
    ]
    return imitax.Demonstrations.from_episodes(episodes, terminated=False, env_id="Drift")


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(
    pairs: int, seeds: int, envs: int, observations: int, iterations: int
) -> dict[str, float]:
    """Seconds of an iteration, bytes of all."""
    env, shown = drift(observations), demonstrations(pairs, observations)
    imported, ends = peak_bytes(), []
    imitax.train(
        "gail",
        env,
        shown,
        seeds=seeds,
        iterations=iterations,
        steps=HORIZON * envs,
        settings={"loop.max_envs": envs},
        callbacks=[lambda moment: ends.append(time.perf_counter())],
    )
    return {"seconds": min(np.diff(ends)), "bytes": peak_bytes() - imported}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name, default in (
        ("pairs", 1000),
        ("seeds", 1),
        ("envs", 8),
        ("observations", 4),
        ("iterations", 4),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
