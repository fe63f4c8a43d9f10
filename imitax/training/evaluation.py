"""Fresh episodes of policies: returns for evaluation, trajectories for demonstrations."""

import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from imitax.core.acting import act
from imitax.core.compiling import jit
from imitax.core.normaliser import normalise_observation
from imitax.core.spaces import from_environment, to_environment, uniform, zeros
from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env, HostEnv, NativeEnv, stepped_by_host
from imitax.errors import ImitaxError
from imitax.policies.external import Expert, checked
from imitax.policies.policy import TrainedPolicy, check_policy, choose_action, stack
from imitax.training.config import check_seed
from imitax.training.rollout import Episodes, play_host, play_native
from imitax.types import Carry, EnvSpec, Policy

# far from training seeds: evaluation episodes are never training episodes
EVALUATION_SEED = 1_000_000_007


class Evaluation(NamedTuple):
    """Undiscounted true returns and lengths of complete episodes, S policies × N episodes."""

    returns: np.ndarray  # [S, N]
    lengths: np.ndarray  # [S, N]
    seconds: float


def evaluate(
    policy: TrainedPolicy | list[TrainedPolicy],
    env: Env,
    episodes: int = 100,
    stochastic: bool = False,
    seed: int = 0,
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
    policy: TrainedPolicy | Expert, env: Env, episodes: int, stochastic: bool = True, seed: int = 0
) -> Demonstrations:
    """Trajectories of a policy, by default with sampled actions as in the paper.

    An expert from elsewhere is a function from raw observations [N, O] to actions [N] or [N, A] in
    the environment's units, one for each of the `episodes` that are played at once; it decides
    itself whether it samples.
    """
    if isinstance(policy, TrainedPolicy):
        return _demonstrations(env.spec, play([policy], env, episodes, stochastic, seed)[0])
    return _demonstrations(env.spec, _play_function(policy, env, episodes, seed))


def play(
    policies: list[TrainedPolicy], env: Env, episodes: int, stochastic: bool, seed: int
) -> list[Episodes]:
    """Complete episodes of each policy; policies are of one family."""
    for policy in policies:
        check_policy(policy, env.spec)
    # Which of the two is data to the program, so that both are compiled once.
    params = *stack(policies), jnp.full(len(policies), not stochastic)
    family = policies[0].family
    return _play(env, _rule(family), params, len(policies), episodes, seed, family)


def check_episodes(episodes: int) -> None:
    """`ImitaxError` unless there is something to play."""
    if episodes < 1:
        raise ImitaxError(f"Option episodes is {episodes}: expected at least 1.")


@lru_cache(maxsize=64)
def _rule(family: Policy) -> Callable:
    """How policies of a family act: (spec, parameters, observations, whether an episode begins,
    carry, key) -> (agent-unit actions, carry).
    """

    def rule(spec, params, obs, first, carry, key):
        weights, normaliser, deterministic = params
        obs = normalise_observation(spec.observation, normaliser, obs)
        output, carry = act(family, weights, obs, first, carry)
        return choose_action(family, output, key, deterministic), carry

    return rule


def _uniform(spec, params, obs, first, carry, key):
    del params, first
    return uniform(spec.action, key, _batch(obs)), carry


def _same(spec, params, obs, first, carry, key):
    del params, first, key
    return zeros(spec.action, (_batch(obs),)), carry


def _batch(obs) -> int:
    return jax.tree.leaves(obs)[0].shape[0]


def _play(
    env: Env,
    rule: Callable,
    params: PyTree,
    count: int,
    episodes: int,
    seed: int,
    family: Policy | None = None,
) -> list[Episodes]:
    check_episodes(episodes)
    check_seed(seed)
    carry = () if family is None else family.carry(episodes)
    key = jax.random.fold_in(jax.random.key(EVALUATION_SEED), seed)
    if isinstance(env, HostEnv):
        program = _host_act(env.spec, rule)
        each = [jax.tree.map(lambda x, i=i: x[i], params) for i in range(count)]
        return _play_host(env, [partial(program, p) for p in each], episodes, seed, carry, key)
    program = _native_play(env, rule, episodes)
    played = jax.tree.map(np.asarray, program(params, carry, jax.random.split(key, count)))
    return [jax.tree.map(lambda x, i=i: x[i], played) for i in range(count)]


def _play_host(
    env: HostEnv, acts: list, episodes: int, seed: int, carry: Carry, key
) -> list[Episodes]:
    """The same environments for each of `acts`."""
    seeds = np.random.default_rng([EVALUATION_SEED, seed]).integers(2**31 - 1, size=episodes)
    batch = env.open(episodes)
    try:
        return [play_host(batch, act, seeds, env.spec.time_limit, carry, key) for act in acts]
    finally:
        batch.close()


def _play_function(expert: Expert, env: Env, episodes: int, seed: int) -> Episodes:
    check_episodes(episodes)
    check_seed(seed)
    act, space = checked(expert, env.spec), env.spec.action

    def both(obs, first, carry, keys, t):
        action = from_environment(space, act(obs))
        return action, to_environment(space, action), carry

    host = stepped_by_host(env) if isinstance(env, NativeEnv) else env
    return _play_host(host, [both], episodes, seed, (), jax.random.key(seed))[0]


@lru_cache(maxsize=32)
def _native_play(env: NativeEnv, rule: Callable, episodes: int):
    def one(params, carry, key):
        return play_native(env, partial(rule, env.spec, params), episodes, carry, key)

    return jit(jax.vmap(one, (0, None, 0)), seldom=True)


@lru_cache(maxsize=32)
def _host_act(spec: EnvSpec, rule: Callable):
    def both(params, obs, first, carry, keys, t):
        action, carry = rule(spec, params, obs, first, carry, keys[t])
        return action, to_environment(spec.action, action), carry

    return jit(both)


def _demonstrations(spec: EnvSpec, played: Episodes) -> Demonstrations:
    rollout, lengths = played.rollout, played.lengths
    assert rollout.next_obs is not None  # it comes from an environment
    actions = np.asarray(to_environment(spec.action, jnp.asarray(rollout.action)))
    episodes, ends = [], []
    for i, length in enumerate(lengths):
        observations = [rollout.obs[:length, i], rollout.next_obs[length - 1 : length, i]]
        episodes.append((np.concatenate(observations), actions[:length, i]))
        ends.append(bool(rollout.terminated[length - 1, i]))
    return Demonstrations.from_episodes(
        episodes, terminated=ends, returns=played.returns, env_id=spec.id
    )
