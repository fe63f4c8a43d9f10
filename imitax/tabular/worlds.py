"""Tabular MDPs: grids, random MDPs, a discretised Mountain Car, and Gymnasium's tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse

from imitax.errors import ImitaxError, unknown
from imitax.tabular.mdp import TabularMDP

MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}
# State, action, next state, probability, reward, ends
Outcome = tuple[int | np.integer, int | np.integer, int | np.integer, float, float, bool]
TOY_TEXTS = ("FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "Taxi-v4")


def gridworld(
    rows: Sequence[str], slip: float = 0.1, discount: float = 0.95, step_reward: float = -0.1
) -> TabularMDP:
    """A grid drawn in text: S start, G goal (reward 1), H hole (reward −1), # wall, . free.

    The actions move up, right, down and left; with probability `slip` the move is perpendicular
    instead. A move into a wall or the border stays in place. The reward of a step is `step_reward`
    plus that of the cell entered; the features are the probabilities of entering G and H, and 1
    for the step. An episode ends in G or H.
    """
    if not rows or len({len(row) for row in rows}) != 1:
        raise ImitaxError(f"A grid needs rows of one length, found {[len(row) for row in rows]}.")
    cells = np.array([list(row) for row in rows])
    letters = set("".join(rows))
    invalid = sorted(letters - set("SGH#."))
    if invalid or "S" not in letters:
        fault = f"'{invalid[0]}'" if invalid else "no start"
        raise ImitaxError(
            f"A grid is drawn with S, G, H, # and '.', and has a start S: found {fault}."
        )
    if not 0 <= slip <= 1:
        raise ImitaxError(f"Slip is {slip}: expected a probability.")
    height, width = cells.shape
    moves = list(MOVES.values())
    outcomes = []
    for y, x in np.ndindex(height, width):
        for action in range(4):
            for turn, chance in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
                dy, dx = moves[(action + turn) % 4]
                ny, nx = y + dy, x + dx
                if not (0 <= ny < height and 0 <= nx < width) or cells[ny, nx] == "#":
                    ny, nx = y, x
                entered = str(cells[ny, nx]) if str(cells[y, x]) not in "GH#" else "."
                reward = {"G": 1.0, "H": -1.0}.get(entered, 0.0) + step_reward
                outcomes.append(
                    (y * width + x, action, ny * width + nx, chance, reward, entered in "GH")
                )
    starts = (cells == "S").reshape(-1)
    return from_outcomes(
        outcomes,
        height * width,
        4,
        starts / starts.sum(),
        discount,
        "gridworld",
        cells.shape,
        cells,
    )


def random_mdp(
    states: int, actions: int, rng: np.random.Generator, successors: int = 3, discount: float = 0.9
) -> TabularMDP:
    """Random successors with Dirichlet probabilities and normal rewards; never ends."""
    successors = min(successors, states)
    pairs = states * actions
    columns = np.stack([rng.choice(states, successors, replace=False) for _ in range(pairs)])
    chances = rng.dirichlet(np.ones(successors), pairs)
    rows = np.repeat(np.arange(pairs), successors)
    transition = sparse.csr_array(
        (chances.reshape(-1), (rows, columns.reshape(-1))), shape=(pairs, states)
    )
    reward = rng.normal(size=(states, actions))
    return TabularMDP(
        transition, reward, rng.dirichlet(np.ones(states)), discount, name="random MDP"
    )


def mountain_car(bins: int = 101, discount: float = 0.99) -> TabularMDP:
    """Mountain Car on a grid of `bins` positions × `bins` velocities: 10,201 states by default.

    A step from a grid point lands between four others, with bilinear probabilities. The reward is
    −1 per step; the episode ends at position 0.5. The dynamics are those of Gymnasium's
    MountainCar-v0.
    """
    positions, velocities = np.linspace(-1.2, 0.6, bins), np.linspace(-0.07, 0.07, bins)
    p, v, a = np.meshgrid(positions, velocities, np.arange(3), indexing="ij")
    speed = np.clip(v + (a - 1) * 0.001 - 0.0025 * np.cos(3 * p), -0.07, 0.07)
    place = np.clip(p + speed, -1.2, 0.6)
    speed = np.where((place <= -1.2) & (speed < 0), 0.0, speed)
    ends = (place >= 0.5) | (p >= 0.5)
    rows, columns, chances = [], [], []
    pair = np.arange(p.size)
    (low_p, part_p), (low_v, part_v) = (
        _between(x.reshape(-1), grid) for x, grid in ((place, positions), (speed, velocities))
    )
    for up_p in (0, 1):
        for up_v in (0, 1):
            weight = (part_p if up_p else 1 - part_p) * (part_v if up_v else 1 - part_v)
            kept = (weight > 0) & ~ends.reshape(-1)
            rows.append(pair[kept])
            columns.append(((low_p + up_p) * bins + low_v + up_v)[kept])
            chances.append(weight[kept])
    entries = (np.concatenate(chances), (np.concatenate(rows), np.concatenate(columns)))
    transition = sparse.csr_array(entries, shape=(p.size, bins * bins))
    initial = np.zeros((bins, bins))
    initial[(positions >= -0.6) & (positions <= -0.4), np.argmin(abs(velocities))] = 1.0
    return TabularMDP(
        transition=transition,
        reward=np.full((bins * bins, 3), -1.0),
        initial=initial.reshape(-1) / initial.sum(),
        discount=discount,
        termination=ends.reshape(bins * bins, 3).astype(float),
        name=f"Mountain Car on {bins} × {bins}",
        grid=(bins, bins),
    )


def toy_text(env_id: str, discount: float = 0.95) -> TabularMDP:
    """Gymnasium's FrozenLake, CliffWalking or Taxi, from its own table of transitions."""
    if env_id not in TOY_TEXTS:
        raise unknown("tabular environment", env_id, TOY_TEXTS)
    import gymnasium

    return from_table(gymnasium.make(env_id).unwrapped, discount, env_id)


