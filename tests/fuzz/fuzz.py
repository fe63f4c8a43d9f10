"""Feeds damaged files to every reader of the package, in this process, within limits of time and
memory.

    python tests/fuzz/fuzz.py --each 2000 --seed 0 --failures FOLDER
    python tests/fuzz/fuzz.py --corpus tests/fuzz/corpus

Each input must be read, or refused with one `ImitaxError` in one sentence that names a file,
without asking for more than a gigabyte and within seconds. Prints a JSON object: reader -> counts;
exits 1 after failures.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from random import Random

import jax
import numpy as np
from mutations import damage

from imitax import envs
from imitax.benchmark import raw
from imitax.core.normaliser import empty_normaliser
from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.files.write import write_arrays
from imitax.formats import load, save
from imitax.formats.minari_list import local_datasets
from imitax.networks import mlp_policy, table_network
from imitax.policies.policy import TrainedPolicy, load_policies, save_policies
from imitax.recording.mapping import default_mapping, load_mapping, to_toml
from imitax.runs import checkpoint
from imitax.runs.command import repeat_command
from imitax.runs.folder import Run, load_run
from imitax.runs.read import read_run
from imitax.runs.samples import load_samples
from imitax.studies import runner
from imitax.training import planning
from imitax.training.config import config_from_dict, make_config
from imitax.types import Box, EnvSpec

HERE = Path(__file__).resolve().parent
SECONDS = 10.0  # for one input, at most
MEMORY = 1 << 30  # bytes more than before the first input
# of --each
SHARES = {"json": 2.0, "npz": 2.0, "minari": 1.0, "policy": 0.5, "run": 0.5, "rewards": 0.5}


class Hang(BaseException):
    """No `Exception`, so that no reader can take it for damage."""


def demonstrations() -> Demonstrations:
    """Three short episodes with floats for actions; of one it is unknown where the last action
    led.
    """
    rng = np.random.default_rng(0)
    episodes = [(rng.normal(size=(n + (n != 1), 2)), rng.uniform(-1, 1, (n, 1))) for n in (3, 1, 4)]
    return Demonstrations.from_episodes(
        episodes, terminated=[True, False, True], returns=[1.5, np.nan, -2.0], env_id="Pendulum-v1"
    )


def discrete() -> Demonstrations:
    """Two episodes with integers for actions."""
    return Demonstrations.from_episodes(
        [([[0.5, 1]] * 3, [2, 0, 1]), ([[1, 2.0]], [1])], terminated=True
    )


def write_run(folder: Path) -> Path:
    """A run folder as the tests' fixtures make it."""
    spec = importlib.util.spec_from_file_location("run_folders", HERE.parent / "run_folders.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_run(folder, seeds=2, iterations=3)


def policies(box: bool) -> list[TrainedPolicy]:
    """Small ones for two seeds."""
    space = Box((-1.0, 0.0), (1.0, 2.0)) if box else envs.make("CartPole-v1").spec.action
    spec = EnvSpec("CartPole-v1", vector(4), space, 500)
    family, normaliser = mlp_policy(spec, (3,)), empty_normaliser(spec.observation)
    keys = jax.random.split(jax.random.key(0), 2)
    return [TrainedPolicy(spec, family, family.init(key), normaliser) for key in keys]


def planner(world) -> Run:
    """What `transfer` needs of a finished run of mce_irl, without its folder."""
    config = make_config("mce_irl", world.spec.id, overrides={"mce_irl.discount": 0.8})
    mdp = world.model(0.8)
    table = table_network(np.full((mdp.states, mdp.actions), 1 / mdp.actions))
    normaliser = empty_normaliser(world.spec.observation)
    policy = TrainedPolicy(world.spec, mlp_policy(world.spec, ()), table, normaliser)
    return Run(Path(), config, {}, [policy])


def originals(folder: Path) -> dict[str, list[tuple[Path, list[str]]]]:
    """reader -> whole inputs, each a folder and the names of the files in it that are to be
    damaged.
    """
    from safetensors.numpy import save_file

    found: dict[str, list[tuple[Path, list[str]]]] = {}

    def new(reader: str, *names: str) -> Path:
        cases = found.setdefault(reader, [])
        cases.append((folder / f"{reader}-{len(cases)}", list(names)))
        cases[-1][0].mkdir(parents=True)
        return cases[-1][0]

    for given in (
        demonstrations(),
        discrete(),
        demonstrations().subsample(2, np.random.default_rng(0)),
    ):
        save(given, new("npz", "demos.npz") / "demos.npz")
        save(given, new("json", "demos.json") / "demos.json")
        save(given, new("minari", "demos/metadata.json", "demos/main_data.hdf5") / "demos")
        below = new("datasets", "tests/b-v0/data/metadata.json") / "tests" / "b-v0"
        save(given, below / "data")
        metadata = json.loads((below / "data/metadata.json").read_text()) | {
            "dataset_id": "tests/b-v0"
        }
        (below / "data/metadata.json").write_text(json.dumps(metadata))
    states = Demonstrations.from_episodes([([[0.5, 1.0]] * 4, None)], terminated=True)
    save(states, new("npz", "demos.npz") / "demos.npz")
    for box in (False, True):
        one = new("policy", "policy.safetensors", "policy.json")
        save_policies(policies(box), one / "policy.safetensors")
    _as_of_version_0_1_0(one / "policy.json", new("policy", "policy.safetensors", "policy.json"))
    tensors = {"state.x": np.arange(6.0, dtype=np.float32).reshape(2, 3), "seconds": np.zeros(2)}
    name = "iteration-00000003.safetensors"
    checkpoint.save(new("checkpoint", name), 3, tensors, best=False)
    for reader, names in (
        ("run", ["config.json", "summary.json"]),
        ("report", ["config.json", "summary.json", "metrics.jsonl", "visits.npz"]),
        ("visits", ["visits.npz"]),
    ):
        case = new(reader, *names)
        case.rmdir()
        write_run(case)
    mdp = WORLD.model(0.8)
    theta = {"seed0.parameters": np.zeros(mdp.states * mdp.actions), "seed0.reward": mdp.reward}
    save_file(theta, new("rewards", "reward.safetensors") / "reward.safetensors")
    lines = [
        {
            "cell": "a/b",
            "seed": seed,
            "time_limit": 200,
            "settings": {"loop": {"steps": 3}},
            "demonstrations": None,
            "deterministic": [1, 2.5],
            "sampled": [3],
            "curve": [None, 1],
            "env_steps": 10,
            "seconds": 0.5,
            "versions": {"jax": "1"},
        }
        for seed in range(3)
    ]
    raw.append(new("raw", "raw.jsonl") / "raw.jsonl", lines)
    arrays = {"returns": np.arange(6.0).reshape(2, 3), "lengths": np.arange(3)}
    case = new("study", "case.npz", "settings.json")
    write_arrays(case / "case.npz", arrays)
    (case / "settings.json").write_text(json.dumps(SETTINGS))
    for env in ("CartPole-v1", "Pendulum-v1"):
        spec = envs.make(env).spec
        (new("mapping", "keys.toml") / "keys.toml").write_text(to_toml(default_mapping(spec), env))
    return found


def _as_of_version_0_1_0(path: Path, folder: Path) -> None:
    """Copy policies with bounded actions to `folder`, described as that version did."""
    shutil.copy(path.with_suffix(".safetensors"), folder)
    told = json.loads(path.read_text())
    env = told["env"]
    old = {"id": env["id"], "observation_size": 4, "time_limit": env["time_limit"]}
    bounds = {key: env["action"][key] for key in ("kind", "low", "high")}
    (folder / path.name).write_text(json.dumps(told | {"env": old | {"action_space": bounds}}))


WORLD = envs.make("gridworld")
PLANNER = planner(WORLD)
SETTINGS = {"seeds": 2, "iterations": 3, "steps": 4}


def read_demonstrations(path: Path) -> None:
    """What is read is whole: it can be described, and has a fingerprint."""
    found = load(path)
    json.dumps(found.describe(), allow_nan=False)


def read_policy(folder: Path) -> None:
    for policy in load_policies(folder / "policy.safetensors"):
        assert all(
            np.isfinite(leaf).all() for leaf in jax.tree.leaves((policy.params, policy.normaliser))
        )


def read_run_folder(folder: Path) -> None:
    run = load_run(folder)
    assert config_from_dict(json.loads(json.dumps(run.config.as_dict()))) == run.config


def read_rewards(folder: Path) -> None:
    found = planning.transfer(PLANNER._replace(path=folder), WORLD)
    assert np.isfinite(found["return_planned_anew"]).all()


def read_datasets(folder: Path) -> None:
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    for dataset in local_datasets():
        json.dumps(dataset, allow_nan=False)


def read_study(folder: Path) -> None:
    runner.read_case(folder / "case.npz")
    runner.check_settings(folder / "settings.json", SETTINGS)


def read_mappings(folder: Path) -> None:
    discrete, box = (envs.make(name).spec.action for name in ("CartPole-v1", "Pendulum-v1"))
    try:
        load_mapping(folder / "keys.toml", discrete)
    except ImitaxError:
        load_mapping(folder / "keys.toml", box)


READERS = {
    "npz": lambda folder: read_demonstrations(folder / "demos.npz"),
    "json": lambda folder: read_demonstrations(folder / "demos.json"),
    "minari": lambda folder: read_demonstrations(folder / "demos"),
    "datasets": read_datasets,
    "policy": read_policy,
    "checkpoint": lambda folder: checkpoint.load(folder / "iteration-00000003.safetensors"),
    "run": read_run_folder,
    "report": lambda folder: repeat_command(read_run(folder)),
    "visits": lambda folder: load_samples(folder / "visits.npz"),
    "rewards": read_rewards,
    "raw": lambda folder: raw.read(folder / "raw.jsonl"),
    "study": read_study,
    "mapping": read_mappings,
}


def try_one(reader: str, folder: Path) -> str:
    """ "read", "refused", or what went wrong."""

    def late(number, frame):
        raise Hang

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        READERS[reader](folder)
        return "read"
    except ImitaxError as error:
        return _fault_of(error, folder) or "refused"
    except Hang:
        return f"took more than {SECONDS:g} seconds"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _fault_of(error: BaseException, folder: Path) -> str | None:
    told = str(error)
    if "\n" in told or len(told) > 700 or told[-1] not in ".?" or not told.isprintable():
        return f"not one plain sentence: {told[:900]!r}"
    if str(folder) not in told and not told.startswith(
        ("The configuration", "Setting", "Option", "Unknown")
    ):
        return f"names no file: {told!r}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"refused for want of memory only: {told!r}"
        cause = cause.__cause__ or cause.__context__
    return None


def limit_memory() -> None:
    """From here on, allocating more than `MEMORY` fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def peak_bytes() -> int:
    """The most memory that this process ever held; `ru_maxrss` would count its parent as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def run(
    each: int, seed: int, failures: Path | None, only: list[str], work: Path
) -> dict[str, dict]:
    """Damages every original `each` times a reader, or its share of that."""
    whole = originals(work / "whole")
    for reader, cases in whole.items():
        for folder, _ in cases:
            assert (told := try_one(reader, folder)) == "read", (reader, told)
    limit_memory()
    counts: dict[str, dict] = {}
    for reader, cases in whole.items():
        if only and reader not in only:
            continue
        found = counts[reader] = {"read": 0, "refused": 0, "failed": []}
        for index in range(int(each * SHARES.get(reader, 1.0))):
            random = Random(f"{reader} {seed} {index}")
            folder, names = random.choice(cases)
            target = work / "input"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(folder, target)
            for name in random.sample(names, 1 if random.random() < 0.9 else len(names)):
                (target / name).write_bytes(damage(name, (target / name).read_bytes(), random))
            (work / "now").write_text(f"{reader} {seed} {index}")  # for who finds a crash
            before = work / "kept"
            shutil.rmtree(before, ignore_errors=True)
            shutil.copytree(target, before)
            told = try_one(reader, target)
            if told in found:
                found[told] += 1
                continue
            found["failed"].append(f"{seed} {index}: {told[:300]}")
            if failures is not None:
                shutil.copytree(before, failures / f"{reader}-{seed}-{index}")
    return counts


def run_corpus(corpus: Path, work: Path) -> dict[str, dict]:
    """Every input below `corpus`, READER-WHAT/files; files that are not there are those of a whole
    input.
    """
    whole = originals(work / "whole")
    limit_memory()
    counts: dict[str, dict] = {}
    for case in sorted(path for path in corpus.iterdir() if path.is_dir()):
        reader = case.name.split("-")[0]
        target = work / "input" / case.name
        shutil.copytree(whole[reader][0][0], target)
        shutil.copytree(case, target, dirs_exist_ok=True)
        found = counts.setdefault(reader, {"read": 0, "refused": 0, "failed": []})
        told = try_one(reader, target)
        if told in found:
            found[told] += 1
        else:
            found["failed"].append(f"{case.name}: {told[:300]}")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--failures", type=Path)
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        if options.corpus:
            counts = run_corpus(options.corpus, work)
        else:
            counts = run(options.each, options.seed, options.failures, options.only, work)
    print(json.dumps({"readers": counts, "peak_bytes": peak_bytes()}, indent=1))
    sys.exit(any(found["failed"] for found in counts.values()))


if __name__ == "__main__":
    main()
