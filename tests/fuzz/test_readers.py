"""Readers under fire: whatever is in a file, it is read, or refused with our own error in one sentence.

The corpus holds inputs that once did something else. `pytest -m slow tests/fuzz` is the whole run of 20,800.
"""

import json
import pickle
import resource
import shutil
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest

from imitax import formats
from imitax.benchmark import raw
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.experiment import checkpoint, runs
from imitax.experiment.policy import load_policies
from imitax.experiment.settings import make_config
from imitax.experiment.visits import load_visits
from imitax.recording.mapping import default_mapping, load_mapping, to_toml
from imitax.report.read import read_run
from imitax.types import Discrete

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 10  # for one input
MEGABYTES = 1000  # more than before


# Damage of many kinds to a file's bytes, the same for the same seed.

STRANGE = [None, True, -1, 0, 1e308, float("nan"), 2**63, "", "x" * 50, [], {}, [[1]], {"a": 1}]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four damages one after the other."""
    kinds = [flip, cut, insert, remove, swap, repeat, fill, number]
    if data[:1] in (b"{", b"["):
        kinds += [tree] * 6
    for _ in range(rng.integers(1, 4)):
        data = kinds[rng.integers(len(kinds))](data, rng) or b"\0"
    return data


def flip(data, rng):
    """Up to eight bits."""
    out = bytearray(data)
    for position in rng.integers(len(out) * 8, size=rng.integers(1, 9)):
        out[position // 8] ^= 1 << (position % 8)
    return bytes(out)


def cut(data, rng):
    return data[: rng.integers(len(data))]


def _span(data, rng, most=64):
    start = rng.integers(len(data))
    return start, min(len(data), start + int(rng.integers(1, most)))


def insert(data, rng):
    at = rng.integers(len(data) + 1)
    return data[:at] + rng.bytes(rng.integers(1, 64)) + data[at:]


def remove(data, rng):
    start, stop = _span(data, rng)
    return data[:start] + data[stop:]


def swap(data, rng):
    (a, b), (c, d) = sorted([_span(data, rng), _span(data, rng)])
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def repeat(data, rng):
    start, stop = _span(data, rng, 512)
    return data[:stop] + data[start:stop] * int(rng.integers(1, 5)) + data[stop:]


def fill(data, rng):
    start, stop = _span(data, rng)
    return data[:start] + bytes([rng.choice([0, 255])]) * (stop - start) + data[stop:]


def number(data, rng):
    """A length or a size somewhere: eight bytes that claim a lot, or a little."""
    start = rng.integers(len(data))
    claim = int(rng.choice([0, 1, 2**31 - 1, 2**40, 2**62])).to_bytes(8, "little")
    return data[:start] + claim + data[start + 8 :]


def tree(data, rng):
    """Another value, or none, somewhere in a JSON tree (or in each of its lines)."""
    try:
        root = [json.loads(data)]
    except ValueError:
        return flip(data, rng)
    parent, key = root, 0
    while isinstance(parent[key], dict | list) and parent[key] and rng.random() < 0.85:
        parent = parent[key]
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        key = keys[rng.integers(len(keys))]
    if rng.random() < 0.2:
        del parent[key]
    else:
        parent[key] = STRANGE[rng.integers(len(STRANGE))]
    return json.dumps(root[0] if root else None).encode()


# What is damaged, and what reads it.


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A small whole run, and demonstrations in every format."""
    folder = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(0)
    shown = Demonstrations.from_episodes(
        [(rng.normal(size=(n, 4)), rng.integers(2, size=n)) for n in (5, 9)], terminated=True, returns=[5, 9],
        env_id="CartPole-v1",
    )  # fmt: skip
    for name in ("shown.npz", "shown.json", "minari"):
        formats.save(shown, folder / name)
    config = make_config("bc", "CartPole-v1", overrides={"bc.hidden": (4,), "bc.epochs": 2})
    runs.train_to_folder(config, make("CartPole-v1"), shown, folder / "run", 2)
    state = {"state.weight": rng.normal(size=(3, 2)), "history.loss": np.zeros((2, 1), np.float32)}
    checkpoint.save(folder / "run" / "checkpoints", 2, state, best=True)
    lines = (ROOT / "docs/results/classic/native.jsonl").read_bytes().split(b"\n")[:2]
    (folder / "lines.jsonl").write_bytes(b"\n".join([*lines, b""]))
    (folder / "keys.toml").write_text(to_toml(default_mapping(make("CartPole-v1").spec), "CartPole"))
    return folder


