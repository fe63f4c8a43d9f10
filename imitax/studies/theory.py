"""From MDPs to GAIL, with numbers: what `docs/theory.md` shows.

All but the last case are exact (`imitax.tabular`); in the last one the sampled loop of the library runs
against the exact solution.
"""

import numpy as np

from imitax.stats.estimates import bootstrap_interval, interquartile_mean, normalised
from imitax.studies import theory_figures as draw
from imitax.studies.study import Arrays, Study
from imitax.tabular import duality, irl, regularisers, solve
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.worlds import random_mdp, world

TEMPERATURE = 0.01  # of the grid's expert; more, and it would rather stay alive for the entropy
TRAJECTORIES = (1, 4, 16, 64)
EPISODES = 400  # of the sampled case's expert
STEPS = 5000  # of an iteration of the sampled case
SEED = 100  # of the first sampled run; the trust region was chosen on seeds 0 to 2


def run_case(case: str, seeds: int, iterations: int, progress) -> Arrays:
    """The arrays of one case."""
    if case == "gail":
        return sampled_gail(seeds, iterations, progress)
    return {
        "grid": lambda: grid_world(seeds),
        "transfer": transferred,
        "conjugates": conjugates,
        "propositions": lambda: both_sides(seeds),
    }[case]()


def soft_expert(mdp: TabularMDP, temperature: float = TEMPERATURE):
    """(policy, occupancy measure) of the soft-optimal expert."""
    policy = solve.soft_value_iteration(mdp, temperature=temperature).policy
    return policy, solve.occupancy(mdp, policy)


def roll(mdp: TabularMDP, policy: np.ndarray, episodes: int, rng: np.random.Generator, steps: int = 300):
    """The empirical occupancy measure of sampled episodes."""
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
    """The expert on a grid; what IRL and cloning make of few and many trajectories; the learnt reward.

    Seeds are draws of the trajectories; distances and scores [seeds] are exact. irl_N and bc_N: of the first.
    """
    mdp = world("gridworld")
    policy, rho = soft_expert(mdp)
    random = solve.expectation(solve.occupancy(mdp, np.full_like(rho, 1 / mdp.actions)), mdp.reward)
    found = {"expert": rho, "reward": mdp.reward}
    for count in TRAJECTORIES:
        shown = [roll(mdp, policy, count, np.random.default_rng([count, seed])) for seed in range(seeds)]
        learnt = [irl.mce_irl(mdp, one, irl.linear(mdp.features), l2=1e-4) for one in shown]
        cloned = [solve.occupancy(mdp, solve.policy_of(one)) for one in shown]
        for key, measures in (("irl", [one.rho for one in learnt]), ("bc", cloned)):
            values = np.array([solve.expectation(measure, mdp.reward) for measure in measures])
            found[f"{key}_{count}"] = measures[0]
            found[f"distance_{key}_{count}"] = np.array([variation(measure, rho) for measure in measures])
            found[f"score_{key}_{count}"] = normalised(values, random, solve.expectation(rho, mdp.reward))
    for name, rewards in (
        ("state", irl.tabular(mdp, of_state=True)),
        ("linear", irl.linear(mdp.features)),
        ("tabular", irl.tabular(mdp)),
    ):
        learnt = irl.mce_irl(mdp, rho, rewards, l2=1e-6, tolerance=1e-9)
        found |= {f"reward_{name}": learnt.reward, f"gaps_{name}": learnt.gaps}
        found[f"correlation_{name}"] = np.array(irl.shaping_correlation(mdp, learnt.reward, mdp.reward))
    return found


def transferred() -> Arrays:
    """Rewards learnt in one grid, planned with in another: true returns, discounted."""
    mdp, found = world("gridworld"), {}
    policy, rho = soft_expert(mdp)
    learnt = irl.mce_irl(mdp, rho, irl.linear(mdp.features), l2=1e-6, tolerance=1e-9)
    for name in ("gridworld-slippery", "gridworld-moved"):
        other = world(name)

        def value(policy, other=other):
            return float(solve.expectation(solve.occupancy(other, policy), other.reward))

        planned = solve.soft_policy_iteration(other, other.features @ learnt.parameters).policy
        found[name] = np.array(
            [
                value(np.full((other.states, other.actions), 0.25)),
                value(policy),
                value(planned),
                value(solve.value_iteration(other).policy),
            ]
        )
    return found


