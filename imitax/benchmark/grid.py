"""What a benchmark runs, as data. A cell is one learner on one environment with one set of demonstrations."""

from fnmatch import fnmatchcase
from typing import NamedTuple

from imitax.errors import ImitaxError, unknown


class Plan(NamedTuple):
    """What is asked of every method on one environment (Ho & Ermon 2016, tables 1 and 3)."""

    counts: tuple[int, ...]  # demonstrated trajectories
    subsample: int  # every how many pairs of each are shown
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
JUNK = ("junk-random", "junk-constant")  # a uniformly random policy's trajectories; always the first action
BENCHMARKS = {"classic": "paper", "ablation": "paper", "mujoco": "native"}  # name -> its usual limit


class Cell(NamedTuple):
    """One entry of a benchmark, run once for each seed."""

    env: str
    learner: str  # what tells it from the others in names and tables: "gail-ppo", "literal-constant-ppo"
    shown: str = ""  # "4" trajectories of the expert, a kind of junk, or nothing
    method: str = ""
    agent: str | None = None
    preset: str | None = None
    settings: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        """Such as "CartPole-v1/gail-ppo/4"."""
        return "/".join(part for part in (self.env, self.learner, self.shown) if part)


def references(env: str) -> tuple[Cell, Cell]:
    """The two ends of the normalised scale: score 1 and score 0."""
    return Cell(env, "expert", method="rl"), Cell(env, "random")


def classic(agent: str = "ppo") -> list[Cell]:
    """Every method for every number of trajectories, and the controls, ours beside the literal setting."""
    cells = []
    for env in CLASSIC:
        for count in PLANS[env].counts:
            cells += methods(env, count, agent)
        cells += controls(env, agent)
        cells += [c._replace(learner=f"literal-{c.learner}", preset="paper") for c in controls(env, agent)]
        cells.append(Cell(env, f"literal-gail-{agent}", str(PLANS[env].compared), "gail", agent, "paper"))
    return cells


def mujoco(agent: str = "ppo") -> list[Cell]:
    """Cloning and GAIL for every number of trajectories, FEM and GTAL for the least, and the controls.

    In the order of what a table needs first: every environment's smallest set, then the controls.
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
    return [
        Cell(env, name, str(count), name) if name == "bc"
        else Cell(env, f"{name}-{agent}", str(count), name, agent)
        for name in names
    ]  # fmt: skip


def controls(env: str, agent: str) -> list[Cell]:
    """What must not learn the task: a constant reward, and GAIL from demonstrations of something else."""
    junk = [Cell(env, f"gail-{agent}", kind, "gail", agent) for kind in JUNK]
    return [Cell(env, f"constant-{agent}", "", "constant", agent), *junk]


def ablation(agent: str = "ppo") -> list[Cell]:
    """GAIL with each reward form, with and without absorbing states."""
    return [
        Cell(
            env, f"gail-{agent}-{form}-{kind}", str(PLANS[env].compared), "gail", agent, None,
            (("reward.form", form), ("reward.absorbing", absorbing)),
        )
        for env in CLASSIC for form in FORMS for kind, absorbing in (("absorbing", True), ("literal", False))
    ]  # fmt: skip


def cells_of(benchmark: str, agent: str) -> list[Cell]:
    """The grid called `benchmark`; `ImitaxError` if there is none."""
    if benchmark not in BENCHMARKS:
        raise unknown("benchmark", benchmark, BENCHMARKS)
    if agent not in AGENTS:
        raise unknown("agent", agent, AGENTS)
    return {"classic": classic, "ablation": ablation, "mujoco": mujoco}[benchmark](agent)


def all_cells() -> dict[str, Cell]:
    """Every cell of every benchmark by its name."""
    return {cell.name: cell for agent in AGENTS for name in BENCHMARKS for cell in cells_of(name, agent)}


def select(cells: list[Cell], patterns: tuple[str, ...]) -> list[Cell]:
    """Cells whose name is, or matches, one of `patterns` ("*/gail-ppo/*"); all if there are none."""
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) for cell in cells):
            if set(pattern) & set("*?["):
                raise ImitaxError(f"No cell matches '{pattern}': expected names such as '{cells[0].name}'.")
            raise unknown("cell", pattern, (cell.name for cell in cells))
    return [c for c in cells if not patterns or any(fnmatchcase(c.name, p) for p in patterns)]
