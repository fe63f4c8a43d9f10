"""Commands that ask what a result is worth: diagnose, control."""

import json as js
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from imitax.cli.common import Out, RunFolder, answer, app


@app.command
def diagnose(run: Annotated[Path, Positional, arg(metavar="RUN")], json: bool = False) -> None:
    """Say in plain words why a run may not have learnt, with the numbers behind it.

    Args:
        run: run folder, also of a run that is not finished
        json: print the findings as JSON
    """
    from imitax.diagnosis.run import CHECKS
    from imitax.diagnosis.run import diagnose as look
    from imitax.runs.read import read_run

    looked_at = read_run(run, unfinished=True)
    found = look(looked_at)
    if json:
        return print(js.dumps([finding._asdict() for finding in found], indent=2, ensure_ascii=False))
    for finding in found:
        print(f"{finding.severity.upper()}  {finding.title}\n  {finding.numbers}\n  Try: {finding.advice}")
    if not looked_at.summary:
        print(
            f"The run is not finished: {len(looked_at.iterations)} iterations are done, its score is unknown."
        )
    checks = ", ".join(check.__name__.replace("_", " ") for check in CHECKS)
    print(f"{len(found) or 'No'} finding{'s' * (len(found) != 1)}. Looked for: {checks}.")


@app.command
def control(run: RunFolder, out: Out = None, json: bool = False) -> None:
    """Repeat a run with a constant reward and with a random policy's demonstrations: what is its score worth?

    Args:
        run: run folder of gail, fem or gtal
        out: new folder for the two runs; default RUN-control
        json: print scores and verdict as JSON
    """
    from imitax.cli.terminal import live_bar, print_table
    from imitax.diagnosis.controls import control as repeat
    from imitax.runs.folder import load_run

    path = out or run.with_name(f"{run.name}-control")
    found = repeat(load_run(run), path, live_bar)
    if json:
        return answer(found, True)
    names = {"run": "the run", "constant": "constant reward", "junk": "random demonstrations"}
    rows = [
        [label, f"{found[key]['score']:z.2f}", "[{:z.2f}, {:z.2f}]".format(*found[key]["interval"])]
        for key, label in names.items()
    ]
    print_table(f"Controls of {run}", ["", "score, sampled", "95 % interval"], rows)
    print(f"{found['verdict']}\nWritten to {path}/")
