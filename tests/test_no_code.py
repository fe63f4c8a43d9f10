"""Data cannot run code: what is pickled under any name is refused, and nothing here could unpickle
it.
"""

import ast
import io
import pickle
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from imitax.errors import ImitaxError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "fuzz"))
import fuzz  # noqa: E402  the readers and what they read

FORBIDDEN = (
    *(
        "pickle",
        "cPickle",
        "_pickle",
        "marshal",
        "shelve",
        "dill",
        "cloudpickle",
        "joblib",
        "jsonpickle",
    ),
    *("torch", "yaml", "code", "runpy"),
)
CALLS = ("eval", "exec", "compile", "__import__", "execfile")
LOADERS = ("load", "read_array")  # of NumPy, which take allow_pickle


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return Path.write_text, (Path(self.marker), "ran")


def disguises(payload: Payload) -> dict[str, bytes]:
    """Files that hold a pickle: bare, as arrays of objects, in archives as PyTorch and NumPy write
    them.
    """
    bare = pickle.dumps(payload)
    objects, archive, torch = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([payload], object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as file:
        for name in (
            "observations",
            "iterations",
            "policy",
            "returns",
            "format_version",
            "env_id",
            "x",
        ):
            file.writestr(f"{name}.npy", objects.getvalue())
    with zipfile.ZipFile(torch, "w") as file:
        file.writestr("archive/data.pkl", bare)
        file.writestr("archive/version", "3")
    header = b'{"__metadata__":{"iteration":"3","sha256":"x"},"a":{"dtype":"O","shape":[1],"data_offsets":[0,%d]}}'
    header %= len(bare)
    return {
        "bare": bare,
        "oldest": pickle.dumps(payload, protocol=0),
        "npy": objects.getvalue(),
        "npz": archive.getvalue(),
        "torch": torch.getvalue(),
        "safetensors": len(header).to_bytes(8, "little") + header + bare,
    }


def test_the_payload_would_run(tmp_path):
    for name, data in disguises(Payload(tmp_path / "marker")).items():
        if name in ("bare", "oldest"):
            pickle.loads(data)
        elif name == "npy":
            np.load(io.BytesIO(data), allow_pickle=True)
        else:
            continue
        (tmp_path / "marker").unlink()


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_disguised_pickles_do_not_run(tmp_path, reader, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    marker = tmp_path / "marker"
    for folder, names in fuzz.originals(tmp_path / "whole")[reader]:
        for name in names:
            whole = (folder / name).read_bytes()
            for kind, data in disguises(Payload(marker)).items():
                (folder / name).write_bytes(data)
                # Listings tell what is wrong with a dataset; raw results without a whole line are
                # empty.
                lenient = reader in ("datasets", "raw")
                with suppress(ImitaxError) if lenient else pytest.raises(ImitaxError):
                    fuzz.READERS[reader](folder)
                assert not marker.exists(), (reader, name, kind)
            (folder / name).write_bytes(whole)


def test_pickles_within_hdf5_do_not_run(tmp_path):
    import h5py

    marker = tmp_path / "marker"
    folder, _ = fuzz.originals(tmp_path / "whole")["minari"][0]
    with h5py.File(folder / "demos" / "main_data.hdf5", "r+") as file:
        file["episode_0"].attrs["options"] = np.void(pickle.dumps(Payload(marker)))
        del file["episode_0/rewards"]
        file["episode_0/rewards"] = np.void(pickle.dumps(Payload(marker)))
    with pytest.raises(ImitaxError):
        fuzz.READERS["minari"](folder)
    assert not marker.exists()


def dangers(source: str) -> list[str]:
    """Names of what in a module's source could run code from data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        found += [name for name in names if name.split(".")[0] in FORBIDDEN]
        if isinstance(node, ast.Call):
            found += _dangers_of(node)
    return found


def _dangers_of(call: ast.Call) -> list[str]:
    called = call.func
    options = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if options.get("allow_pickle", "False") != "False":
        return ["allow_pickle"]
    if isinstance(called, ast.Name):
        return [called.id] if called.id in CALLS else []
    if not isinstance(called, ast.Attribute):
        return []
    owner = ast.unparse(called.value).split(".")[0]
    if owner == "builtins" and called.attr in CALLS:
        return [called.attr]
    if owner in ("np", "numpy", "jnp") and called.attr in LOADERS and "allow_pickle" not in options:
        return [f"{owner}.{called.attr}"]
    return ["import_module"] if called.attr == "import_module" and not _fixed(call) else []


def _fixed(call: ast.Call) -> bool:
    """Whether a module to import is named in the source, or looked up in a table of the source."""
    return bool(call.args) and isinstance(call.args[0], ast.Constant | ast.Subscript)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "imitax").rglob("*.py")), ids=lambda path: path.stem
)
def test_no_module_could_run_data(path):
    # The one exception is asked for by name: --policy python:module:function runs the user's own
    # module.
    allowed = ["import_module"] if path.stem == "external" else []
    assert dangers(path.read_text(encoding="utf-8")) == allowed


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import a, dill.source",
        "def f():\n    import torch",
        "eval('1')",
        "exec(x)",
        "builtins.eval(x)",
        "__import__(x)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "numpy.load(f, None)",
        "np.lib.format.read_array(f)",
        "np.save(f, x, allow_pickle=flag)",
        "importlib.import_module(text)",
    ],
)
def test_what_could_is_seen(source):
    assert len(dangers(source)) == 1
