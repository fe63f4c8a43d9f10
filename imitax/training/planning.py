"""Methods that plan with the environment's model, and what their learnt rewards are worth."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.normaliser import empty_normaliser
from imitax.core.spaces import size
from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env
from imitax.errors import ImitaxError, one_line
from imitax.files.read import read_tensors
from imitax.files.write import write_whole
from imitax.methods.registry import Kind, build_planning, find_method
from imitax.networks import table_network
from imitax.tabular import irl, solve
from imitax.tabular.demonstrated import empirical_occupancy
from imitax.tabular.mdp import TabularMDP
from imitax.training.config import RunConfig
from imitax.types import Learner

_MAX_PARAMETER = 1e9  # of a parameter; larger rewards leave no digits for what tells actions apart


def model_of(env: Env, discount: float) -> TabularMDP:
    """The environment as explicit arrays; `ImitaxError` if it has none."""
    if env.model is None:
        raise ImitaxError(
            f"Environment '{env.spec.id}' has no table of transitions, which exact planning needs: "
            "choose a tabular one (see `imitax envs`)."
        )
    return env.model(discount)


def problem(config: RunConfig, env: Env, demonstrations: Demonstrations):
    """(method, MDP, the expert's occupancy measure), or the `ImitaxError` that says what is
    wrong.
    """
    method = build_planning(config.method, env.spec, config.settings)
    mdp = model_of(env, config.settings[config.method].discount)
    method.rewards(mdp, config.seed)
    return method, mdp, empirical_occupancy(mdp, demonstrations)


def plan(
    config: RunConfig, env: Env, demonstrations: Demonstrations
) -> tuple[Learner, dict[str, np.ndarray], list[irl.Learnt]]:
    """(learner with a leading seed axis, metrics [S, I], what was learnt for each seed)."""
    method, mdp, expert = problem(config, env, demonstrations)
    results = [method.fit(mdp, expert, config.seed + index) for index in range(config.seeds)]
    length = max(len(result.gaps) for result in results)
    # Seeds stop at different iterations: the last value stands for those after it.
    metrics = {
        name: np.stack([np.pad(x, (0, length - len(x)), mode="edge") for x in values])
        for name, values in (
            ("feature_gap", [result.gaps for result in results]),
            ("irl_objective", [result.objective for result in results]),
        )
    }
    normaliser = empty_normaliser(env.spec.observation)
    learners = [Learner(table_network(result.policy), (), (), (), normaliser) for result in results]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *learners), metrics, results


def describe(training, env: Env) -> dict:
    """What was learnt, exactly: gaps, discounted true returns, and the reward against the true
    one.

    Lists have an entry for each seed. `reward_correlation` is that of learnt and true reward after
    what potentials explain is taken out of both: 1 for equal up to shaping and scale.
    """
    config = training.config
    _, mdp, expert = problem(config, env, training.demonstrations)
    uniform = np.full((mdp.states, mdp.actions), 1.0 / mdp.actions)
    best = solve.value_iteration(mdp)
    return {
        "reward_class": config.settings[config.method].reward,
        "discount": mdp.discount,
        "feature_gap": [float(f.gaps[-1]) for f in training.learnt],
        "occupancy_gap": [float(abs(f.rho - expert).sum()) for f in training.learnt],
        "expert_mass": float(expert.sum()),
        "return_learnt": [float(solve.expectation(f.rho, mdp.reward)) for f in training.learnt],
        "return_expert": float(solve.expectation(expert, mdp.reward)),
        "return_best": float(mdp.initial @ best.values),
        "return_random": float(solve.expectation(solve.occupancy(mdp, uniform), mdp.reward)),
        "reward_correlation": [
            irl.shaping_correlation(mdp, f.reward, mdp.reward) for f in training.learnt
        ],
    }


def save_rewards(learnt: list[irl.Learnt], path: Path) -> None:
    """Tensors seed0.reward [S, A], seed0.parameters [P], …"""
    from safetensors.numpy import save as to_bytes

    tensors = {}
    for index, found in enumerate(learnt):
        tensors |= {
            f"seed{index}.reward": found.reward,
            f"seed{index}.parameters": found.parameters,
        }
    write_whole(
        path, to_bytes({name: np.ascontiguousarray(value) for name, value in tensors.items()})
    )


def load_rewards(path: Path, seeds: int) -> list[np.ndarray]:
    """The parameters [P] of each seed's reward, from `save_rewards`; `ImitaxError` if the file is
    damaged.
    """
    try:
        tensors, _ = read_tensors(path)
        learnt = [tensors[f"seed{index}.parameters"] for index in range(seeds)]
        if not all(
            theta.dtype == np.float64 and np.all(abs(theta) <= _MAX_PARAMETER) for theta in learnt
        ):
            raise ValueError(f"expected float64 numbers of at most {_MAX_PARAMETER:g}")
    except Exception as error:
        raise ImitaxError(f"File '{path}' is damaged ({one_line(error)}).") from error
    return learnt


def transfer(run, env: Env) -> dict:
    """Plan anew in `env` with the rewards that a run has learnt: true returns there, discounted.

    A linear or neural reward is computed from the features of `env`, a table needs its states and
    actions. `return_old_policy`, the run's own policy in `env`, is None where it does not fit.
    """
    config = run.config
    plans = find_method(config.method).kind is Kind.PLANNING
    if not plans or not (run.path / "reward.safetensors").is_file():
        raise ImitaxError(
            f"Run folder '{run.path}' has no reward.safetensors: only mce_irl leaves one."
        )
    learnt = load_rewards(run.path / "reward.safetensors", len(run.policies))
    method = build_planning(config.method, env.spec, config.settings)
    mdp = model_of(env, config.settings[config.method].discount)
    uniform = np.full((mdp.states, mdp.actions), 1.0 / mdp.actions)
    old, planned = [], []
    for index, policy in enumerate(run.policies):
        rewards, theta = method.rewards(mdp, config.seed + index), learnt[index]
        if theta.shape != rewards.initial.shape:
            raise ImitaxError(
                f"The reward of run '{run.path}' has {theta.size} parameters, but '{mdp.name}' "
                f"needs {rewards.initial.size}: it has other states, actions or features."
            )
        planned.append(_return(mdp, solve.soft_value_iteration(mdp, rewards.reward(theta)).policy))
        if size(policy.spec.observation) == mdp.states:
            logits = np.float64(policy.params.weights[0])
            old.append(_return(mdp, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)))
    return {
        "from": config.env,
        "to": mdp.name,
        "return_planned_anew": planned,
        "return_old_policy": old or None,
        "return_best": float(mdp.initial @ solve.value_iteration(mdp).values),
        "return_random": _return(mdp, uniform),
    }


def _return(mdp: TabularMDP, policy: np.ndarray) -> float:
    return float(solve.expectation(solve.occupancy(mdp, policy), mdp.reward))
