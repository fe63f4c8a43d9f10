"""What the doctor finds: facts of this machine, the probe, and what it makes of facts of others."""

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from imitax.doctor import judge as doctor
from imitax.doctor import machine, probe
from imitax.doctor.judge import fact_findings, probe_findings

GOOD_PROBE = [{"stage": "JAX", "found": {"platform": "cpu", "devices": ["cpu:0"]}, "seconds": 0.5}]


def facts(**changes):
    """Those of a machine where nothing is to be said."""
    good = {
        "versions": {"gymnax": "1.0.1"},
        "requirements": [],
        "machine": {"cores": 16, "memory": 64e9, "memory_free": 60e9, "shared_memory": 32e9, "gpu": None},
        "cache": {"folder": "cache", "bytes": 1e6, "writable": True, "free": 1e11},
        "renderers": {"pygame": "2.6", "mujoco": None, "libraries": [], "display": True},
        "torch": None,
        "variables": {},
        "probe": GOOD_PROBE,
    }
    for key, value in changes.items():
        good[key] = good[key] | value if isinstance(value, dict) and isinstance(good[key], dict) else value
    return good


def judged(**changes):
    """name -> (state, found and advice) of what is not in order."""
    found = fact_findings(facts(**changes))
    return {f.name: (f.state, f"{f.found} {f.advice}") for f in found if f.state != "ok"}


def test_a_good_machine_has_nothing_to_tell():
    assert judged() == {}
    assert [f.name for f in fact_findings(facts())] == ["versions"]


UNMET = {"by": "gymnax 1.0.1", "package": "jax", "wanted": "<0.12", "found": "0.13.0"}
TORCH = {"version": "2.9.0", "packages": 15}
HIDDEN = {"machine": {"gpu": "NVIDIA"}, "variables": {"JAX_PLATFORMS": "cpu"}}
TRAPS = {
    "few cores": ({"machine": {"cores": 2}}, "cores", "note", "QR, Cholesky"),
    "little memory": ({"machine": {"memory_free": 1e9}}, "memory", "warning", "1.0 GB free"),
    "small /dev/shm": ({"machine": {"shared_memory": 64e6}}, "/dev/shm", "warning", "--shm-size"),
    "GPU unused": ({"machine": {"gpu": "NVIDIA"}}, "GPU", "note", "jax[cuda"),
    "GPU hidden": (HIDDEN, "GPU", "note", "unset JAX_PLATFORMS"),
    "caps": ({"requirements": [UNMET]}, "versions", "warning", "gymnax 1.0.1 wants jax <0.12, found 0.13.0"),
    "missing": ({"requirements": [UNMET | {"found": None}]}, "versions", "broken", "pip install 'jax<0.12'"),
    "torch": ({"torch": TORCH}, "torch", "note", "needs none of it"),
    "NaN": ({"variables": {"JAX_DEBUG_NANS": "True"}}, "JAX_DEBUG_NANS", "broken", "unset"),
    "no jit": ({"variables": {"JAX_DISABLE_JIT": "1"}}, "JAX_DISABLE_JIT", "warning", "unset"),
    "read-only cache": ({"cache": {"writable": False}}, "cache", "warning", "IMITAX_CACHE"),
    "large cache": ({"cache": {"bytes": 9e9}}, "cache", "note", "9.0 GB in cache"),
    "full disk": ({"cache": {"free": 1e6}}, "disk", "warning", "1.0 MB free"),
    "no pygame": ({"renderers": {"pygame": None}}, "pygame", "warning", "classic-control"),
    "no display": ({"renderers": {"display": False}}, "display", "note", "--save FILE.gif"),
}  # fmt: skip


@pytest.mark.parametrize("changes, name, state, text", TRAPS.values(), ids=TRAPS.keys())
def test_traps(changes, name, state, text):
    found = judged(**changes)
    assert list(found) == [name] and found[name][0] == state and text in found[name][1]


def test_traps_that_are_none():
    on_gpu = [{"stage": "JAX", "found": {"platform": "gpu", "devices": ["cuda:0"]}, "seconds": 1.0}]
    assert judged(machine={"gpu": "NVIDIA"}, probe=on_gpu) == {}
    assert judged(machine={"gpu": "NVIDIA"}, probe=[{"stage": "JAX", "error": "no"}]) == {}
    assert judged(variables={"JAX_DEBUG_NANS": "0", "JAX_ENABLE_X64": "False"}) == {}
    assert judged(machine={"memory": None, "memory_free": None, "shared_memory": None}) == {}


