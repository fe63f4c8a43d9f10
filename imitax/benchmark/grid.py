"""What a benchmark runs, as data. A cell is one learner on one environment with one set of demonstrations."""

from fnmatch import fnmatchcase
from typing import NamedTuple

from imitax.errors import ImitaxError, unknown

ENVS = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0")
METHODS = ("bc", "fem", "gtal", "gail")
COUNTS = (1, 4, 7, 10)  # demonstrated trajectories (Ho & Ermon 2016, table 3)
SUBSAMPLE = {"CartPole-v1": 10, "Acrobot-v1": 5, "MountainCar-v0": 5}  # (Ho & Ermon 2016, table 1)
LIMITS = {"paper": 200, "native": None}  # steps; None: the environment's own
AGENTS = ("ppo", "trpo")
FORMS = ("log_d", "neg_log_one_minus_d", "logit", "d_minus_one")
JUNK = ("junk-random", "junk-constant")  # a uniformly random policy's trajectories; always the first action
COMPARED = 4  # trajectories in the controls and the ablation
BENCHMARKS = ("classic", "ablation")


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
    for env in ENVS:
        for count in COUNTS:
            cells.append(Cell(env, "bc", str(count), "bc"))
            for method in METHODS[1:]:
                cells.append(Cell(env, f"{method}-{agent}", str(count), method, agent))
        cells += controls(env, agent)
        cells += [c._replace(learner=f"literal-{c.learner}", preset="paper") for c in controls(env, agent)]
        cells.append(Cell(env, f"literal-gail-{agent}", str(COMPARED), "gail", agent, "paper"))
    return cells


def controls(env: str, agent: str) -> list[Cell]:
    """What must not learn the task: a constant reward, and GAIL from demonstrations of something else."""
    junk = [Cell(env, f"gail-{agent}", kind, "gail", agent) for kind in JUNK]
    return [Cell(env, f"constant-{agent}", "", "constant", agent), *junk]


def ablation(agent: str = "ppo") -> list[Cell]:
    """GAIL with each reward form, with and without absorbing states."""
    return [
        Cell(
            env, f"gail-{agent}-{form}-{kind}", str(COMPARED), "gail", agent, None,
            (("reward.form", form), ("reward.absorbing", absorbing)),
        )
        for env in ENVS for form in FORMS for kind, absorbing in (("absorbing", True), ("literal", False))
    ]  # fmt: skip


def cells_of(benchmark: str, agent: str) -> list[Cell]:
    """The grid called `benchmark`; `ImitaxError` if there is none."""
    if benchmark not in BENCHMARKS:
        raise unknown("benchmark", benchmark, BENCHMARKS)
    if agent not in AGENTS:
        raise unknown("agent", agent, AGENTS)
    return {"classic": classic, "ablation": ablation}[benchmark](agent)


def select(cells: list[Cell], patterns: tuple[str, ...]) -> list[Cell]:
    """Cells whose name is, or matches, one of `patterns` ("*/gail-ppo/*"); all if there are none."""
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) for cell in cells):
            if set(pattern) & set("*?["):
                raise ImitaxError(f"No cell matches '{pattern}': expected names such as '{cells[0].name}'.")
            raise unknown("cell", pattern, (cell.name for cell in cells))
    return [c for c in cells if not patterns or any(fnmatchcase(c.name, p) for p in patterns)]
