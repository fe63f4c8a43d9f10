"""Training in memory: a configuration, an environment and demonstrations in, policies and metrics
out.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env
from imitax.errors import ImitaxError
from imitax.methods.registry import Kind, Parts, build_loop, find_method, policy_of
from imitax.policies.policy import TrainedPolicy, policies_of
from imitax.tabular.irl import Learnt
from imitax.training.callbacks import Callback, Moment, Restore, select_seeds
from imitax.training.config import RunConfig, check_config
from imitax.training.data import choose, hold_out
from imitax.training.lanes import rows_of, shared_by
from imitax.training.loop import run_loop
from imitax.training.planning import plan, problem
from imitax.training.supervised import clone_policies
from imitax.types import EnvSpec, Learner, Policy


@dataclass(frozen=True)
class Training:
    """What a training run leaves in memory."""

    config: RunConfig
    spec: EnvSpec
    learner: Learner  # leaves have a leading seed axis [S, …]
    metrics: dict[str, np.ndarray] = field(repr=False)  # name -> [S, I]
    env_steps: int  # environment steps of each seed
    seconds: float  # wall time, compilation included
    demonstrations: Demonstrations | None = field(default=None, repr=False)  # as they were used
    # by a planning method, for each seed
    learnt: list[Learnt] | None = field(default=None, repr=False)
    parts: Parts = Parts()  # values that were given instead of names

    @property
    def iterations(self) -> int:
        """Iterations, or rounds of cloning, of which there are metrics."""
        return next(iter(self.metrics.values())).shape[1]

    @property
    def family(self) -> Policy:
        """How the parameters act."""
        return policy_of(self.config.method, self.spec, self.config.settings, self.parts)

    @property
    def policies(self) -> list[TrainedPolicy]:
        """The last policy of each seed."""
        return policies_of(self.spec, self.family, self.learner)

    @property
    def policy(self) -> TrainedPolicy:
        """The last policy of the first seed."""
        return self.policies[0]


def fit(
    config: RunConfig,
    env: Env,
    demonstrations: Demonstrations | None = None,
    callbacks: Sequence[Callback] = (),
    restore: Restore | None = None,
    parts: Parts = Parts(),
) -> Training:
    """Train `config.method` on `env`; errors if it needs demonstrations and has none that fit.

    `callbacks` are called after every iteration of the loop (cloning and planning: for each round,
    at the end). `restore` gives back the state of a run that is resumed. `parts` take the place of
    what `config` names.

    Raises:
        ImitaxError: as `prepare`, or a number that training depends on is no longer finite.
    """
    demonstrations = prepare(config, env, demonstrations, parts)
    return _fit([config], env, demonstrations, callbacks, restore, parts)[0]


def fit_side_by_side(
    configs: Sequence[RunConfig],
    env: Env,
    demonstrations: Demonstrations | None = None,
    callbacks: Sequence[Sequence[Callback]] = (),
) -> list[Training]:
    """`fit` for several configurations: those that differ in numbers alone train at once.

    `callbacks` has those of each configuration. Each result is what `fit` gives for its
    configuration alone, and `seconds` is that of all that were trained at once.

    Raises:
        ImitaxError: as `fit`.
    """
    results: dict[int, Training] = {}
    groups: dict[object, list[int]] = {}
    for i, config in enumerate(configs):
        prepare(config, env, demonstrations)
        planning = find_method(config.method).kind is Kind.PLANNING
        groups.setdefault(i if planning else shared_by(config), []).append(i)
    for members in groups.values():
        chosen = [configs[i] for i in members]
        demos = choose(demonstrations, chosen[0]) if demonstrations is not None else None
        told = [
            _for_seeds(callback, rows)
            for i, rows in zip(members, rows_of(chosen), strict=True)
            for callback in (callbacks[i] if callbacks else ())
        ]
        results |= dict(zip(members, _fit(chosen, env, demos, told), strict=True))
    return [results[i] for i in range(len(configs))]


def _for_seeds(callback: Callback, rows: slice) -> Callback:
    return lambda moment: callback(select_seeds(moment, rows))


def _fit(
    configs: Sequence[RunConfig],
    env: Env,
    demonstrations: Demonstrations | None,
    callbacks: Sequence[Callback] = (),
    restore: Restore | None = None,
    parts: Parts = Parts(),
) -> list[Training]:
    """Train configurations that share a program; `demonstrations` are those that are used."""
    start, config = time.perf_counter(), configs[0]
    learnt, env_steps, kind = None, 0, find_method(config.method).kind
    match kind:
        case Kind.LOOP:
            learner, metrics, env_steps = run_loop(
                configs, env, demonstrations, callbacks, restore, parts
            )
        case Kind.SUPERVISED:
            assert demonstrations is not None  # `prepare` has seen them
            learner, metrics = clone_policies(configs, env.spec, demonstrations)
        case Kind.PLANNING:
            assert demonstrations is not None
            learner, metrics, learnt = plan(config, env, demonstrations)
    if kind is not Kind.LOOP:
        rounds = next(iter(metrics.values())).shape[1]
        for i in range(rounds):
            moment = Moment(i, rounds, {name: values[:, i] for name, values in metrics.items()})
            for callback in callbacks:
                callback(moment)
    seconds = time.perf_counter() - start
    return [
        Training(
            config,
            env.spec,
            jax.tree.map(lambda x, rows=rows: x[rows], learner),
            {name: values[rows] for name, values in metrics.items()},
            env_steps,
            seconds,
            demonstrations,
            learnt,
            parts,
        )
        for config, rows in zip(configs, rows_of(configs), strict=True)
    ]


def prepare(
    config: RunConfig,
    env: Env,
    demonstrations: Demonstrations | None,
    parts: Parts = Parts(),
) -> Demonstrations | None:
    """The demonstrations that `config` uses, after all checks that could stop a run; compiles
    nothing.

    Raises:
        ImitaxError: a setting is out of range or unknown, or the method needs demonstrations and
            none fit.
    """
    entry = find_method(config.method)
    if entry.demonstrations and demonstrations is None:
        raise ImitaxError(
            f"Method '{config.method}' learns from demonstrations: give some (--demos PATH)."
        )
    check_config(config)
    if config.init is not None and not (entry.loop and entry.demonstrations):
        raise ImitaxError(
            f"Option init is '{config.init}', but method '{config.method}' cannot start from a "
            "clone: "
            "it is for methods that learn from demonstrations in an environment, such as gail."
        )
    if entry.loop:
        build_loop(config.method, config.agent, env.spec, config.settings, parts)
    if demonstrations is None:
        return None
    demonstrations.validate(env.spec)
    if entry.demonstrations:
        demonstrations.require_actions(f"Method '{config.method}'")
    demonstrations = choose(demonstrations, config)
    if entry.kind is Kind.SUPERVISED:
        hold_out(demonstrations, config)
    if entry.kind is Kind.PLANNING:
        problem(config, env, demonstrations)
    return demonstrations