def conjugates() -> Arrays:
    """ψ* from the expert's occupancy measure towards two others, and the causal entropy on the way.

    One is the uniform policy's; the other has the expert's feature expectations, all that FEM and GTAL see.
    """
    rng = np.random.default_rng(2)
    mdp = random_mdp(8, 3, rng, discount=0.9)
    features = rng.normal(size=(8, 3, 2))
    _, expert = soft_expert(mdp, 1.0)
    uniform = solve.occupancy(mdp, np.full((8, 3), 1 / 3))
    blind = expert + blind_direction(mdp, features, expert)
    psis = (
        regularisers.linear_ball(features),
        regularisers.convex_hull(features),
        regularisers.gail(expert),
    )
    found: Arrays = {"t": np.linspace(0, 1, 51)}
    for name, end in (("uniform", uniform), ("blind", blind)):
        way = [(1 - t) * expert + t * end for t in found["t"]]
        found[f"{name}_distance"] = np.array([variation(rho, expert) for rho in way])
        for psi in psis:
            values = [psi.conjugate(rho, expert) - psi.conjugate(expert, expert) for rho in way]
            found[f"{name}_{psi.name}"] = np.array(values)
        found[f"{name}_entropy"] = np.array([solve.causal_entropy(rho) for rho in way])
    return found


def blind_direction(mdp: TabularMDP, features: np.ndarray, expert: np.ndarray) -> np.ndarray:
    """A change of occupancy that keeps the flow and the feature expectations, 0.9 of what stays positive."""
    identity = np.repeat(np.eye(mdp.states), mdp.actions, axis=1)
    flow = identity - mdp.discount * mdp.transition.toarray().T
    kept = np.vstack([flow, features.reshape(-1, features.shape[-1]).T])
    direction = np.linalg.svd(kept)[2][-1].reshape(expert.shape)
    return 0.9 * np.min(expert / abs(direction)) * direction


def both_sides(count: int) -> Arrays:
    """Proposition 3.2 on `count` random MDPs: how far RL ∘ IRL_ψ and the argmin of −H + ψ* are apart."""
    found: dict[str, list[float]] = {}
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
            found.setdefault(name, []).append(variation(left.rho, right.rho))
        exact = duality.rl_after_irl(mdp, expert, duality.any_cost(expert))
        found.setdefault("constant", []).append(variation(exact.rho, expert))
    return {name: np.array(values) for name, values in found.items()}


def sampled_problem() -> tuple[TabularMDP, TabularMDP, np.ndarray]:
    """(MDP, the same with its discount as a chance of ending, the expert's policy).

    Episodes that end with probability 1 − γ after every step visit pairs, undiscounted, as often as endless
    ones do discounted. So what the library's loop matches, visits, is the occupancy measure of the first MDP.
    """
    mdp = random_mdp(6, 3, np.random.default_rng(3), discount=0.9)
    ending = TabularMDP(
        mdp.transition * mdp.discount, mdp.reward, mdp.initial, mdp.discount,
        np.full((mdp.states, mdp.actions), 1 - mdp.discount), "random MDP",
    )  # fmt: skip
    return mdp, ending, soft_expert(mdp, 0.3)[0]