def in_run(read, part):
    """Reads a copy of the run folder whose file `part` is the mutated one."""

    def apply(path, samples):
        folder = path.parent / "run"
        if not folder.exists():
            shutil.copytree(samples / "run", folder)
        kept = (samples / "run" / part).read_bytes()
        (folder / part).write_bytes(path.read_bytes())
        try:
            return read(folder)
        finally:
            (folder / part).write_bytes(kept)

    return apply


def in_minari(part):
    def apply(path, samples):
        folder = path.parent / "minari"
        if not folder.exists():
            shutil.copytree(samples / "minari", folder)
        (folder / part).write_bytes(path.read_bytes())
        return formats.load(folder)

    return apply


def policies(folder):
    return load_policies(folder / "policy.safetensors")


# name -> (sample file, reader of a path, share of the inputs)
READERS = {
    "npz": ("shown.npz", lambda path, _: formats.load(path), 4),
    "json": ("shown.json", lambda path, _: formats.load(path), 4),
    "minari-data": ("minari/main_data.hdf5", in_minari("main_data.hdf5"), 1),
    "minari-metadata": ("minari/metadata.json", in_minari("metadata.json"), 1),
    "policy": ("run/policy.safetensors", in_run(policies, "policy.safetensors"), 2),
    "policy-description": ("run/policy.json", in_run(policies, "policy.json"), 2),
    "checkpoint": ("run/checkpoints/best.safetensors", lambda path, _: checkpoint.load(path), 3),
    "config": ("run/config.json", in_run(runs.load_run, "config.json"), 2),
    "metrics": ("run/metrics.jsonl", in_run(read_run, "metrics.jsonl"), 2),
    "summary": ("run/summary.json", in_run(read_run, "summary.json"), 2),
    "visits": ("run/visits.npz", lambda path, _: load_visits(path), 2),
    "raw results": ("lines.jsonl", lambda path, _: raw.read(path), 2),
    "keys": ("keys.toml", lambda path, _: load_mapping(path, Discrete(2)), 2),
}  # fmt: skip
TOTAL = 20_800


def outcome(read, path, samples):
    """'read', or 'refused'; anything else is a failure."""

    def stop(number, frame):
        raise TimeoutError("an input took too long")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path, samples)
    except ImitaxError as error:
        assert "\n" not in str(error).strip(), error
        return "refused"
    finally:
        signal.alarm(0)
    return "read"


def fire(name, count, samples, tmp_path, seed):
    source, read, _ = READERS[name]
    data, rng = (samples / source).read_bytes(), np.random.default_rng(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    path = tmp_path / Path(source).name
    told = {"read": 0, "refused": 0}
    for i in range(count):
        mutated = mutate(data, rng)
        path.write_bytes(mutated)
        try:
            told[outcome(read, path, samples)] += 1
        except BaseException as error:
            kept = tmp_path.parent / f"failed-{name}-{seed}-{i}{path.suffix}"
            kept.write_bytes(mutated)
            raise AssertionError(f"input {i} of '{name}' (kept as {kept}): {error!r}") from error
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before < MEGABYTES
    return told


@pytest.mark.parametrize("name", READERS)
def test_a_few_inputs(name, samples, tmp_path):
    told = fire(name, 40, samples, tmp_path, seed=1)
    assert told["refused"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_twenty_thousand_inputs(name, samples, tmp_path):
    share = READERS[name][2] / sum(weight for *_, weight in READERS.values())
    fire(name, int(np.ceil(share * TOTAL)), samples, tmp_path, seed=2)


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_what_once_failed(path, samples, tmp_path):
    name = Path(READERS[path.parent.name][0]).name
    shutil.copy(path, tmp_path / name)
    outcome(READERS[path.parent.name][1], tmp_path / name, samples)


@pytest.mark.parametrize("name", READERS)
def test_pickles_are_not_run(name, samples, tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    source, read, _ = READERS[name]
    path = tmp_path / Path(source).name
    path.write_bytes(pickle.dumps(Bomb()))
    # Of raw results a last line that was cut off is left out, and this is one.
    assert outcome(read, path, samples) == ("read" if name == "raw results" else "refused")
    if path.suffix == ".npz":
        array = np.array([Bomb()], dtype=object)
        np.savez(path, observations=array, actions=array, iterations=array, policy=array)
        assert outcome(read, path, samples) == "refused"
    assert not (tmp_path / "ran").exists()


def test_nothing_of_the_package_can_unpickle():
    import ast

    root = Path(formats.__file__).parents[1]
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            banned = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
            assert not banned & {name.split(".")[0] for name in names}, path
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                options = {keyword.arg: keyword.value for keyword in node.keywords}
                assert called not in ("eval", "exec") or getattr(node.func, "attr", ""), path
                if called == "load" and getattr(getattr(node.func, "value", None), "id", "") == "np":
                    assert getattr(options.get("allow_pickle"), "value", True) is False, path
