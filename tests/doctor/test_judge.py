"""What the doctor finds: facts of this machine, the probe, and judgements of the facts of
others.
"""

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from imitax.doctor import judge as doctor
from imitax.doctor import machine, probe
from imitax.doctor.judge import fact_findings, probe_findings
from imitax.findings import Finding

GOOD_PROBE = [{"stage": "JAX", "found": {"platform": "cpu", "devices": ["cpu:0"]}, "seconds": 0.5}]


def facts(**changes):
    """Those of a machine where everything is in order."""
    good = {
        "versions": {"gymnax": "1.0.1"},
        "requirements": [],
        "machine": {
            "cores": 16,
            "memory": 64e9,
            "memory_free": 60e9,
            "shared_memory": 32e9,
            "gpu": None,
        },
        "cache": {"folder": "cache", "bytes": 1e6, "writable": True, "free": 1e11},
        "renderers": {"pygame": "2.6", "mujoco": None, "libraries": [], "display": True},
        "torch": None,
        "variables": {},
        "probe": GOOD_PROBE,
    }
    for key, value in changes.items():
        good[key] = (
            good[key] | value if isinstance(value, dict) and isinstance(good[key], dict) else value
        )
    return good


def judged(**changes):
    """The findings, without what is in order."""
    return [finding for finding in fact_findings(facts(**changes)) if finding.severity != "ok"]


def test_a_good_machine_has_no_findings():
    assert judged() == []
    assert list(fact_findings(facts())) == [
        Finding(
            "ok",
            "versions",
            "all requirements are met, also those of gymnax 1.0.1, which caps jax and gymnasium",
        )
    ]


UNMET = {"by": "gymnax 1.0.1", "package": "jax", "wanted": "<0.12", "found": "0.13.0"}
HIDDEN = {"machine": {"gpu": "NVIDIA"}, "variables": {"JAX_PLATFORMS": "cpu"}}
UNUSED = "a GPU is worth it for many seeds only"
TRAPS = [
    (
        {"machine": {"cores": 2}},
        Finding(
            "note",
            "cores",
            "2: QR, Cholesky, solve and eigh of jaxlib may hang under vmap, at 0 % CPU",
            "imitax uses none of them; keep them out of functions of yours that are vmapped",
        ),
    ),
    (
        {"machine": {"memory_free": 1e9}},
        Finding("warning", "memory", "1.0 GB free", "use fewer --seeds, or --set loop.max_envs=16"),
    ),
    (
        {"machine": {"shared_memory": 64e6}},
        Finding(
            "warning",
            "/dev/shm",
            "64 MB, too little for several worker processes",
            "start a container with --shm-size=1g",
        ),
    ),
    (
        {"machine": {"gpu": "NVIDIA"}},
        Finding(
            "note",
            "GPU",
            "NVIDIA, but JAX computes on the CPU",
            f"pip install 'jax[cuda13]', or cuda12 for an older driver; {UNUSED}",
        ),
    ),
    (
        {"machine": {"gpu": "AMD"}},
        Finding(
            "note", "GPU", "AMD, but JAX computes on the CPU", f"install jax for ROCm; {UNUSED}"
        ),
    ),
    (
        HIDDEN,
        Finding(
            "note",
            "GPU",
            "NVIDIA, but JAX computes on the CPU",
            f"unset JAX_PLATFORMS, which is cpu; {UNUSED}",
        ),
    ),
    (
        {"requirements": [UNMET]},
        Finding(
            "warning",
            "versions",
            "gymnax 1.0.1 requires jax <0.12, found 0.13.0",
            "pip install 'jax<0.12'",
        ),
    ),
    (
        {"requirements": [UNMET | {"found": None}]},
        Finding(
            "problem",
            "versions",
            "gymnax 1.0.1 requires jax <0.12, found none",
            "pip install 'jax<0.12'",
        ),
    ),
    (
        {"torch": {"version": "2.9.0", "packages": 15}},
        Finding(
            "note",
            "torch",
            "2.9.0 with CUDA (15 packages, several GB)",
            "imitax does not need it; it does no harm",
        ),
    ),
    (
        {"variables": {"JAX_DEBUG_NANS": "True"}},
        Finding(
            "problem",
            "JAX_DEBUG_NANS",
            "is True",
            "unset it: the return of an iteration without a finished episode is NaN",
        ),
    ),
    (
        {"variables": {"JAX_DISABLE_JIT": "1"}},
        Finding(
            "warning",
            "JAX_DISABLE_JIT",
            "is 1",
            "unset it: nothing is compiled, and training is a hundred times slower",
        ),
    ),
    (
        {"variables": {"JAX_ENABLE_X64": "1"}},
        Finding(
            "note",
            "JAX_ENABLE_X64",
            "is 1",
            "unset it for comparable results: everything was tested in 32 bits",
        ),
    ),
    (
        {"cache": {"writable": False}},
        Finding(
            "warning",
            "cache",
            "cache is not writable, so every process compiles anew",
            "set IMITAX_CACHE to a folder of yours",
        ),
    ),
    (
        {"cache": {"bytes": 9e9}},
        Finding("note", "cache", "9.0 GB in cache", "delete it whenever you like"),
    ),
    (
        {"cache": {"free": 1e6}},
        Finding(
            "warning",
            "disk",
            "1.0 MB free on the disk of the cache",
            "make room, or set IMITAX_CACHE to another disk",
        ),
    ),
    (
        {"renderers": {"pygame": None}},
        Finding(
            "warning",
            "pygame",
            "not installed, so classic control cannot be drawn",
            "pip install 'gymnasium[classic-control]'",
        ),
    ),
    (
        {"renderers": {"display": False}},
        Finding("note", "display", "none", "imitax watch RUN --save FILE.gif"),
    ),
]


