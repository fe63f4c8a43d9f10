"""From MDPs to GAIL, with numbers: the study behind `docs/theory.md`.

All cases but the last are exact (`imitax.tabular`); the last one compares the sampled loop of the
library with the exact solution.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from imitax.stats.estimates import bootstrap_interval, interquartile_mean, normalised
from imitax.studies import theory_figures as draw
from imitax.studies.study import Arrays, Study
from imitax.tabular import duality, irl, regularisers, solve
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.worlds import random_mdp, world

if TYPE_CHECKING:
    from imitax.policies.policy import TrainedPolicy

TEMPERATURE = 0.01  # of the grid's expert; at a higher one it would stay alive for the entropy
TRAJECTORIES = (1, 4, 16, 64)
EPISODES = 400  # of the sampled case's expert
STEPS = 5000  # per iteration of the sampled case
SEED = 100  # of the first sampled run; the trust region was chosen on seeds 0 to 2


def run_case(case: str, seeds: int, iterations: int, callbacks: Any) -> Arrays:
    """Run one of `CASES`; only "gail" uses `iterations` and `callbacks`."""
    if case == "gail":
        return sampled_gail(seeds, iterations, callbacks)
    return {
        "grid": lambda: grid_world(seeds),
        "transfer": transferred_rewards,
        "conjugates": conjugates,
        "propositions": lambda: both_sides(seeds),
    }[case]()


def soft_expert(mdp: TabularMDP, temperature: float = TEMPERATURE) -> tuple[np.ndarray, np.ndarray]:
    """(policy, occupancy measure) of the soft-optimal expert, both [S, A]."""
    policy = solve.soft_value_iteration(mdp, temperature=temperature).policy
    return policy, solve.occupancy(mdp, policy)


def roll(
    mdp: TabularMDP, policy: np.ndarray, episodes: int, rng: np.random.Generator, steps: int = 300
) -> np.ndarray:
    """The empirical occupancy measure [S, A] of sampled episodes of at most `steps` steps."""
    rho, dense = np.zeros((mdp.states, mdp.actions)), mdp.transition.toarray()
    for _ in range(episodes):
        state, weight = rng.choice(mdp.states, p=mdp.initial), 1.0
        for _ in range(steps):
            action = rng.choice(mdp.actions, p=policy[state])
            rho[state, action] += weight / episodes
            chance = dense[state * mdp.actions + action]
            if rng.random() < mdp.termination[state, action]:
                break
            state, weight = rng.choice(mdp.states, p=chance / chance.sum()), weight * mdp.discount
    return rho


def grid_world(seeds: int) -> Arrays:
    """The expert on a grid, IRL and cloning from few and many trajectories, and the learnt
    rewards.

    Seeds draw the trajectories; distances and scores [seeds] are exact. irl_N and bc_N are the
    occupancy measures of the first seed.
    """
    mdp = world("gridworld")
    linear = linear_rewards(mdp)
    policy, rho = soft_expert(mdp)
    random = float(solve.expectation(solve.occupancy(mdp, uniform_policy(mdp)), mdp.reward))
    best = float(solve.expectation(rho, mdp.reward))
    arrays = {"expert": rho, "reward": mdp.reward}
    for count in TRAJECTORIES:
        empirical = [
            roll(mdp, policy, count, np.random.default_rng([count, seed])) for seed in range(seeds)
        ]
        learnt = [irl.mce_irl(mdp, one, linear, l2=1e-4).rho for one in empirical]
        cloned = [solve.occupancy(mdp, solve.policy_of(one)) for one in empirical]
        for key, measures in (("irl", learnt), ("bc", cloned)):
            returns = np.array([solve.expectation(measure, mdp.reward) for measure in measures])
            arrays[f"{key}_{count}"] = measures[0]
            arrays[f"distance_{key}_{count}"] = np.array(
                [variation(measure, rho) for measure in measures]
            )
            arrays[f"score_{key}_{count}"] = normalised(returns, random, best)
    for name, rewards in (
        ("state", irl.tabular(mdp, of_state=True)),
        ("linear", linear),
        ("tabular", irl.tabular(mdp)),
    ):
        learnt = irl.mce_irl(mdp, rho, rewards, l2=1e-6, tolerance=1e-9)
        arrays |= {f"reward_{name}": learnt.reward, f"gaps_{name}": learnt.gaps}
        arrays[f"correlation_{name}"] = np.array(
            irl.shaping_correlation(mdp, learnt.reward, mdp.reward)
        )
    return arrays


def transferred_rewards() -> Arrays:
    """True returns in changed grids: random, old policy, planned with the learnt reward, best."""
    mdp, arrays = world("gridworld"), {}
    policy, rho = soft_expert(mdp)
    learnt = irl.mce_irl(mdp, rho, linear_rewards(mdp), l2=1e-6, tolerance=1e-9)
    for name in ("gridworld-slippery", "gridworld-moved"):
        other = world(name)
        reward = linear_rewards(other).reward(learnt.parameters)
        planned = solve.soft_policy_iteration(other, reward).policy
        best = solve.value_iteration(other).policy
        policies = (uniform_policy(other), policy, planned, best)
        measures = [solve.occupancy(other, one) for one in policies]
        arrays[name] = np.array(
            [float(solve.expectation(measure, other.reward)) for measure in measures]
        )
    return arrays


def conjugates() -> Arrays:
    """ψ* and the causal entropy along segments from the expert's occupancy measure to two others.

    One end is the uniform policy's; the other has the expert's feature expectations, so FEM and
    GTAL cannot tell it from the expert.
    """
    rng = np.random.default_rng(2)
    mdp = random_mdp(8, 3, rng, discount=0.9)
    features = rng.normal(size=(8, 3, 2))
    _, expert = soft_expert(mdp, 1.0)
    uniform = solve.occupancy(mdp, uniform_policy(mdp))
    blind = expert + blind_direction(mdp, features, expert)
    psis = (
        regularisers.linear_ball(features),
        regularisers.convex_hull(features),
        regularisers.gail(expert),
    )
    arrays: Arrays = {"t": np.linspace(0, 1, 51)}
    for name, end in (("uniform", uniform), ("blind", blind)):
        segment = [(1 - t) * expert + t * end for t in arrays["t"]]
        arrays[f"{name}_distance"] = np.array([variation(rho, expert) for rho in segment])
        for psi in psis:
            values = [psi.conjugate(rho, expert) - psi.conjugate(expert, expert) for rho in segment]
            arrays[f"{name}_{psi.name}"] = np.array(values)
        arrays[f"{name}_entropy"] = np.array([solve.causal_entropy(rho) for rho in segment])
    return arrays


def blind_direction(mdp: TabularMDP, features: np.ndarray, expert: np.ndarray) -> np.ndarray:
    """A change of occupancy [S, A] that keeps flow, feature expectations and positivity."""
    identity = np.repeat(np.eye(mdp.states), mdp.actions, axis=1)
    flow = identity - mdp.discount * mdp.transition.toarray().T
    constraints = np.vstack([flow, features.reshape(-1, features.shape[-1]).T])
    direction = np.linalg.svd(constraints)[2][-1].reshape(expert.shape)
    return 0.9 * np.min(expert / abs(direction)) * direction


def both_sides(count: int) -> Arrays:
    """Distances between the sides of proposition 3.2 on `count` random MDPs, by regulariser."""
    distances: dict[str, list[float]] = {}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        mdp = random_mdp(5, 3, rng)
        features = rng.normal(size=(5, 3, 2))
        _, expert = soft_expert(mdp, 0.5)
        for name, costs, psi in (
            ("ridge", duality.any_cost(expert, 1.0), regularisers.ridge(1.0)),
            ("FEM", duality.linear_costs(features, 2), regularisers.linear_ball(features)),
            ("GTAL", duality.linear_costs(features, 1), regularisers.convex_hull(features)),
            ("GAIL", duality.discriminator_costs(expert), regularisers.gail(expert)),
        ):
            left = duality.rl_after_irl(mdp, expert, costs)
            right = duality.closest_occupancy(mdp, expert, psi)
            distances.setdefault(name, []).append(variation(left.rho, right.rho))
        exact = duality.rl_after_irl(mdp, expert, duality.any_cost(expert))
        distances.setdefault("constant", []).append(variation(exact.rho, expert))
    return {name: np.array(values) for name, values in distances.items()}


def sampled_problem() -> tuple[TabularMDP, TabularMDP, np.ndarray]:
    """(MDP, the same with its discount as a chance of ending, the expert's policy).

    Undiscounted visits of episodes that end with probability 1 − γ after every step equal
    discounted visits of endless ones. So the visits that the library's loop matches are the
    occupancy measure of the first MDP.
    """
    mdp = random_mdp(6, 3, np.random.default_rng(3), discount=0.9)
    transition = sparse.csr_array(mdp.transition * mdp.discount)
    termination = np.full((mdp.states, mdp.actions), 1 - mdp.discount)
    ending = TabularMDP(
        transition, mdp.reward, mdp.initial, mdp.discount, termination, "random MDP"
    )
    return mdp, ending, soft_expert(mdp, 0.3)[0]


def sampled_gail(seeds: int, iterations: int, callbacks: Any) -> Arrays:
    """Distance of GAIL's occupancy measure from the exact solution, for several run lengths.

    A shorter run is the beginning of a longer one: the same seeds give the same bits.
    """
    from imitax.envs.tabular import from_mdp
    from imitax.experts.exact import table_policy
    from imitax.training.evaluation import record
    from imitax.training.train import train

    mdp, ending, expert = sampled_problem()
    env = from_mdp(ending, 150)
    demonstrations = record(table_policy(env.spec, expert), env, EPISODES)
    empirical = np.zeros((mdp.states, mdp.actions))
    np.add.at(
        empirical,
        (demonstrations.observations.argmax(axis=1), demonstrations.actions),
        1 / EPISODES,
    )
    exact = duality.closest_occupancy(mdp, empirical, regularisers.gail(empirical), entropy=0.0).rho
    lengths = sorted({max(1, iterations * share // 30) for share in (1, 3, 10, 30)})
    distances = []
    for length in lengths:
        run = train(
            "gail",
            env,
            demonstrations,
            agent="trpo",
            seed=SEED,
            seeds=seeds,
            iterations=length,
            steps=STEPS,
            settings={"agent.max_kl": 0.003},
            callbacks=callbacks,
        )
        measures = [solve.occupancy(mdp, probabilities(policy)) for policy in run.policies]
        distances.append([variation(rho, exact) for rho in measures])
    cloned = solve.occupancy(mdp, solve.policy_of(empirical))
    return {
        "iterations": np.array(lengths),
        "gail": np.array(distances).T,  # [S, lengths]
        "random": np.array(variation(solve.occupancy(mdp, uniform_policy(mdp)), exact)),
        "expert": np.array(variation(solve.occupancy(mdp, expert), exact)),
        "cloning": np.array(variation(cloned, exact)),
    }


def linear_rewards(mdp: TabularMDP) -> irl.RewardClass:
    """Rewards that are linear in the features of an MDP, which must have some."""
    assert mdp.features is not None
    return irl.linear(mdp.features)


def uniform_policy(mdp: TabularMDP) -> np.ndarray:
    """π(a | s) = 1 / A, as [S, A]."""
    return np.full((mdp.states, mdp.actions), 1 / mdp.actions)


def probabilities(policy: "TrainedPolicy") -> np.ndarray:
    """π(a | s) [S, A] of a policy for one-hot observations, in double precision."""
    from scipy.special import softmax

    states = np.eye(policy.spec.observation.shape[0], dtype=np.float32)
    return softmax(np.float64(policy.distribution(states)["logits"]), axis=1)


def variation(rho: np.ndarray, other: np.ndarray) -> float:
    """Total variation distance of two measures, both normalised: 0 if equal, 1 if disjoint."""
    return float(abs(rho / rho.sum() - other / other.sum()).sum() / 2)


def summarise(results: dict[str, Arrays]) -> dict:
    """The numbers of the page: label -> value, with an interval where there are several seeds."""
    numbers: dict[str, dict] = {}

    def note(label: str, value: float | np.ndarray, interval: list[float] | None = None) -> None:
        numbers[label] = {"value": float(value), "interval": interval}

    if grid := results.get("grid"):
        for count in TRAJECTORIES:
            trajectories = "1 trajectory" if count == 1 else f"{count} trajectories"
            for key, method in (("irl", "MCE IRL"), ("bc", "cloning")):
                for quantity, name in (
                    ("score", "score"),
                    ("distance from the expert", "distance"),
                ):
                    values = grid[f"{name}_{key}_{count}"]
                    interval = list(bootstrap_interval(values, interquartile_mean))
                    note(
                        f"{quantity}, {method}, {trajectories}",
                        interquartile_mean(values),
                        interval,
                    )
        for name in ("state", "linear", "tabular"):
            note(
                f"correlation of learnt and true reward up to shaping, {name}",
                grid[f"correlation_{name}"],
            )
    for name, values in results.get("transfer", {}).items():
        for label, value in zip(
            ("random", "old policy", "planned with the learnt reward", "best"), values, strict=True
        ):
            note(f"return in {name}, {label}", value)
    for name, values in results.get("propositions", {}).items():
        note(f"maximum distance between the sides of proposition 3.2, {name}", values.max())
    if gail := results.get("gail"):
        last = gail["gail"][:, -1]
        low, high = bootstrap_interval(last, interquartile_mean)
        note(
            "distance of sampled GAIL from the exact solution",
            interquartile_mean(last),
            [low, high],
        )
        note("the same, maximum over seeds", last.max())
        for name in ("random", "expert", "cloning"):
            note(f"distance of {name} from the exact solution", gail[name])
    return numbers


def table(summary: dict) -> tuple[list[str], list[list[str]]]:
    """A row for each number."""
    rows = []
    for label, entry in summary.items():
        interval = entry["interval"]
        text = "" if interval is None else f"[{interval[0]:.3g}, {interval[1]:.3g}]"
        rows.append([label, f"{entry['value']:.3g}", text])
    return ["quantity", "value", "95 % interval"], rows


FIGURES = (
    ("a-occupancy", ("grid",), draw.occupancies),
    ("b-reward", ("grid", "transfer"), draw.rewards),
    ("c-matching", ("grid",), draw.matching),
    ("d-conjugates", ("conjugates",), draw.conjugates),
    ("e-propositions", ("propositions",), draw.propositions),
    ("f-gail", ("gail",), draw.sampled),
)
CASES = ("grid", "transfer", "conjugates", "propositions", "gail")
STUDY = Study("from MDPs to GAIL", CASES, 150, STEPS, run_case, FIGURES, summarise, table)
