"""Training: one compiled program for all seeds, driven from the host one iteration at a time.

Collecting and learning are two compiled calls. The second, `learn`, is the same program whether the
rollout came from a native environment or from a host, so equal rollouts give equal bits.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.compiling import jit
from imitax.core.spaces import from_environment
from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env
from imitax.errors import ImitaxError
from imitax.methods.adversarial import Method
from imitax.methods.cloning import CloningConfig, cloning
from imitax.methods.registry import Kind, build, find_method
from imitax.policies.policy import Policy, policies_of
from imitax.tabular.irl import Learnt
from imitax.training.collecting import Source, fold, source
from imitax.training.config import RunConfig, check_config, make_config
from imitax.training.planning import plan, problem
from imitax.training.rollout import Actors, episode_statistics
from imitax.types import EnvSpec, ExpertPairs, Learner, Rollout

Progress = Callable[[int, int, dict[str, np.ndarray]], None]  # (iteration, iterations, metrics [S])
Visit = Callable[[int, int, Rollout], None]  # (iteration, iterations, rollout [S, T, B])
History = list[dict[str, np.ndarray]]  # metrics [S] of every iteration


class LoopState(NamedTuple):
    """What the next iteration depends on, besides settings, demonstrations and the number of the iteration.

    Every leaf has a leading seed axis. Random numbers follow from seed and iteration, so no key is in here.
    """

    learner: Learner
    actors: Actors | None  # None where environments can not be taken up again


@runtime_checkable
class Keeper(Protocol):
    """Keeps the loop's state, and gives it back to a run that was interrupted."""

    def restore(self, like: LoopState) -> tuple[LoopState, History] | None:
        """State and metrics of the iterations that are done, or None to begin; `like` has their shapes."""

    def keep(self, total: int, state: LoopState, history: History) -> None:
        """Called after every iteration; may raise to stop the run."""


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
    keeper: Keeper | None = None,
) -> Training:
    """Train `config.method` on `env`; errors if it needs demonstrations and has none that fit.

    `progress` is called after every iteration of the loop (cloning: once for each epoch, at the end),
    `visit` before it with what the policy did (cloning: never). `keeper` makes a run that can be resumed.

    Raises:
        ImitaxError: as `prepare`, or a number that training depends on is no longer finite.
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
        learner, metrics, steps = run(config, env, demonstrations, seed_keys, progress, visit, keeper)
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
    if config.init is not None and not (entry.loop and entry.demonstrations):
        raise ImitaxError(
            f"Option init is '{config.init}', but method '{config.method}' can not start from a clone: "
            "it is for methods that learn from demonstrations in an environment, such as gail."
        )
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
    warm_up: Callable


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
            return learner, episode_return, episodes | metrics | {"nonfinite": nonfinite(learner, rollout)}

        return jit(jax.vmap(one, in_axes=(0, None, 0, 0, 0)), donate_argnums=0)

    init = jit(jax.vmap(functions.init, in_axes=(0, None)))
    updates = (functions.learn, functions.pretrain, functions.warm_up)
    return Program(functions, init, *map(update, updates))


WATCHED = ("observations", "rewards", "policy", "reward model", "normaliser")


def nonfinite(learner: Learner, rollout: Rollout) -> jax.Array:
    """Which of `WATCHED` hold a number that is not finite: the sum of 2^index; 0 where all is well."""
    trees = (
        (rollout.obs, rollout.next_obs),
        rollout.reward,
        learner.agent,
        learner.reward,
        learner.normaliser,
    )

    def broken(tree):
        leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
        return ~jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])) if leaves else False

    return sum((jnp.where(broken(tree), 2.0**i, 0.0) for i, tree in enumerate(trees)), jnp.float32(0))


def _check_finite(metrics: dict[str, np.ndarray], config: RunConfig, iteration: int) -> dict[str, np.ndarray]:
    """Metrics without the mark of `nonfinite`; `ImitaxError` says what is not finite, and since when."""
    marks = metrics.pop("nonfinite").astype(int)
    bad = [name for i, name in enumerate(WATCHED) if (marks >> i & 1).any()]
    # Means over the episodes that ended are unknown where none did.
    losses = {name: values for name, values in metrics.items() if not name.startswith("episode_")}
    bad += [name for name, values in losses.items() if not np.isfinite(values).all()]
    if bad:
        wrong = (marks > 0) | ~np.isfinite(np.stack(list(losses.values()))).all(axis=0)
        seeds = ", ".join(str(config.seed + i) for i in np.flatnonzero(wrong))
        raise ImitaxError(
            f"Training of '{config.method}' on '{config.env}' broke down in iteration {iteration + 1}, seed "
            f"{seeds}: no longer finite are {', '.join(bad)}."
        )
    return metrics


def iterations_before(config: RunConfig) -> int:
    """Iterations before the first step of the policy."""
    loop = config.settings["loop"]
    return loop.pretrain + (loop.warm_up if config.init else 0)


def _start_from_clone(config: RunConfig, spec: EnvSpec, learner, demonstrations, seed_keys) -> Learner:
    """The learner with the policy, and the normaliser, of behaviour cloning on the same demonstrations."""
    group = make_config("bc", config.env).settings["bc"]
    settings = dataclasses.replace(group, hidden=config.settings["agent"].hidden)
    cloned = RunConfig("bc", config.env, seed=config.seed, seeds=config.seeds, settings={"bc": settings})
    clone, _ = clone_policies(cloned, spec, demonstrations, seed_keys)
    return learner._replace(
        agent=learner.agent._replace(policy=clone.agent.policy), normaliser=clone.normaliser
    )


def _collect(rollouts: Source, learner: Learner, actors: Actors, keys, config: RunConfig, iteration: int):
    try:
        return rollouts.collect(learner, actors, keys)
    except ImitaxError as error:
        raise ImitaxError(
            f"Training of '{config.method}' on '{config.env}' stopped in iteration {iteration + 1}: {error}"
        ) from error


def _fit_loop(config: RunConfig, env: Env, demonstrations, seed_keys, progress, visit, keeper):
    loop = config.settings["loop"]
    envs = max(n for n in range(1, min(loop.envs, loop.steps) + 1) if loop.steps % n == 0)
    program = compiled(config, env.spec)
    expert = None if demonstrations is None else expert_pairs(demonstrations, env.spec)
    key_init, key_run = fold(seed_keys, 0), fold(seed_keys, 1)
    learner = program.init(key_init, expert)
    before = iterations_before(config)
    total = before + loop.iterations
    rollouts = source(env, program.method.agent, config.seeds, envs, loop.steps // envs)
    try:
        actors = rollouts.start(fold(key_run, 0))
        history: History = []
        like = LoopState(learner, actors if rollouts.whole else None)
        if keeper is not None and (kept := keeper.restore(like)):
            (learner, taken_up), history = kept
            # Other environments begin new episodes, other ones than those of the beginning.
            actors = taken_up if rollouts.whole else rollouts.start(fold(fold(key_run, 0), len(history)))
        elif config.init == "bc":
            learner = _start_from_clone(config, env.spec, learner, demonstrations, seed_keys)
        for i in range(len(history), total):
            actors, rollout = _collect(rollouts, learner, actors, fold(key_run, 2 * i + 2), config, i)
            waiting = program.pretrain if i < loop.pretrain else program.warm_up
            update = waiting if i < before else program.learn
            keys = fold(key_run, 2 * i + 1)
            learner, episode_return, metrics = update(learner, expert, actors.episode_return, rollout, keys)
            actors = actors._replace(episode_return=episode_return)
            history.append(_check_finite(jax.tree.map(np.asarray, metrics), config, i))
            if visit is not None:
                visit(i, total, rollout)
            if progress is not None:
                progress(i, total, history[-1])
            if keeper is not None:
                keeper.keep(total, LoopState(learner, actors if rollouts.whole else None), history)
    finally:
        rollouts.close()
    history = history[before:]  # iteration 0 is the first policy update
    metrics = {name: np.stack([m[name] for m in history], axis=1) for name in history[0]}
    return jax.block_until_ready(learner), metrics, total * loop.steps


@lru_cache(maxsize=16)
def _compiled_cloning(spec: EnvSpec, settings: CloningConfig):
    functions = cloning(spec, settings)
    return jit(jax.vmap(functions.init, in_axes=(0, None))), jit(
        jax.vmap(functions.fit, in_axes=(0, None, None, 0))
    )


def _fit_cloning(
    config: RunConfig, env: Env, demonstrations: Demonstrations, seed_keys, progress, visit, keeper
):
    del visit, keeper  # there are no rollouts, and it is over soon
    learner, metrics = clone_policies(config, env.spec, demonstrations, seed_keys)
    epochs = metrics["train_loss"].shape[1]
    if progress is not None:
        for i in range(epochs):
            progress(i, epochs, {name: values[:, i] for name, values in metrics.items()})
    return learner, metrics, 0


def clone_policies(
    config: RunConfig, spec: EnvSpec, demonstrations: Demonstrations, seed_keys
) -> tuple[Learner, dict[str, np.ndarray]]:
    """The clone of each seed, and the losses [S, E] of the epochs that the longest of them took."""
    train, validation = hold_out(demonstrations, config)
    init, run = _compiled_cloning(spec, config.settings["bc"])
    pairs = expert_pairs(train, spec)
    learner, history, epochs = run(
        init(seed_keys, pairs), pairs, expert_pairs(validation, spec), fold(seed_keys, 1)
    )
    longest = int(np.max(epochs))
    return learner, {name: np.asarray(values)[:, :longest] for name, values in history.items()}
