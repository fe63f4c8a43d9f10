"""Training: one compiled program for all seeds, driven from the host one iteration at a time.

Collecting and learning are two compiled calls. The second, `learn`, is the same program whether the
rollout came from a native environment or from a host, so equal rollouts give equal bits.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imitax.agents.rollout import (
    Actors,
    action_keys,
    collect_host,
    collect_native,
    episode_statistics,
    start_host,
    start_native,
)
from imitax.core.actions import from_environment, to_environment
from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env, HostEnv, NativeEnv
from imitax.errors import ImitaxError
from imitax.experiment.compiling import jit
from imitax.experiment.planning import plan, problem
from imitax.experiment.policy import Policy, policies_of
from imitax.experiment.settings import RunConfig, check_config
from imitax.methods.adversarial import Method, act
from imitax.methods.cloning import CloningConfig, cloning
from imitax.methods.registry import Kind, build, find_method
from imitax.tabular.irl import Learnt
from imitax.types import Agent, EnvSpec, ExpertPairs, Learner, Rollout

Progress = Callable[[int, int, dict[str, np.ndarray]], None]  # (iteration, iterations, metrics [S])
Visit = Callable[[int, int, Rollout], None]  # (iteration, iterations, rollout [S, T, B])


@dataclass(frozen=True)
class Training:
    """What a training run leaves in memory."""

    config: RunConfig
    spec: EnvSpec
    learner: Learner  # leaves have a leading seed axis [S, …]
    metrics: dict[str, np.ndarray] = field(repr=False)  # name -> [S, I]
    env_steps: int  # environment steps of each seed
    seconds: float  # wall time, compilation included
    demonstrations: Demonstrations | None = field(default=None, repr=False)
    learnt: list[Learnt] | None = field(default=None, repr=False)  # by a planning method, for each seed

    @property
    def iterations(self) -> int:
        """Iterations, or epochs, of which there are metrics."""
        return next(iter(self.metrics.values())).shape[1]

    @property
    def policies(self) -> list[Policy]:
        """The last policy of each seed."""
        return policies_of(self.spec, self.learner)

    @property
    def policy(self) -> Policy:
        """The last policy of the first seed."""
        return self.policies[0]


def fit(
    config: RunConfig,
    env: Env,
    demonstrations: Demonstrations | None = None,
    progress: Progress | None = None,
    visit: Visit | None = None,
) -> Training:
    """Train `config.method` on `env`; errors if it needs demonstrations and has none that fit.

    `progress` is called after every iteration of the loop (cloning: once for each epoch, at the end),
    `visit` before it with what the policy did (cloning: never).
    """
    start = time.perf_counter()
    demonstrations = prepare(config, env, demonstrations)
    seed_keys = jax.vmap(jax.random.key)(jnp.arange(config.seed, config.seed + config.seeds))
    kind, learnt = find_method(config.method).kind, None
    if kind is Kind.PLANNING:
        learner, metrics, learnt = plan(config, env, demonstrations, progress)
        steps = 0
    else:
        run = _fit_loop if kind is Kind.LOOP else _fit_cloning
        learner, metrics, steps = run(config, env, demonstrations, seed_keys, progress, visit)
    seconds = time.perf_counter() - start
    return Training(config, env.spec, learner, metrics, steps, seconds, demonstrations, learnt)


def prepare(config: RunConfig, env: Env, demonstrations: Demonstrations | None) -> Demonstrations | None:
    """The demonstrations that `config` uses, after all checks that could stop a run; compiles nothing.

    Raises:
        ImitaxError: a setting is out of range or unknown, or the method needs demonstrations and none fit.
    """
    entry = find_method(config.method)
    if entry.demonstrations and demonstrations is None:
        raise ImitaxError(f"Method '{config.method}' learns from demonstrations: give some (--demos PATH).")
    check_config(config)
    build(config.method, config.agent, env.spec, config.settings)
    if demonstrations is None:
        return None
    demonstrations.validate(env.spec)
    demonstrations = choose(demonstrations, config)
    if entry.kind is Kind.SUPERVISED:
        hold_out(demonstrations, config)
    if entry.kind is Kind.PLANNING:
        problem(config, env, demonstrations)
    return demonstrations


def choose(demonstrations: Demonstrations, config: RunConfig) -> Demonstrations:
    """The first K trajectories of the configuration, subsampled with random offsets from its seed."""
    if config.trajectories is not None:
        demonstrations = demonstrations.choose(config.trajectories)
    if config.subsample != 1:
        demonstrations = demonstrations.subsample(config.subsample, np.random.default_rng(config.seed))
    return demonstrations


def hold_out(demonstrations: Demonstrations, config: RunConfig) -> tuple[Demonstrations, Demonstrations]:
    """(training, validation) episodes of cloning, drawn with the configuration's seed."""
    fraction = 1.0 - config.settings["bc"].train_fraction
    return demonstrations.split(fraction, np.random.default_rng(config.seed))