@pytest.mark.parametrize("changes, finding", TRAPS, ids=[str(changes) for changes, _ in TRAPS])
def test_each_finding_alone(changes, finding):
    assert judged(**changes) == [finding]


def test_what_is_no_trap():
    on_gpu = [{"stage": "JAX", "found": {"platform": "gpu", "devices": ["cuda:0"]}, "seconds": 1.0}]
    assert judged(machine={"gpu": "NVIDIA"}, probe=on_gpu) == []
    assert judged(machine={"gpu": "NVIDIA"}, probe=[{"stage": "JAX", "error": "no"}]) == []
    assert judged(variables={"JAX_DEBUG_NANS": "0", "JAX_ENABLE_X64": "False"}) == []
    assert judged(machine={"memory": None, "memory_free": None, "shared_memory": None}) == []


def test_mujoco_without_a_display_needs_a_library():
    without = {"display": False, "mujoco": "3.3"}
    assert judged(renderers=without)[1:] == [
        Finding(
            "note",
            "MuJoCo",
            "has no display and no library to draw with",
            "apt-get install libegl1, or libosmesa6",
        )
    ]
    for library in ("EGL", "OSMesa"):  # MuJoCo finds it by itself
        assert len(judged(renderers=without | {"libraries": [library]})) == 1


# The probe


def test_probe_runs_everything_here():
    stages = doctor.probe()
    assert [stage["stage"] for stage in stages] == list(probe.STAGES)
    stages = [stage | {"seconds": 0.5} for stage in stages]
    assert list(probe_findings(stages)) == [
        Finding("ok", "JAX", ", ".join(stages[0]["found"]["devices"]) + " (0.5 s)"),
        Finding("ok", "compiled function", "a small program gives the right result (0.5 s)"),
        Finding("ok", "native environment", "CartPole-v1 takes a step (0.5 s)"),
        Finding("ok", "Gymnasium environment", "CartPole-v1 takes a step (0.5 s)"),
    ]
    assert stages[0]["found"]["devices"]


ENDS = {
    "crash": ("import os; os.abort()", "", "the process ended with code -6"),
    "hang": ("import time; time.sleep(60)", "", "did not finish within 1.0 s"),
    "no module": ("import nowhere", "", "ModuleNotFoundError: No module named 'nowhere'"),
    "after a stage": (
        'print(\'{"stage": "JAX"}\', flush=True); raise SystemExit(3)',
        "JAX",
        "with code 3",
    ),
}