def sampled_gail(seeds: int, iterations: int, progress) -> Arrays:
    """Distance of GAIL's occupancy measure from the exact solution of ψ_GA, after ever more iterations.

    A shorter run is the beginning of a longer one: the same seeds, the same bits.
    """
    from imitax.core.statistics import empty_moments
    from imitax.envs.tabular import from_mdp
    from imitax.networks import table_network
    from imitax.policies.policy import Policy, PolicyParams
    from imitax.runs.folder import train
    from imitax.training.evaluation import record

    mdp, ending, expert = sampled_problem()
    env = from_mdp(ending, 150)
    teacher = Policy(env.spec, PolicyParams(table_network(expert), empty_moments((mdp.states,))))
    demonstrations = record(teacher, env, EPISODES)
    shown = np.zeros((mdp.states, mdp.actions))
    np.add.at(shown, (demonstrations.observations.argmax(axis=1), demonstrations.actions), 1 / EPISODES)
    exact = duality.closest_occupancy(mdp, shown, regularisers.gail(shown), entropy=0.0).rho
    lengths = sorted({max(1, iterations * share // 30) for share in (1, 3, 10, 30)})
    distances = []
    for length in lengths:
        run = train(
            "gail", env, demonstrations, agent="trpo", seed=SEED, seeds=seeds, iterations=length,
            steps=STEPS,
            settings={"agent.max_kl": 0.003}, progress=progress,
        )  # fmt: skip
        found = [solve.occupancy(mdp, probabilities(policy)) for policy in run.policies]
        distances.append([variation(rho, exact) for rho in found])
    uniform = np.full((mdp.states, mdp.actions), 1 / mdp.actions)
    return {
        "iterations": np.array(lengths),
        "gail": np.array(distances).T,  # [S, lengths]
        "random": np.array(variation(solve.occupancy(mdp, uniform), exact)),
        "expert": np.array(variation(solve.occupancy(mdp, expert), exact)),
        "cloning": np.array(variation(solve.occupancy(mdp, solve.policy_of(shown)), exact)),
    }


def probabilities(policy) -> np.ndarray:
    """π(a | s) [S, A] of a policy for one-hot observations, in double precision."""
    from scipy.special import softmax

    from imitax.core.statistics import normalise

    states = np.eye(policy.spec.observation_size, dtype=np.float32)
    return softmax(np.float64(policy.params.network(normalise(policy.params.normaliser, states))), axis=1)


def variation(rho: np.ndarray, other: np.ndarray) -> float:
    """Total variation distance of two measures made probabilities: 0 equal, 1 disjoint."""
    return float(abs(rho / rho.sum() - other / other.sum()).sum() / 2)


def summarise(results: dict[str, Arrays]) -> dict:
    """The figures that the page names: label -> value, with an interval where there are seeds."""
    found: dict[str, dict] = {}

    def note(label, value, interval=None):
        found[label] = {"value": float(value), "interval": interval}

    if grid := results.get("grid"):
        for count in TRAJECTORIES:
            for key, method in (("irl", "MCE IRL"), ("bc", "cloning")):
                scores, distances = grid[f"score_{key}_{count}"], grid[f"distance_{key}_{count}"]
                for what, values in (("score", scores), ("distance from the expert", distances)):
                    interval = list(bootstrap_interval(values, interquartile_mean))
                    note(f"{what}, {method}, {count} trajectories", interquartile_mean(values), interval)
        for name in ("state", "linear", "tabular"):
            note(f"learnt and true reward up to shaping and scale, {name}", grid[f"correlation_{name}"])
    for name, values in results.get("transfer", {}).items():
        for label, value in zip(("random", "the old policy", "planned anew", "best"), values, strict=True):
            note(f"return in {name}, {label}", value)
    for name, values in results.get("propositions", {}).items():
        note(f"largest distance of the two sides of proposition 3.2, {name}", values.max())
    if gail := results.get("gail"):
        last = gail["gail"][:, -1]
        low, high = bootstrap_interval(last, interquartile_mean)
        note("distance of sampled GAIL from the exact solution", interquartile_mean(last), [low, high])
        note("largest over the seeds", last.max())
        for name in ("random", "expert", "cloning"):
            note(f"distance of {name} from the exact solution", gail[name])
    return found


def table(summary: dict) -> tuple[list[str], list[list[str]]]:
    """A row for each figure."""
    rows = []
    for label, entry in summary.items():
        interval = entry["interval"]
        between = "" if interval is None else f"[{interval[0]:.3g}, {interval[1]:.3g}]"
        rows.append([label, f"{entry['value']:.3g}", between])
    return ["figure", "value", "95 % interval"], rows


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
