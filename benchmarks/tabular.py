"""Times exact solvers on many states, with one reward and with several at once."""

import resource
import time

import numpy as np

from imitax.tabular.solve import soft_policy_iteration, soft_value_iteration
from imitax.tabular.worlds import mountain_car, random_mdp


def timed(function, *arguments, **options):
    """(seconds, result) of a call."""
    start = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - start, result


def main() -> None:
    """Print a Markdown table."""
    rng = np.random.default_rng(0)
    print("| problem | solver, values to 1e-6 | seconds | iterations |\n|---|---|---|---|")
    for mdp in (
        random_mdp(10_000, 5, rng, discount=0.95),
        random_mdp(10_000, 5, rng, discount=0.99),
    ):
        name = f"random, 10,000 states × 5 actions, discount {mdp.discount}"
        seconds, solution = timed(soft_value_iteration, mdp, tolerance=1e-6)
        print(f"| {name} | value iteration | {seconds:.2f} | {solution.iterations} |")
        rewards = rng.normal(size=(8, *mdp.reward.shape))
        seconds, solution = timed(soft_value_iteration, mdp, rewards, tolerance=1e-6)
        print(
            f"| {name} | value iteration, 8 rewards at once | {seconds:.2f} | "
            f"{solution.iterations} |"
        )
    car = mountain_car()
    name = f"{car.name}, discount {car.discount}"
    seconds, solution = timed(soft_value_iteration, car, tolerance=1e-6)
    print(f"| {name} | value iteration | {seconds:.2f} | {solution.iterations} |")
    seconds, solution = timed(soft_policy_iteration, car, car.reward, 1e-6)
    print(f"| {name} | policy iteration | {seconds:.2f} | {solution.iterations} |")
    print(f"\nPeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB.")


if __name__ == "__main__":
    main()