def expert_pairs(demonstrations: Demonstrations, spec: EnvSpec) -> ExpertPairs:
    """Demonstrations in the form that methods take: agent-unit actions and the absorbing mass."""
    return ExpertPairs(
        jnp.asarray(demonstrations.observations),
        from_environment(spec.action_space, demonstrations.actions),
        jnp.float32(demonstrations.absorbing_mass(spec.time_limit)),
    )


class Program(NamedTuple):
    """The compiled functions of a run; every argument but `expert` has a leading seed axis."""

    method: Method
    init: Callable
    learn: Callable
    pretrain: Callable


def compiled(config: RunConfig, spec: EnvSpec) -> Program:
    """The program of a run. It is kept: a second run with other seeds or lengths compiles nothing."""
    groups = {name: group for name, group in config.settings.items() if name != "loop"}
    return _compiled_loop(config.method, config.agent, spec, tuple(sorted(groups.items())))


@lru_cache(maxsize=16)
def _compiled_loop(method: str, agent: str, spec: EnvSpec, settings: tuple[tuple[str, Any], ...]) -> Program:
    functions = build(method, agent, spec, dict(settings))

    def update(function):
        def one(learner, expert, episode_return, rollout, key):
            episode_return, episodes = episode_statistics(episode_return, rollout)
            learner, metrics = function(learner, expert, rollout, key)
            return learner, episode_return, episodes | metrics

        return jit(jax.vmap(one, in_axes=(0, None, 0, 0, 0)), donate_argnums=0)

    init = jit(jax.vmap(functions.init, in_axes=(0, None)))
    return Program(functions, init, update(functions.learn), update(functions.pretrain))


