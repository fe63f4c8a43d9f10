"""From raw lines to scores, tables and figures, against values worked out by hand, without JAX."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imitax.benchmark import raw
from imitax.benchmark.grid import CLASSIC, FORMS, METHODS, ablation, classic
from imitax.benchmark.paper import published
from imitax.benchmark.report import write_report
from imitax.benchmark.summary import summarise
from imitax.errors import ImitaxError

CARTPOLE = "CartPole-v1"


def lines_of(line, seeds=2):
    """Random at 20, expert at 220 (deterministic 240), every method of CartPole at 120 + 20 ×
    seed.
    """
    lines = [
        line(f"{CARTPOLE}/random", deterministic=[], sampled=[10, 30]),
        line(f"{CARTPOLE}/expert", deterministic=[240], sampled=[200, 240]),
    ]
    for cell in [*classic("ppo"), *classic("trpo"), *ablation("ppo")]:
        if cell.env == CARTPOLE and cell.name not in {entry["cell"] for entry in lines}:
            for seed in range(seeds):
                returns = [110 + 20 * seed, 130 + 20 * seed]
                curve = [20, 120, None, 220, 220, 200] if cell.agent else []
                lines.append(line(cell.name, seed, returns, returns, curve=curve))
    return lines


@pytest.fixture
def folder(tmp_path, line):
    raw.append(tmp_path / "paper.jsonl", lines_of(line))
    return tmp_path


def test_the_papers_numbers():
    # Table 3: GAIL on Acrobot with 1 trajectory −77.26 ± 18.03; table 1: random −200, expert
    # −75.25.
    result = published()["Acrobot-v1", "gail", "1"]
    assert (result.mean, result.std) == (-77.26, 18.03)
    assert result.score == pytest.approx((200 - 77.26) / (200 - 75.25))
    assert published()["MountainCar-v0", "expert", ""].score == 1.0
    assert published()["CartPole-v1", "random", ""].score == 0.0
    assert {
        (env, method, count)
        for env in CLASSIC
        for method in METHODS
        for count in ("1", "4", "7", "10")
    } < set(published())


def test_scores_by_hand(folder):
    summary = summarise(classic(), raw.read(folder / "paper.jsonl"))
    assert list(summary["environments"]) == [CARTPOLE]
    entry = summary["cells"][f"{CARTPOLE}/gail-ppo/4"]
    # Seed 0 plays 110 and 130: (120 − 20) / (220 − 20) = 0.5; seed 1 130 and 150: 0.6.
    assert entry["scores"] == [0.5, 0.6]
    assert entry["score"] == pytest.approx(0.55)
    assert entry["interval"] == pytest.approx([0.5, 0.6])
    assert entry["mean"] == 130.0
    assert entry["std"] == pytest.approx(200**0.5)  # deviations −20, 0, 0, 20
    assert entry["paper"]["mean"] == 200.0
    # Training episodes score 1, 1, 0.9 in iterations 4 to 6, in the mean 0.967 ≥ 0.9: after all 6
    # of 6.
    assert entry["learnt"] == 2
    assert entry["learnt_env_steps"] == 1000
    assert entry["learnt_seconds"] == 2.0


def test_a_run_that_never_learns_has_no_time(tmp_path, line):
    lines = lines_of(line)
    for one in lines:
        if one["cell"] == f"{CARTPOLE}/gail-ppo/1":
            one["curve"] = [20, 20, 20]
    raw.append(tmp_path / "x.jsonl", lines)
    entry = summarise(classic(), raw.read(tmp_path / "x.jsonl"))["cells"][f"{CARTPOLE}/gail-ppo/1"]
    assert (entry["learnt"], entry["learnt_env_steps"], entry["learnt_seconds"]) == (0, None, None)


def test_the_controls_are_not_compared_with_the_paper(folder):
    cells = summarise(classic(), raw.read(folder / "paper.jsonl"))["cells"]
    assert "paper" not in cells[f"{CARTPOLE}/literal-gail-ppo/4"]
    assert "paper" not in cells[f"{CARTPOLE}/gail-ppo/junk-random"]


def test_the_report_is_written(folder):
    write_report(folder, "paper")
    text = (folder / "paper.md").read_text()
    assert "| CartPole-v1 | 200 | 20.0 ± 10.0 | 220.0 ± 20.0 | 240.0 ± 0.0 | 1,000 |" in text
    assert "| 4 | GAIL | 200.0 ± 0.0 | 130.0 ± 14.1 | 1.00 | 0.55 [0.50, 0.60] |" in text
    assert (
        "| 1 | behaviour cloning | 72.0 ± 35.8 | 130.0 ± 14.1 | 0.29 | 0.55 [0.50, 0.60] |" in text
    )
    assert "| FEM | 0.550 [0.500, 0.600] | 4 | 0.55 | 0.50 |" in text  # equal to GAIL
    for words in (
        "constant reward",
        "one constant action",
        *(f"`{form}`" for form in FORMS),
        "PPO and TRPO",
    ):
        assert words in text
    assert json.loads((folder / "paper.json").read_text())["cells"]
    for name in (
        "ppo-trajectories",
        "ppo-profiles",
        "ppo-controls",
        "ppo-ablation",
        "trpo-trajectories",
    ):
        for suffix in ("png", "svg"):
            assert (folder / "figures" / f"paper-{name}.{suffix}").stat().st_size > 5000
    assert not (folder / "figures" / "paper-trpo-ablation.png").exists()


def test_the_report_needs_no_jax(folder):
    code = (
        "import sys\n"
        "for name in ('jax', 'jaxlib', 'equinox', 'optax', 'gymnax'): sys.modules[name] = None\n"
        "from imitax.cli import main\n"
        f"sys.argv = ['imitax', 'benchmark', 'classic', '--report', '--out', {str(folder)!r}]\n"
        "main()\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    assert "| 4 | GAIL |" in process.stdout


def test_a_report_of_nothing_is_refused(tmp_path):
    with pytest.raises(ImitaxError, match=r"paper.jsonl' holds no raw results"):
        write_report(tmp_path, "paper")


def test_an_environment_without_its_scale_is_refused(tmp_path, line):
    raw.append(tmp_path / "paper.jsonl", [line(f"{CARTPOLE}/expert")])
    with pytest.raises(
        ImitaxError, match=f"lack the expert's or the random policy's line of '{CARTPOLE}'"
    ):
        write_report(tmp_path, "paper")


def test_the_committed_report_is_that_of_the_committed_lines(tmp_path):
    import shutil

    committed = Path(__file__).parents[2] / "docs" / "results" / "classic"
    for limit in ("paper", "native"):
        shutil.copy(committed / f"{limit}.jsonl", tmp_path)
        write_report(tmp_path, limit)
        assert (tmp_path / f"{limit}.md").read_text() == (committed / f"{limit}.md").read_text()
