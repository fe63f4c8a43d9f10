"""Benchmarks as data: a cell is one learner on one environment with one set of demonstrations."""

from fnmatch import fnmatchcase
from typing import NamedTuple

from imitax.errors import ImitaxError, unknown


class Plan(NamedTuple):
    """The demonstrations of one environment (Ho & Ermon 2016, tables 1 and 3)."""

    counts: tuple[int, ...]  # demonstrated trajectories
    subsample: int  # k: every k-th pair of each
    compared: int  # trajectories in the controls and the ablation


PLANS = {
    "CartPole-v1": Plan((1, 4, 7, 10), 10, 4),
    "Acrobot-v1": Plan((1, 4, 7, 10), 5, 4),
    "MountainCar-v0": Plan((1, 4, 7, 10), 5, 4),
    "Hopper-v5": Plan((4, 11, 18, 25), 20, 4),
    "HalfCheetah-v5": Plan((4, 11, 18, 25), 20, 4),
    "Walker2d-v5": Plan((4, 11, 18, 25), 20, 4),
    "Reacher-v5": Plan((4, 11, 18), 1, 11),
    "Ant-v5": Plan((4, 11, 18, 25), 20, 11),
    "Humanoid-v5": Plan((80,), 20, 80),
}
CLASSIC = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0")
MUJOCO = tuple(env for env in PLANS if env not in CLASSIC)
METHODS = ("bc", "fem", "gtal", "gail")
LIMITS = {"paper": 200, "native": None}  # steps; None: the environment's own
AGENTS = ("ppo", "trpo")
FORMS = ("log_d", "neg_log_one_minus_d", "logit", "d_minus_one")
JUNK = ("junk-random", "junk-constant")  # random policy; always the first action
BENCHMARKS = {"classic": "paper", "ablation": "paper", "mujoco": "native"}  # name -> default limit


class Cell(NamedTuple):
    """One entry of a benchmark, run once for each seed."""

    env: str
    learner: str  # its name in files and tables: "gail-ppo", "literal-constant-ppo"
    demos: str = ""  # a number of the expert's trajectories ("4"), a kind of junk, or none
    method: str = ""
    agent: str | None = None
    preset: str | None = None
    settings: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        """ENV/LEARNER/DEMOS, such as "CartPole-v1/gail-ppo/4"."""
        return "/".join(part for part in (self.env, self.learner, self.demos) if part)


def references(env: str) -> tuple[Cell, Cell]:
    """The two ends of the normalised scale: score 1 and score 0."""
    return Cell(env, "expert", method="rl"), Cell(env, "random")


def classic(agent: str = "ppo") -> list[Cell]:
    """Every method with every number of trajectories, and both settings of the controls."""
    cells = []
    for env in CLASSIC:
        for count in PLANS[env].counts:
            cells += methods(env, count, agent)
        cells += controls(env, agent)
        cells += [
            c._replace(learner=f"literal-{c.learner}", preset="paper") for c in controls(env, agent)
        ]
        cells.append(
            Cell(env, f"literal-gail-{agent}", str(PLANS[env].compared), "gail", agent, "paper")
        )
    return cells


def mujoco(agent: str = "ppo") -> list[Cell]:
    """Cloning and GAIL with all numbers of trajectories, FEM and GTAL with the fewest, controls.

    Every environment's smallest set and its controls come first, the larger sets last.
    """
    cells, more = [], []
    for env in MUJOCO:
        few, *rest = PLANS[env].counts
        cells += reversed(methods(env, few, agent))
        cells += controls(env, agent)
        more += [cell for count in rest for cell in methods(env, count, agent, ("bc", "gail"))]
    return cells + more


def methods(env: str, count: int, agent: str, names: tuple[str, ...] = METHODS) -> list[Cell]:
    """The methods `names` with `count` trajectories."""
    demos = str(count)
    return [
        Cell(env, "bc", demos, "bc")
        if name == "bc"
        else Cell(env, f"{name}-{agent}", demos, name, agent)
        for name in names
    ]


def controls(env: str, agent: str) -> list[Cell]:
    """Runs that must not learn the task: a constant reward, and GAIL from junk demonstrations."""
    junk = [Cell(env, f"gail-{agent}", kind, "gail", agent) for kind in JUNK]
    return [Cell(env, f"constant-{agent}", "", "constant", agent), *junk]


def ablation(agent: str = "ppo") -> list[Cell]:
    """GAIL with each reward form, with and without absorbing states."""
    cells = []
    for env in CLASSIC:
        for form in FORMS:
            for kind, absorbing in (("absorbing", True), ("literal", False)):
                settings = (("reward.form", form), ("reward.absorbing", absorbing))
                demos = str(PLANS[env].compared)
                cells.append(
                    Cell(env, f"gail-{agent}-{form}-{kind}", demos, "gail", agent, None, settings)
                )
    return cells


def cells_of(benchmark: str, agent: str) -> list[Cell]:
    """The cells of a benchmark by name; `ImitaxError` for an unknown benchmark or agent."""
    if benchmark not in BENCHMARKS:
        raise unknown("benchmark", benchmark, BENCHMARKS)
    if agent not in AGENTS:
        raise unknown("agent", agent, AGENTS)
    return {"classic": classic, "ablation": ablation, "mujoco": mujoco}[benchmark](agent)


def all_cells() -> dict[str, Cell]:
    """Every cell of every benchmark by its name."""
    return {
        cell.name: cell for agent in AGENTS for name in BENCHMARKS for cell in cells_of(name, agent)
    }


def select(cells: list[Cell], patterns: tuple[str, ...]) -> list[Cell]:
    """The cells whose name matches one of `patterns` ("*/gail-ppo/*"); all without patterns."""
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) for cell in cells):
            if set(pattern) & set("*?["):
                raise ImitaxError(
                    f"No cell matches '{pattern}': expected names such as '{cells[0].name}'."
                )
            raise unknown("cell", pattern, (cell.name for cell in cells))
    return [c for c in cells if not patterns or any(fnmatchcase(c.name, p) for p in patterns)]