def _fit_loop(config: RunConfig, env: Env, demonstrations, seed_keys, progress, visit):
    loop = config.settings["loop"]
    envs = max(n for n in range(1, min(loop.envs, loop.steps) + 1) if loop.steps % n == 0)
    program = compiled(config, env.spec)
    expert = None if demonstrations is None else expert_pairs(demonstrations, env.spec)
    key_init, key_run = _fold(seed_keys, 0), _fold(seed_keys, 1)
    learner = program.init(key_init, expert)
    history: list[dict[str, jax.Array]] = []
    total = loop.pretrain + loop.iterations
    rollouts = _rollouts(env, program.method.agent, learner, envs, loop.steps // envs, key_run)
    try:
        rollout, actors = next(rollouts)
        for i in range(total):
            update = program.pretrain if i < loop.pretrain else program.learn
            keys = _fold(key_run, 2 * i + 1)
            learner, episode_return, metrics = update(learner, expert, actors.episode_return, rollout, keys)
            history.append(metrics)
            if visit is not None:
                visit(i, total, rollout)
            if progress is not None:
                progress(i, total, jax.tree.map(np.asarray, metrics))
            if i + 1 < total:
                rollout, actors = rollouts.send((learner, episode_return))
    finally:
        rollouts.close()
    history = history[loop.pretrain :]  # iteration 0 is the first policy update
    metrics = {name: np.stack([np.asarray(m[name]) for m in history], axis=1) for name in history[0]}
    return jax.block_until_ready(learner), metrics, total * loop.steps


@cache
def _fold_program():
    return jit(jax.vmap(jax.random.fold_in, in_axes=(0, None)))


def _fold(keys, number: int):
    """The keys of every seed, made different by `number`."""
    return _fold_program()(keys, number)


def _rollouts(
    env: Env, agent: Agent, learner: Learner, envs: int, horizon: int, keys
) -> Iterator[tuple[Rollout, Actors]]:
    """Rollouts [S, T, B] without end; send it (learner, episode_return) for each next one."""
    native = isinstance(env, NativeEnv)
    source = _native_rollouts if native else _host_rollouts
    start, collect, close = source(env, agent, envs, horizon)
    try:
        actors = start(_fold(keys, 0), learner.normaliser.count.shape[0])
        i = 0
        while True:
            i += 1
            actors, rollout = collect(learner, actors, _fold(keys, 2 * i))
            learner, episode_return = yield rollout, actors
            actors = actors._replace(episode_return=episode_return)
    finally:
        close()


@lru_cache(maxsize=16)
def _native_functions(env: NativeEnv, agent: Agent, envs: int, horizon: int):
    def collect(learner, actors, key):
        return collect_native(env, lambda obs, k: act(agent, learner, obs, k), actors, horizon, key)

    start = jit(jax.vmap(lambda key: start_native(env, envs, key)))
    return start, jit(jax.vmap(collect))


def _native_rollouts(env: NativeEnv, agent: Agent, envs: int, horizon: int):
    start, collect = _native_functions(env, agent, envs, horizon)
    return lambda keys, seeds: start(keys), collect, lambda: None


@lru_cache(maxsize=16)
def _host_act(spec: EnvSpec, agent: Agent):
    def both(learner, obs, key):
        action = act(agent, learner, obs, key)
        return action, to_environment(spec.action_space, action)

    return jit(jax.vmap(both))


def _host_rollouts(env: HostEnv, agent: Agent, envs: int, horizon: int):
    both = _host_act(env.spec, agent)
    batch = None

    def start(keys, seeds):
        nonlocal batch
        batch = env.open(seeds * envs)
        drawn = jax.vmap(lambda k: jax.random.randint(k, (envs,), 0, 2**31 - 1))(keys)
        return start_host(batch, np.asarray(drawn))

    def collect(learner, actors, keys):
        step_keys = jnp.swapaxes(jax.vmap(lambda k: action_keys(k, horizon))(keys), 0, 1)  # [T, S]
        actors, rollout = collect_host(batch, lambda obs, k: both(learner, obs, k), actors, step_keys)
        return actors, jax.tree.map(lambda x: np.moveaxis(x, 0, 1), rollout)  # [S, T, B, …]

    return start, collect, lambda: batch.close() if batch is not None else None


@lru_cache(maxsize=16)
def _compiled_cloning(spec: EnvSpec, settings: CloningConfig):
    functions = cloning(spec, settings)
    return jit(jax.vmap(functions.init, in_axes=(0, None))), jit(
        jax.vmap(functions.fit, in_axes=(0, None, None, 0))
    )


def _fit_cloning(config: RunConfig, env: Env, demonstrations: Demonstrations, seed_keys, progress, visit):
    del visit  # there are no rollouts
    settings = config.settings["bc"]
    train, validation = hold_out(demonstrations, config)
    init, run = _compiled_cloning(env.spec, settings)
    pairs = expert_pairs(train, env.spec)
    learner, history = run(
        init(seed_keys, pairs), pairs, expert_pairs(validation, env.spec), _fold(seed_keys, 1)
    )
    metrics = {name: np.asarray(values) for name, values in history.items()}
    if progress is not None:
        for i in range(settings.epochs):
            progress(i, settings.epochs, {name: values[:, i] for name, values in metrics.items()})
    return learner, metrics, 0
