"""The command that exports policies."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from imitax.cli.common import RunFolder, answer, app


@app.command
def export(
    run: RunFolder,
    out: Annotated[Path, arg(metavar="FILE")],
    format: Literal["onnx", "safetensors"] = "onnx",
    seed_index: int | None = None,
    json: bool = False,
) -> None:
    """Write a run's policy for other programs, and check that the copy acts alike.

    Args:
        run: run folder
        out: new file, .onnx or .safetensors
        format: onnx (needs imitax[onnx]), or safetensors: the plain parameters with their description
        seed_index: which of the run's seeds, from 0; default the first (safetensors: all)
        json: print what was written and how it was checked as JSON
    """
    from imitax.files.write import new_file
    from imitax.policies.onnx import export_onnx, export_safetensors
    from imitax.runs.folder import load_policy, load_run

    found = load_run(run)
    new_file(out, f".{format}")  # before an episode is played in vain
    if format == "safetensors":
        policies = found.policies if seed_index is None else [load_policy(run, seed_index)]
        export_safetensors(policies, out)
        return answer({"file": str(out), "policies": len(policies)}, json,
                      f"{out}: {len(policies)} of {len(found.policies)} policies, described in "
                      f"{out.with_suffix('.json').name}")  # fmt: skip
    policy = load_policy(run, seed_index or 0)
    played = _observations(found, policy)
    check = export_onnx(policy, out, played)
    differences = ", ".join(f"{name} {value:.1e}" for name, value in check.largest_difference.items())
    ties = f" {check.ties} actions are ties." if check.ties else ""
    shown = f"{0 if played is None else len(played)} of them from episodes"
    answer(
        {"file": str(out)} | check._asdict(),
        json,
        f"{out}: checked on {check.observations} observations, {shown}; largest difference: {differences}."
        f"{ties}",
    )


def _observations(found, policy):
    """Of two episodes; none where the environment is not installed, since the file does not need it."""
    from imitax.errors import ImitaxError
    from imitax.training.evaluation import record

    try:
        return record(policy, found.env(), episodes=2).observations
    except ImitaxError:
        return None
