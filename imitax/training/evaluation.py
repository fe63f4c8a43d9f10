"""Fresh episodes of policies: returns for evaluation, trajectories for demonstrations."""

import time
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.compiling import jit
from imitax.core.spaces import from_environment, to_environment
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.envs.base import Env, HostEnv, NativeEnv
from imitax.errors import ImitaxError
from imitax.policies.external import Expert, checked
from imitax.policies.policy import Policy, agent_action, stack
from imitax.training.config import check_seed
from imitax.training.rollout import Episodes, play_host, play_native
from imitax.types import Discrete, EnvSpec

EVALUATION_SEED = 1_000_000_007  # far from training seeds: evaluation episodes are never training episodes


class Evaluation(NamedTuple):
    """Undiscounted true returns and lengths of complete episodes, S policies × N episodes."""

    returns: np.ndarray  # [S, N]
    lengths: np.ndarray  # [S, N]
    seconds: float


def evaluate(
    policy: Policy | list[Policy], env: Env, episodes: int = 100, stochastic: bool = False, seed: int = 0
) -> Evaluation:
    """Play `episodes` fresh episodes with each policy, deterministic unless `stochastic`."""
    policies = policy if isinstance(policy, list) else [policy]
    start = time.perf_counter()
    played = play(policies, env, episodes, stochastic, seed)
    returns = np.stack([p.returns for p in played])
    return Evaluation(returns, np.stack([p.lengths for p in played]), time.perf_counter() - start)


def evaluate_random(env: Env, episodes: int = 100, seed: int = 0) -> Evaluation:
    """The same for the policy that draws every action uniformly from the action space."""
    start = time.perf_counter()
    played = _play(env, _uniform, None, 1, episodes, seed)
    return Evaluation(played[0].returns[None], played[0].lengths[None], time.perf_counter() - start)


def record_random(env: Env, episodes: int, seed: int = 0) -> Demonstrations:
    """Junk demonstrations: trajectories of the uniformly random policy."""
    return _demonstrations(env.spec, _play(env, _uniform, None, 1, episodes, seed)[0])


def record_constant(env: Env, episodes: int, seed: int = 0) -> Demonstrations:
    """Junk demonstrations: the first action, or the middle of the box, at every step."""
    return _demonstrations(env.spec, _play(env, _same, None, 1, episodes, seed)[0])


def record(
    policy: Policy | Expert, env: Env, episodes: int, stochastic: bool = True, seed: int = 0
) -> Demonstrations:
    """Trajectories of a policy, by default with sampled actions as in the paper.

    An expert from elsewhere is a function from raw observations [N, O] to actions [N] or [N, A] in the
    environment's units, one for each of the `episodes` that are played at once; it decides itself whether it
    samples. Native environments have a twin in Gymnasium, which is played then.
    """
    if not isinstance(policy, Policy):
        return _demonstrations(env.spec, _play_function(policy, env, episodes, seed))
    return _demonstrations(env.spec, play([policy], env, episodes, stochastic, seed)[0])


def play(policies: list[Policy], env: Env, episodes: int, stochastic: bool, seed: int) -> list[Episodes]:
    """Complete episodes of each policy."""
    for policy in policies:
        check_policy(policy, env.spec)
    # Which of the two is data to the program, so that both are compiled once.
    params = stack(policies), jnp.full(len(policies), not stochastic)
    return _play(env, _policy, params, len(policies), episodes, seed)


def check_episodes(episodes: int) -> None:
    """`ImitaxError` unless there is something to play."""
    if episodes < 1:
        raise ImitaxError(f"Option episodes is {episodes}: expected at least 1.")


def check_policy(policy: Policy, spec: EnvSpec) -> None:
    """`ImitaxError` if the policy is for other observations or actions."""
    had = policy.spec.observation_size, policy.spec.action_space
    if had != (spec.observation_size, spec.action_space):
        raise ImitaxError(
            f"The policy is for '{policy.spec.id}' with {had[0]} observations and {had[1]}, but '{spec.id}' "
            f"has {spec.observation_size} and {spec.action_space}."
        )


def _policy(spec, params, obs, key):
    policy, deterministic = params
    return agent_action(spec, policy, obs, key, deterministic)


def _uniform(spec, params, obs, key):
    del params
    if isinstance(spec.action_space, Discrete):
        return jax.random.randint(key, obs.shape[:1], 0, spec.action_space.n)
    return jax.random.uniform(key, (obs.shape[0], spec.action_space.size), minval=-1.0, maxval=1.0)


def _same(spec, params, obs, key):
    del params, key
    if isinstance(spec.action_space, Discrete):
        return jnp.zeros(obs.shape[:1], jnp.int32)
    return jnp.zeros((obs.shape[0], spec.action_space.size))


def _play(env: Env, rule, params, count: int, episodes: int, seed: int) -> list[Episodes]:
    check_episodes(episodes)
    check_seed(seed)
    key = jax.random.fold_in(jax.random.key(EVALUATION_SEED), seed)
    if isinstance(env, HostEnv):
        seeds = np.random.default_rng([EVALUATION_SEED, seed]).integers(2**31 - 1, size=episodes)
        act = _host_act(env.spec, rule)
        batch = env.open(episodes)
        try:
            each = [jax.tree.map(lambda x: x[i], params) for i in range(count)]
            limit = env.spec.time_limit
            return [play_host(batch, lambda *now, p=p: act(p, *now), seeds, limit, key) for p in each]
        finally:
            batch.close()
    played = jax.tree.map(np.asarray, _native_play(env, rule, episodes)(params, jax.random.split(key, count)))
    return [jax.tree.map(lambda x: x[i], played) for i in range(count)]


def _play_function(expert: Expert, env: Env, episodes: int, seed: int) -> Episodes:
    check_episodes(episodes)
    check_seed(seed)
    if isinstance(env, NativeEnv):
        env = make(env.spec.id, "gymnasium", env.spec.time_limit)
    act, space = checked(expert, env.spec), env.spec.action_space

    def both(obs, keys, t):
        action = from_environment(space, act(obs))
        return action, to_environment(space, action)

    seeds = np.random.default_rng([EVALUATION_SEED, seed]).integers(2**31 - 1, size=episodes)
    batch = env.open(episodes)
    try:
        return play_host(batch, both, seeds, env.spec.time_limit, jax.random.key(seed))
    finally:
        batch.close()


@lru_cache(maxsize=32)
def _native_play(env: NativeEnv, rule, episodes: int):
    def one(params, key):
        return play_native(env, lambda obs, k: rule(env.spec, params, obs, k), episodes, key)

    return jit(jax.vmap(one))


@lru_cache(maxsize=32)
def _host_act(spec: EnvSpec, rule):
    def act(params, obs, keys, t):
        action = rule(spec, params, obs, keys[t])
        return action, to_environment(spec.action_space, action)

    return jit(act)


def _demonstrations(spec: EnvSpec, played: Episodes) -> Demonstrations:
    rollout, lengths = played.rollout, played.lengths
    actions = np.asarray(to_environment(spec.action_space, jnp.asarray(rollout.action)))
    episodes, ends = [], []
    for i, length in enumerate(lengths):
        episodes.append((np.asarray(rollout.obs[:length, i]), actions[:length, i]))
        ends.append(bool(rollout.terminated[length - 1, i]))
    return Demonstrations.from_episodes(episodes, terminated=ends, returns=played.returns, env_id=spec.id)
