"""The loop of all lanes: one compiled program, driven from the host one iteration at a time.

Collecting and learning are two compiled calls. The second, `learn`, is the same program whether
the rollout came from a native environment or from a host, so equal rollouts give equal bits.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.compiling import Program, jit
from imitax.core.spaces import blank
from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env
from imitax.errors import ImitaxError, Interrupted
from imitax.methods.adversarial import Cycle
from imitax.methods.registry import Parts, build_loop, policy_of, reward_model_of
from imitax.training.callbacks import Callback, History, LoopState, Moment, Restore
from imitax.training.collecting import fold, source
from imitax.training.config import RunConfig
from imitax.training.data import expert_sample
from imitax.training.lanes import lanes_of, over_lanes
from imitax.training.rollout import episode_statistics
from imitax.training.supervised import clone_policies
from imitax.types import EnvSpec, Learner, Transition


class Programs(NamedTuple):
    """The compiled functions of a run; every argument but demonstrations and progress has a
    leading lane axis.
    """

    init: Callable
    learn: Program
    pretrain: Program
    warm_up: Program


@lru_cache(maxsize=16)
def _programs(method: str, agent: str, spec: EnvSpec, structure: Any, parts: Parts) -> Programs:
    """The programs of a run. They are kept: a second run with other seeds, lengths or numbers
    compiles nothing.
    """

    def built(leaves):
        return build_loop(method, agent, spec, jax.tree.unflatten(structure, leaves), parts)

    def update(name: str):
        def one(leaves, learner, expert, episode_return, rollout, carry, progress, key):
            episode_return, episodes = episode_statistics(episode_return, rollout)
            cycle = Cycle(expert, rollout, carry, progress)
            learner, metrics = getattr(built(leaves), name)(learner, cycle, key)
            metrics = episodes | metrics | {"nonfinite": nonfinite(learner, rollout)}
            return learner, episode_return, metrics

        return Program(over_lanes(one, (0, 0, None, 0, 0, 0, None, 0)), donate_argnums=1)

    def init(leaves, key, expert):
        return built(leaves).init(key, expert)

    start = jit(over_lanes(init, (0, 0, None)), seldom=True)
    return Programs(start, update("learn"), update("pretrain"), update("warm_up"))


WATCHED = ("observations", "rewards", "policy", "critic or optimiser", "reward model", "normaliser")


def nonfinite(learner: Learner, rollout: Transition) -> jax.Array:
    """Which of `WATCHED` hold a number that is not finite: the sum of 2^index; 0 where all is
    well.

    The memory is not among them: what is in there came from rollouts.
    """
    trees = (
        (rollout.obs, rollout.next_obs),
        rollout.reward,
        learner.policy,
        learner.agent,
        learner.reward_model,
        learner.normaliser,
    )

    def broken(tree):
        leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
        return ~jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])) if leaves else False

    return sum(
        (jnp.where(broken(tree), 2.0**i, 0.0) for i, tree in enumerate(trees)), jnp.float32(0)
    )


def check_finite(
    metrics: dict[str, np.ndarray], config: RunConfig, seeds: list[int], iteration: int
) -> dict[str, np.ndarray]:
    """Metrics without the mark of `nonfinite`; `ImitaxError` says what is not finite, and since
    when.
    """
    marks = metrics.pop("nonfinite").astype(int)
    bad = [name for i, name in enumerate(WATCHED) if (marks >> i & 1).any()]
    # Means over the episodes that ended are unknown where none did.
    losses = {name: values for name, values in metrics.items() if not name.startswith("episode_")}
    bad += [name for name, values in losses.items() if not np.isfinite(values).all()]
    if bad:
        wrong = (marks > 0) | ~np.isfinite(np.stack(list(losses.values()))).all(axis=0)
        names = ", ".join(str(seeds[i]) for i in np.flatnonzero(wrong))
        raise ImitaxError(
            f"Training of '{config.method}' on '{config.env}' broke down in iteration "
            f"{iteration + 1}, seed {names}: no longer finite are {', '.join(bad)}."
        )
    return metrics


class LoopResult(NamedTuple):
    """What the loop leaves behind."""

    learner: Learner  # leaves [S, …]
    metrics: dict[str, np.ndarray]  # [S, I], from the first update of the policy on
    env_steps: int  # of each seed


def run_loop(
    configs: Sequence[RunConfig],
    env: Env,
    demonstrations: Demonstrations | None,
    callbacks: Sequence[Callback] = (),
    restore: Restore | None = None,
    parts: Parts = Parts(),
) -> LoopResult:
    """Train the seeds of all configurations, which differ in numbers alone, side by side."""
    training = _Training(configs, env, demonstrations, parts)
    config, rollouts = configs[0], training.rollouts
    try:
        state, history = training.start(restore)
        total = config.waiting_iterations + config.settings["loop"].iterations
        for i in range(len(history), total):
            state, rollout, metrics = training.iterate(state, i, total)
            history.append(check_finite(metrics, config, training.lanes.seeds, i))
            resumable = state if rollouts.resumable else state._replace(envs=None)
            _call_all(callbacks, Moment(i, total, history[-1], rollout, resumable, history))
    finally:
        rollouts.close()
    history = history[config.waiting_iterations :]  # iteration 0 is the first policy update
    columns = {name: np.stack([m[name] for m in history], axis=1) for name in history[0]}
    env_steps = total * config.settings["loop"].env_steps
    return LoopResult(jax.block_until_ready(state.learner), columns, env_steps)


def _call_all(callbacks: Sequence[Callback], moment: Moment) -> None:
    """Call every callback, also where one asks to stop: each of several runs saves its state."""
    requests = []
    for callback in callbacks:
        try:
            callback(moment)
        except Interrupted as request:
            requests.append(str(request))
    if requests:
        raise Interrupted(" ".join(requests))


class _Training:
    """What stays the same from iteration to iteration."""

    def __init__(
        self,
        configs: Sequence[RunConfig],
        env: Env,
        demonstrations: Demonstrations | None,
        parts: Parts,
    ):
        self.configs, self.config, self.env = configs, configs[0], env
        self.demonstrations, self.parts = demonstrations, parts
        self.lanes = lanes_of(configs)
        loop, method = self.config.settings["loop"], self.config.method
        self.policy = policy = policy_of(method, env.spec, self.config.settings, parts)
        self.programs = _programs(method, self.config.agent, env.spec, self.lanes.structure, parts)
        asks = reward_model_of(method, env.spec, self.config.settings, parts).asks
        self.expert = (
            None if demonstrations is None else expert_sample(demonstrations, env.spec, asks)
        )
        self.rollouts = source(
            env, policy, len(self.lanes.seeds), loop.envs, loop.env_steps // loop.envs
        )
        self.run_keys = fold(self.lanes.keys, 1)

    def start(self, restore: Restore | None) -> tuple[LoopState, History]:
        """The state before the first iteration, or that of a run that is resumed, and its metrics
        so far.
        """
        keys = fold(self.lanes.keys, 0)
        self._compile_ahead(keys, resumed=restore is not None)
        learner = self.programs.init(self.lanes.leaves, keys, self.expert)
        state = self._fresh(learner, fold(self.run_keys, 0))
        like = state if self.rollouts.resumable else state._replace(envs=None)
        if restore is not None and (restored := restore(like)):
            state, history = restored
            if not self.rollouts.resumable:
                # These environments begin new episodes, other ones than those of the beginning.
                state = self._fresh(state.learner, fold(fold(self.run_keys, 0), len(history)))
            return state, history
        return (state._replace(learner=self._cloned(learner)) if self.config.init else state), []

    def iterate(self, state: LoopState, i: int, total: int):
        """(state, rollout [S, T, B], metrics [S]) of iteration i."""
        assert state.envs is not None  # `start` has begun new episodes where there were none
        try:
            envs, rollout = self.rollouts.collect(
                state.learner, state.envs, fold(self.run_keys, 2 * i + 2)
            )
        except ImitaxError as error:
            config = self.config
            raise ImitaxError(
                f"Training of '{config.method}' on '{config.env}' stopped in iteration {i + 1}: "
                f"{error}"
            ) from error
        update = self.programs.learn
        if i < self.config.waiting_iterations:
            pretraining = i < self.config.settings["loop"].pretrain
            update = self.programs.pretrain if pretraining else self.programs.warm_up
        learner, episode_return, metrics = update(
            self.lanes.leaves,
            state.learner,
            self.expert,
            state.episode_return,
            rollout,
            state.envs.carry,
            np.float32(i / total),
            fold(self.run_keys, 2 * i + 1),
        )
        return LoopState(learner, envs, episode_return), rollout, jax.tree.map(np.asarray, metrics)

    def _compile_ahead(self, keys, resumed: bool) -> None:
        """Begin to compile what learns, which takes longest, while what collects is compiled."""
        loop, lanes = self.config.settings["loop"], len(self.lanes.seeds)
        learner = jax.eval_shape(self.programs.init, self.lanes.leaves, keys, self.expert)
        rollout = jax.eval_shape(
            lambda: blank(self.env.spec, (lanes, loop.env_steps // loop.envs, loop.envs))
        )
        carry = jax.eval_shape(jax.vmap(lambda key: self.policy.carry(loop.envs)), keys)
        numbers = jax.ShapeDtypeStruct((lanes, loop.envs), np.float32)
        shapes = (learner, self.expert, numbers, rollout, carry, np.float32(0), keys)
        if loop.pretrain and not resumed:
            self.programs.pretrain.compile_ahead(self.lanes.leaves, *shapes)
        if self.config.init and loop.warm_up and not resumed:
            self.programs.warm_up.compile_ahead(self.lanes.leaves, *shapes)
        self.programs.learn.compile_ahead(self.lanes.leaves, *shapes)

    def _fresh(self, learner: Learner, keys) -> LoopState:
        envs = self.rollouts.start(keys)
        return LoopState(learner, envs, jnp.zeros(envs.step.shape))

    def _cloned(self, learner: Learner) -> Learner:
        """The learner with the policy, and the normaliser, of behaviour cloning on the same
        demonstrations.
        """
        assert self.demonstrations is not None  # `prepare` has seen them
        clones = [
            dataclasses.replace(
                config, method="bc", init=None, settings={"bc": config.settings["bc"]}
            )
            for config in self.configs
        ]
        clone = clone_policies(
            clones, self.env.spec, self.demonstrations, self.parts.policy
        ).learner
        return learner._replace(policy=clone.policy, normaliser=clone.normaliser)
