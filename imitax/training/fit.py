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
from imitax.methods.registry import CUSTOM, Kind, Parts, build_loop, find_method, policy_of
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
    return _fit([config], env, demonstrations, [callbacks], restore, parts)[0]


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
        own = [callbacks[i] if callbacks else () for i in members]
        results |= dict(zip(members, _fit(chosen, env, demos, own), strict=True))
    return [results[i] for i in range(len(configs))]


def _for_their_seeds(
    callbacks: Sequence[Sequence[Callback]], rows: Sequence[slice]
) -> list[Callback]:
    """The callbacks of every configuration, each called as if its seeds were alone."""
    return [
        lambda moment, callback=callback, seeds=seeds: callback(select_seeds(moment, seeds))
        for own, seeds in zip(callbacks, rows, strict=True)
        for callback in own
    ]


def _fit(
    configs: Sequence[RunConfig],
    env: Env,
    demonstrations: Demonstrations | None,
    callbacks: Sequence[Sequence[Callback]],
    restore: Restore | None = None,
    parts: Parts = Parts(),
) -> list[Training]:
    """Train configurations that share a program; `demonstrations` are those that are used."""
    start, config, each = time.perf_counter(), configs[0], rows_of(configs)
    learnt, env_steps, rounds, kind = None, 0, None, find_method(config.method).kind
    match kind:
        case Kind.LOOP:
            every = callbacks[0] if len(configs) == 1 else _for_their_seeds(callbacks, each)
            learner, metrics, env_steps = run_loop(
                configs, env, demonstrations, every, restore, parts
            )
        case Kind.SUPERVISED:
            assert demonstrations is not None  # `prepare` has seen them
            learner, metrics, rounds = clone_policies(
                configs, env.spec, demonstrations, parts.policy
            )
        case Kind.PLANNING:
            assert demonstrations is not None
            learner, metrics, learnt = plan(config, env, demonstrations)
    seconds, results = time.perf_counter() - start, []
    for config, rows, own in zip(configs, each, callbacks, strict=True):
        part = jax.tree.map(lambda x, rows=rows: x[rows], learner)
        length = None if rounds is None else int(np.max(rounds[rows]))  # as if it were alone
        values = {name: column[rows, :length] for name, column in metrics.items()}
        if kind is not Kind.LOOP:
            _report_rounds(values, own)
        results.append(
            Training(
                config, env.spec, part, values, env_steps, seconds, demonstrations, learnt, parts
            )
        )
    return results


def _report_rounds(metrics: dict[str, np.ndarray], callbacks: Sequence[Callback]) -> None:
    """Call the callbacks for each column of metrics [S, R], as the loop does while it runs."""
    rounds = next(iter(metrics.values())).shape[1]
    for i in range(rounds):
        moment = Moment(i, rounds, {name: values[:, i] for name, values in metrics.items()})
        for callback in callbacks:
            callback(moment)


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
    entry, named = find_method(config.method), config.method != CUSTOM
    if demonstrations is None and (config.init or (entry.demonstrations and named)):
        raise ImitaxError(
            f"Method '{config.init or config.method}' learns from demonstrations: give some "
            "(--demos PATH)."
        )
    if parts.agent is not None and not entry.loop:
        raise ImitaxError(f"Method '{config.method}' has no agent: leave the argument agent out.")
    if parts.policy is not None and entry.kind is Kind.PLANNING:
        raise ImitaxError(
            f"Method '{config.method}' makes a table of probabilities: leave the argument policy "
            "out."
        )
    check_config(config)
    if config.init is not None and not (entry.loop and entry.demonstrations):
        raise ImitaxError(
            f"Option init is '{config.init}', but method '{config.method}' cannot start from a "
            "clone: it is for methods that learn from demonstrations in an environment, such as "
            "gail."
        )
    if entry.loop:
        build_loop(config.method, config.agent, env.spec, config.settings, parts)
    if demonstrations is None:
        return None
    demonstrations.validate(env.spec)
    if config.init or (entry.demonstrations and named):  # an own reward model may do without
        demonstrations.require_actions(f"Method '{config.init or config.method}'")
    demonstrations = choose(demonstrations, config)
    if entry.kind is Kind.SUPERVISED:
        hold_out(demonstrations, config)
    if entry.kind is Kind.PLANNING:
        problem(config, env, demonstrations)
    return demonstrations
