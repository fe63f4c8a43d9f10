"""Commands that judge a run: diagnose, control."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from imitax.cli.common import NewFolder, RunFolder, answer


@dataclass(frozen=True)
class Diagnose:
    """Explain why a run may not have learnt, with the numbers behind each finding."""

    run: Annotated[Path, Positional, arg(metavar="RUN")]
    """Name the run folder; the run need not be finished."""
    json: bool = False
    """Print the findings as JSON."""

    def __call__(self) -> None:
        from imitax.diagnosis.run import CHECKS, diagnose
        from imitax.runs.read import read_run

        run = read_run(self.run, unfinished=True)
        findings = diagnose(run)
        if self.json:
            return answer([finding._asdict() for finding in findings], True)
        for finding in findings:
            print(f"{finding.severity.upper()}  {finding.title}")
            print(f"  {finding.evidence}\n  Try: {finding.advice}")
        if not run.summary:
            print(f"The run is not finished: {len(run.iterations)} iterations, no score yet.")
        checks = ", ".join(check.__name__.replace("_", " ") for check in CHECKS)
        plural = "s" * (len(findings) != 1)
        print(f"{len(findings) or 'No'} finding{plural}. Checked: {checks}.")


_CONTROLS = {
    "run": "the run",
    "constant": "constant reward",
    "junk": "random demonstrations",
}


@dataclass(frozen=True)
class Control:
    """Repeat a run with a constant reward, and with random demonstrations, as controls."""

    run: RunFolder
    """Name the run folder, of gail, fem or gtal."""
    out: NewFolder = None
    """Write the two runs to this new folder; default: RUN-control."""
    json: bool = False
    """Print scores and verdict as JSON."""

    def __call__(self) -> None:
        from imitax.cli.terminal import live_bar, print_table
        from imitax.diagnosis.controls import control
        from imitax.runs.folder import load_run

        path = self.out or self.run.with_name(f"{self.run.name}-control")
        result = control(load_run(self.run), path, live_bar)
        if self.json:
            return answer(result, True)
        rows = []
        for key, label in _CONTROLS.items():
            low, high = result[key]["interval"]
            rows.append([label, f"{result[key]['score']:z.2f}", f"[{low:z.2f}, {high:z.2f}]"])
        print_table(f"Controls of {self.run}", ["", "score, sampled", "95 % interval"], rows)
        print(f"{result['verdict']}\nWritten to {path}/")