@pytest.mark.parametrize("source, stage, why", ENDS.values(), ids=ENDS.keys())
def test_probe_survives_what_happens_in_it(tmp_path, monkeypatch, source, stage, why):
    (tmp_path / "trouble.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    stages = doctor.probe(seconds=1.0 if "sleep" in source else 60.0, module="trouble")
    (finding,) = probe_findings(stages)
    assert (finding.severity, finding.title) == (
        "problem",
        stage or "start",
    ) and why in finding.evidence
    jax = "JAX_PLATFORMS=cpu skips a GPU that may be at fault; jax and jaxlib must have the same version"
    assert finding.advice == (jax if stage == "JAX" else "reinstall in a fresh environment")


def test_probe_tells_which_stage_failed(capsys, monkeypatch):
    def fail():
        raise RuntimeError("no\nroom")

    stages = {"one": lambda: "good", "two": fail, "three": lambda: "never"}
    monkeypatch.setattr(probe, "STAGES", stages)
    probe.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stage"] for line in lines] == ["one", "one", "two", "two"]
    assert lines[1]["found"] == "good" and lines[-1]["error"] == "RuntimeError: no room"


@pytest.mark.parametrize("finding", [{"error": "no"}, {"found": "yes", "seconds": 1.0}])
def test_training_works_unless_there_is_a_problem(monkeypatch, finding):
    monkeypatch.setattr(
        doctor, "probe", lambda: [{"stage": "JAX"} | finding] if "error" in finding else []
    )
    assert doctor.examine()["works"] == ("found" in finding)


# Facts


def test_facts_of_this_machine_are_data():
    collected = machine.facts()
    assert json.loads(json.dumps(collected)) == collected
    assert collected["versions"]["jax"] == metadata.version("jax")
    assert collected["extras"]["tensorboard"] == {"tensorboardX": metadata.version("tensorboardX")}
    assert set(collected["extras"]) >= {"tensorboard", "wandb", "minari", "onnx"}
    assert set(collected["extras"]["onnx"]) == {"onnx", "onnxruntime"}
    assert list(collected["extras"]["minari"]) == ["huggingface_hub"]
    assert collected["requirements"] == [] and collected["machine"]["cores"] >= 0.1


def test_it_works_where_jax_cannot_be_imported(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('libcuda is of another version')")
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    }
    command = [sys.executable, "-c", "from imitax.cli import main; main()", "doctor"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 1 and process.stderr == ""
    assert (
        "✗  JAX" in process.stdout
        and "ImportError: libcuda is of another version" in process.stdout
    )
    assert process.stdout.rstrip().endswith("Training cannot run here.")


def test_requirements_that_are_not_met(monkeypatch):
    real = machine.version
    monkeypatch.setattr(
        machine, "version", lambda name: {"jax": "0.13.0", "six": None}.get(name, real(name))
    )
    collected = {(r["by"].split()[0], r["package"]): r for r in machine.unmet_requirements()}
    assert (
        collected["gymnax", "jax"]["found"] == "0.13.0"
        and "<0.12" in collected["gymnax", "jax"]["wanted"]
    )
    assert collected["imitax", "six"]["found"] is None


def test_limits_of_a_container(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.cores(tmp_path / "cpu.max") == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cores(tmp_path / "cpu.max") == machine.cores(tmp_path / "none") >= 1

    (tmp_path / "meminfo").write_text("MemTotal: 2000 kB\nMemAvailable: 1000 kB\nHugePages: 0\n")
    assert machine.memory(tmp_path / "meminfo", tmp_path) == {
        "memory": 2048000,
        "memory_free": 1024000,
    }
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    assert machine.memory(tmp_path / "meminfo", tmp_path) == {
        "memory": 1000000,
        "memory_free": 100000,
    }
    assert machine.memory(tmp_path / "none") == {"memory": None, "memory_free": None}


def test_cache_and_minari_folders(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("IMITAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    collected = machine.cache()
    assert (collected["folder"], collected["bytes"], collected["writable"]) == (
        str(tmp_path / "cache/jax"),
        0,
        True,
    )
    (tmp_path / "cache/jax").mkdir(parents=True)
    (tmp_path / "cache/jax/program").write_bytes(b"x" * 1000)
    assert machine.cache()["bytes"] == 1000
    assert machine.minari() == {"folder": str(tmp_path / "minari"), "datasets": 0, "bytes": 0}
    (tmp_path / "minari/a-v0/data").mkdir(parents=True)
    (tmp_path / "minari/a-v0/data/metadata.json").write_text("{}")
    assert machine.minari()["datasets"] == 1
    monkeypatch.setenv("IMITAX_CACHE", str(tmp_path / "cache/jax/program"))  # a file
    assert not machine.cache()["writable"]