def test_mujoco_without_a_display_is_told_what_to_draw_with():
    there = {"display": False, "mujoco": "3.3"}
    assert "apt-get install libegl1" in judged(renderers=there)["MuJoCo"][1]
    for library in ("EGL", "OSMesa"):  # found without being told
        assert "MuJoCo" not in judged(renderers=there | {"libraries": [library]})


# The probe


def test_probe_runs_everything_here():
    stages = doctor.probe()
    assert [stage["stage"] for stage in stages] == list(probe.STAGES)
    assert [finding.state for finding in probe_findings(stages)] == ["ok"] * 4
    assert stages[0]["found"]["devices"]


ENDS = {
    "crash": ("import os; os.abort()", "", "the process ended with code -6"),
    "hang": ("import time; time.sleep(60)", "", "did not finish within 1.0 s"),
    "no module": ("import nowhere", "", "ModuleNotFoundError: No module named 'nowhere'"),
    "after a stage": ('print(\'{"stage": "JAX"}\', flush=True); raise SystemExit(3)', "JAX", "with code 3"),
}


@pytest.mark.parametrize("source, stage, why", ENDS.values(), ids=ENDS.keys())
def test_probe_survives_what_happens_in_it(tmp_path, monkeypatch, source, stage, why):
    (tmp_path / "trouble.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    stages = doctor.probe(seconds=1.0 if "sleep" in source else 60.0, module="trouble")
    (finding,) = probe_findings(stages)
    assert finding.state == "broken" and why in finding.found and finding.advice
    assert finding.name == (stage or "start")


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
def test_training_works_unless_something_is_broken(monkeypatch, finding):
    monkeypatch.setattr(doctor, "probe", lambda: [{"stage": "JAX"} | finding] if "error" in finding else [])
    assert doctor.examine()["works"] == ("found" in finding)


# Facts


def test_facts_of_this_machine_are_data():
    found = machine.facts()
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["jax"] == metadata.version("jax")
    assert found["extras"]["tensorboard"] == {"tensorboardX": metadata.version("tensorboardX")}
    assert set(found["extras"]) >= {"tensorboard", "wandb", "minari", "onnx"}
    assert set(found["extras"]["onnx"]) == {"onnx", "onnxruntime"}
    assert list(found["extras"]["minari"]) == ["huggingface_hub"]
    assert found["requirements"] == [] and found["machine"]["cores"] >= 0.1


def test_it_looks_also_where_jax_cannot_be_imported(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('libcuda is of another version')")
    done = subprocess.run(
        [sys.executable, "-c", "from imitax.cli import main; main()", "doctor"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr == ""
    assert "✗  JAX" in done.stdout and "ImportError: libcuda is of another version" in done.stdout
    assert done.stdout.rstrip().endswith("Training cannot run here.")


def test_requirements_that_are_not_met(monkeypatch):
    real = machine.version
    monkeypatch.setattr(machine, "version", lambda name: {"jax": "0.13.0", "six": None}.get(name, real(name)))
    found = {(r["by"].split()[0], r["package"]): r for r in machine.unmet_requirements()}
    assert found["gymnax", "jax"]["found"] == "0.13.0" and "<0.12" in found["gymnax", "jax"]["wanted"]
    assert found["imitax", "six"]["found"] is None


def test_limits_of_a_container(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.cores(tmp_path / "cpu.max") == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cores(tmp_path / "cpu.max") == machine.cores(tmp_path / "none") >= 1

    (tmp_path / "meminfo").write_text("MemTotal: 2000 kB\nMemAvailable: 1000 kB\nHugePages: 0\n")
    assert machine.memory(tmp_path / "meminfo", tmp_path) == {"memory": 2048000, "memory_free": 1024000}
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    assert machine.memory(tmp_path / "meminfo", tmp_path) == {"memory": 1000000, "memory_free": 100000}
    assert machine.memory(tmp_path / "none") == {"memory": None, "memory_free": None}


def test_cache_and_minari_folders(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("IMITAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    found = machine.cache()
    assert (found["folder"], found["bytes"], found["writable"]) == (str(tmp_path / "cache/jax"), 0, True)
    (tmp_path / "cache/jax").mkdir(parents=True)
    (tmp_path / "cache/jax/program").write_bytes(b"x" * 1000)
    assert machine.cache()["bytes"] == 1000
    assert machine.minari() == {"folder": str(tmp_path / "minari"), "datasets": 0, "bytes": 0}
    (tmp_path / "minari/a-v0/data").mkdir(parents=True)
    (tmp_path / "minari/a-v0/data/metadata.json").write_text("{}")
    assert machine.minari()["datasets"] == 1
    monkeypatch.setenv("IMITAX_CACHE", str(tmp_path / "cache/jax/program"))  # a file
    assert not machine.cache()["writable"]
