"""What commands share: the types and groups of their options, and the form of their answers.

A command is a frozen dataclass. Its docstring is its help, its fields are its options, the
docstring under a field is the option's help, and calling an instance runs the command. Options
that several commands share are dataclasses of their own, nested without a prefix. JAX is imported
when a command runs, not before.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from imitax.errors import ImitaxError

if TYPE_CHECKING:
    from imitax.cli.terminal import Verbosity
    from imitax.envs.base import Env
    from imitax.training.config import RunConfig


class MethodName(str):
    """The name of a method, checked by the registry when the command runs."""


class AgentName(str):
    """The name of an agent, checked by the registry when the command runs."""


class PresetName(str):
    """The name of a preset, checked when the command runs."""


RunFolder = Annotated[Path, Positional, arg(metavar="RUN")]
NewFolder = Annotated[Path | None, arg(metavar="DIR")]
EnvId = Annotated[str, Positional, arg(metavar="ENV")]
# One tuple for each time the option is given: otherwise a second --set would replace the first.
_SetOption = arg(name="set", metavar="KEY=VALUE ...")
Settings = Annotated[tuple[tuple[str, ...], ...], UseAppendAction, _SetOption]
Loggers = Annotated[tuple[Literal["tensorboard", "wandb"], ...], UseAppendAction]


@dataclass(frozen=True)
class EnvironmentOptions:
    """The environment and how it is stepped."""

    env: EnvId
    """Name the environment by its id (see `imitax envs`)."""
    backend: Literal["auto", "native", "envpool", "gymnasium"] = "auto"
    """Select what steps the environment: native is JAX, auto takes the first that has it."""
    time_limit: int | None = None
    """Truncate episodes after this many steps; default: the environment's own limit."""

    def make(self) -> "Env":
        """The environment; `ImitaxError` if there is none."""
        from imitax.envs import make

        return make(self.env, self.backend, self.time_limit)


@dataclass(frozen=True)
class OutputOptions:
    """What the command prints."""

    json: bool = False
    """Print the summary as JSON."""
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """Print no progress, and of the result only the folder."""
    verbose: Annotated[bool, arg(aliases=["-v"])] = False
    """Print the settings, every seed, and every iteration where stderr is not a terminal."""

    @property
    def verbosity(self) -> "Verbosity":
        """The two flags as one level; `ImitaxError` if both are given."""
        from imitax.cli.terminal import Verbosity

        if self.quiet and self.verbose:
            raise ImitaxError("Options --quiet and --verbose contradict each other: give only one.")
        if self.quiet:
            return Verbosity.QUIET
        return Verbosity.VERBOSE if self.verbose else Verbosity.NORMAL


@dataclass(frozen=True)
class TrainingOptions:
    """The length of training, its settings, and what it writes."""

    agent: AgentName | None = None
    """Select the policy optimiser (see `imitax methods`); default: the preset's, or ppo."""
    seeds: int = 1
    """Train this many seeds side by side, in one program."""
    seed: int = 0
    """Set the first seed; the others follow it."""
    iterations: int | None = None
    """Train for this many iterations (bc: rounds); default: see `imitax methods`."""
    steps: int | None = None
    """Collect this many environment steps per iteration and seed; default: see `imitax methods`."""
    episodes: int = 100
    """Evaluate each seed on this many fresh episodes, both deterministic and sampled."""
    checkpoint_every: int | None = None
    """Save every N iterations (0: only when stopped); default: about every 250,000 steps."""
    out: NewFolder = None
    """Write the run to this new folder; default: runs/TIME-METHOD-ENV."""
    set: Settings = ()
    """Change settings, such as agent.learning_rate=3e-4; 1e-3,3e-4 trains both side by side."""
    log: Loggers = ()
    """Log to TensorBoard or Weights & Biases too; repeat the option for both."""

    def configs(
        self, method: str, environment: EnvironmentOptions, **fields
    ) -> "dict[str, RunConfig]":
        """The configurations of `method`, by the values that tell them apart: several where `set`
        gives several values of a number. `fields` are those of `make_config`.
        """
        from imitax.training.config import make_configs, parse_assignments
        from imitax.training.train import overrides

        assignments = parse_assignments([text for texts in self.set for text in texts])
        return make_configs(
            method,
            environment.env,
            agent=self.agent,
            overrides=overrides(method, self.iterations, self.steps, assignments),
            backend=environment.backend,
            time_limit=environment.time_limit,
            seed=self.seed,
            seeds=self.seeds,
            **fields,
        )


Environment = OmitArgPrefixes[EnvironmentOptions]
Output = OmitArgPrefixes[OutputOptions]
Training = OmitArgPrefixes[TrainingOptions]


def answer(data, as_json: bool, text: str = "") -> None:
    """Print the result of a command on stdout, as JSON or as text."""
    print(json.dumps(data, indent=2, ensure_ascii=False) if as_json else text)


def add_report(runs: list[Path], folder: Path) -> str:
    """Write folder/report.html about finished runs; returns a sentence that says where it is.

    The runs are what matters: a report that cannot be written is a message on stderr, not an
    error.
    """
    from imitax.report.write import write_report

    try:
        report = write_report(runs, folder / "report.html")
    except (ImitaxError, OSError) as error:
        print(f"imitax: no report was written: {error}", file=sys.stderr)
        return ""
    return f"Report: {report['file']}"
