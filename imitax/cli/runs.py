"""Commands about finished runs: evaluate, watch, report, export."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from imitax.cli.common import RunFolder, answer
from imitax.errors import ImitaxError

if TYPE_CHECKING:
    import numpy as np

    from imitax.policies.policy import TrainedPolicy
    from imitax.runs.folder import Run


@dataclass(frozen=True)
class Evaluate:
    """Evaluate the policies of a run on fresh episodes."""

    run: RunFolder
    """Name the run folder."""
    episodes: int = 100
    """Play this many episodes for each seed of the run."""
    stochastic: bool = False
    """Sample actions instead of taking the most likely one."""
    seed: int = 0
    """Set the seed of the episodes."""
    json: bool = False
    """Print the result as JSON, with the return of every episode."""

    def __call__(self) -> None:
        from imitax.cli.terminal import print_table
        from imitax.runs.folder import load_run
        from imitax.stats.estimates import describe_returns
        from imitax.stats.units import evaluation_cells
        from imitax.training.evaluation import evaluate

        run = load_run(self.run)
        result = evaluate(run.policies, run.env(), self.episodes, self.stochastic, self.seed)
        summary = describe_returns(result.returns)
        if self.json:
            episodes = {"returns": result.returns.tolist(), "lengths": result.lengths.tolist()}
            return answer(summary | episodes, True)
        rows = [["all seeds", *evaluation_cells(summary, None)[:2]]]
        for index, returns in enumerate(result.returns):
            cells = evaluation_cells(describe_returns(returns), None)[:2]
            rows.append([f"seed {run.config.seed + index}", *cells])
        title = f"{self.run}, {self.episodes} episodes each"
        print_table(title, ["policy", "return", "95 % interval"], rows)


@dataclass(frozen=True)
class Watch:
    """Watch a policy act, in a window or as a film, with Gymnasium's own renderer."""

    run: RunFolder
    """Name the run folder."""
    save: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write this new .gif or .mp4 file; default: open a window (Escape closes it)."""
    episodes: int = 1
    """Play this many episodes, one after the other."""
    stochastic: bool = False
    """Sample actions instead of taking the most likely one."""
    policy: int = 0
    """Select one of the run's seeds by its index, from 0."""
    seed: int = 0
    """Set the seed of the first episode; later episodes count up from it."""
    json: bool = False
    """Print the returns and lengths of the episodes as JSON."""

    def __call__(self) -> None:
        from imitax.rendering.watch import watch
        from imitax.runs.folder import load_policy

        policy = load_policy(self.run, self.policy)
        result = watch(policy, self.save, self.stochastic, self.seed, self.episodes)
        episodes = zip(result["returns"], result["lengths"], strict=True)
        lines = [f"Return {total:.1f} in {length} steps." for total, length in episodes]
        if self.save:
            lines[-1] += f" Written to {self.save}"
        answer(result, self.json, "\n".join(lines))


@dataclass(frozen=True)
class Report:
    """Write one HTML file that compares runs: results, curves, states visited, animations."""

    runs: Annotated[tuple[Path, ...], Positional, arg(metavar="RUN ...")]
    """Name run folders of one environment (required); the first imitation run is the headline."""
    out: Annotated[Path, arg(metavar="FILE.html")] = Path("report.html")
    """Write this new .html file, which opens without a network."""
    still: bool = False
    """Leave out the animation: quicker, and needs neither JAX nor a renderer."""
    json: bool = False
    """Print the file's name and size as JSON."""

    def __call__(self) -> None:
        from imitax.report.write import write_report

        result = write_report(list(self.runs), self.out, self.still)
        text = f"Written to {result['file']} ({result['bytes'] / 1e6:.1f} MB)"
        answer(result, self.json, text)


@dataclass(frozen=True)
class Export:
    """Export a run's policy for other programs, and check that the copy acts the same."""

    run: RunFolder
    """Name the run folder."""
    out: Annotated[Path, arg(metavar="FILE")]
    """Write this new .onnx or .safetensors file."""
    format: Literal["onnx", "safetensors"] = "onnx"
    """Select the format: onnx needs imitax[onnx], safetensors holds the plain parameters."""
    seed_index: int | None = None
    """Select one of the run's seeds, from 0; default: the first (safetensors: all)."""
    json: bool = False
    """Print the file and the results of the check as JSON."""

    def __call__(self) -> None:
        from imitax.files.write import new_file
        from imitax.runs.folder import load_run

        run = load_run(self.run)
        new_file(self.out, f".{self.format}")  # before episodes are played in vain
        if self.format == "safetensors":
            self._export_safetensors(run)
        else:
            self._export_onnx(run)

    def _export_safetensors(self, run: "Run") -> None:
        from imitax.policies.onnx import export_safetensors
        from imitax.runs.folder import load_policy

        policies = run.policies
        if self.seed_index is not None:
            policies = [load_policy(self.run, self.seed_index)]
        export_safetensors(policies, self.out)
        description = self.out.with_suffix(".json").name
        text = f"{self.out}: {len(policies)} of {len(run.policies)} policies, described in "
        answer({"file": str(self.out), "policies": len(policies)}, self.json, text + description)

    def _export_onnx(self, run: "Run") -> None:
        from imitax.policies.onnx import export_onnx
        from imitax.runs.folder import load_policy

        policy = load_policy(self.run, self.seed_index or 0)
        observations = _observations(run, policy)
        check = export_onnx(policy, self.out, observations)
        differences = ", ".join(f"{k} {v:.1e}" for k, v in check.largest_difference.items())
        origin = f"{0 if observations is None else len(observations)} of them from episodes"
        text = f"{self.out}: checked on {check.observations} observations, {origin}; "
        text += f"largest difference: {differences}."
        text += f" {check.ties} actions are ties." if check.ties else ""
        answer({"file": str(self.out)} | check._asdict(), self.json, text)


def _observations(run: "Run", policy: "TrainedPolicy") -> "np.ndarray | None":
    """Observations [N, O] of two episodes; None where the environment is not installed."""
    from imitax.training.evaluation import record

    try:
        return record(policy, run.env(), episodes=2).observations
    except ImitaxError:  # exporting does not need the environment
        return None