def from_table(toy: Any, discount: float, name: str) -> TabularMDP:
    """An MDP from Gymnasium's table `P`: state -> action -> [(probability, next, reward, ends)].

    Features are as in `gridworld` if it has a map of letters (`desc`, as in FrozenLake), otherwise
    none.
    """
    table, initial = toy.P, np.asarray(toy.initial_state_distrib, np.float64)
    grid, cells = getattr(toy, "shape", None), None
    # Taxi's map is a drawing, not its states.
    if hasattr(toy, "desc") and np.size(toy.desc) == len(table):
        cells = np.asarray(toy.desc).astype(str)
        grid = cells.shape
    outcomes = [
        (state, action, following, chance, reward, ends)
        for state, actions in table.items()
        for action, branches in actions.items()
        for chance, following, reward, ends in branches
    ]
    initial = initial / initial.sum()
    return from_outcomes(outcomes, len(table), len(table[0]), initial, discount, name, grid, cells)


def from_outcomes(
    outcomes: Iterable[Outcome],
    states: int,
    actions: int,
    initial: Float[np.ndarray, "S"],
    discount: float,
    name: str,
    grid: tuple[int, int] | None = None,
    cells: np.ndarray | None = None,
) -> TabularMDP:
    """An MDP from its possible outcomes; the letters `cells` of a map give it features."""
    state, action, following, chance, reward, ends = map(np.asarray, zip(*outcomes, strict=True))
    pair, ends = state * actions + action, ends.astype(bool)
    transition = sparse.csr_array(
        (chance[~ends], (pair[~ends], following[~ends])), shape=(states * actions, states)
    )

    def expected(values: np.ndarray | float) -> np.ndarray:
        total = np.zeros(states * actions)
        np.add.at(total, pair, chance * values)
        return total.reshape(states, actions)

    features = None
    if cells is not None:
        into, new = cells.reshape(-1)[following], following != state
        features = np.stack(
            [expected((into == "G") & new), expected((into == "H") & new), expected(1.0)], -1
        )
    rewards, termination = expected(reward), expected(ends)
    return TabularMDP(transition, rewards, initial, discount, termination, name, features, grid)


# Worlds that the command line knows by name: name -> (discount -> MDP), and their episodes' time
# limit.
MAPS = {
    "gridworld": ("S....#.", "..#..#.", ".##....", "....#..", ".#.H#..", ".#....G"),
    "gridworld-moved": ("S....#.", "..#..#.", ".##..#.", "....#G.", ".#.H#..", ".#....."),
}
WORLDS: dict[str, Callable[[float], TabularMDP]] = {
    "gridworld": lambda discount: gridworld(MAPS["gridworld"], 0.1, discount, -0.03),
    "gridworld-moved": lambda discount: gridworld(MAPS["gridworld-moved"], 0.1, discount, -0.03),
    "gridworld-slippery": lambda discount: gridworld(MAPS["gridworld"], 0.4, discount, -0.03),
    "random-mdp": lambda discount: random_mdp(20, 4, np.random.default_rng(0), discount=discount),
}
TIME_LIMIT = 100


def world(name: str, discount: float = 0.95) -> TabularMDP:
    """One of `WORLDS` by its name."""
    if name not in WORLDS:
        raise unknown("tabular world", name, WORLDS)
    return replace(WORLDS[name](discount), name=name)


def _between(x: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the grid point below each x, and the fraction of the distance to the next one."""
    place = (x - grid[0]) / (grid[1] - grid[0])
    low = np.clip(np.floor(place + 1e-9).astype(int), 0, len(grid) - 2)
    return low, np.clip(place - low, 0.0, 1.0)
