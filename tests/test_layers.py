"""Who may import whom, read from the source without running it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The house, from the ground up: a layer may import itself, `errors`, and the layers of the rows
# above.
HOUSE = (
    ("errors",),
    ("types", "findings", "catalogue", "files", "stats", "presets", "data"),
    ("core",),
    ("networks", "demonstrations"),
    ("tabular",),
    ("envs", "formats", "policies", "rewards"),
    ("agents",),
    ("methods",),
    ("training",),
    ("runs", "experts", "rendering"),
    ("doctor", "recording", "diagnosis", "studies", "benchmark", "report"),
    ("cli",),
)
# Layers that need less than the rows above them offer.
ONLY = {
    "types": (),
    "findings": (),
    "catalogue": (),
    "files": (),
    "stats": ("files",),
    "networks": ("types", "core"),
    "tabular": ("demonstrations", "types"),
    "policies": ("types", "files", "core", "networks"),
    "rewards": ("types", "core", "networks"),
    "agents": ("types", "core", "networks"),
    "doctor": ("findings", "files", "stats", "core", "envs"),
    "recording": ("types", "core", "files", "demonstrations", "formats", "envs"),
}
# Rooms of one row that stand on one another.
ALSO = {
    "core": ("types",),
    "studies": ("diagnosis",),
    "report": ("diagnosis",),
    "benchmark": ("studies",),
}


def _may_import():
    below, table = set(), {}
    for row in HOUSE:
        for layer in row:
            table[layer] = (*ONLY.get(layer, tuple(sorted(below))), *ALSO.get(layer, ()))
        below |= set(row)
    return table


MAY_IMPORT = _may_import()

# Outside libraries that have one import site each: module -> what of them it may import.
GUARDED = (
    *("gymnax", "gymnasium", "envpool", "minari", "pygame"),
    *("tensorboardX", "wandb", "onnx", "onnxruntime", "av"),
)
MAY_USE = {
    "envs.native": ("gymnax",),
    "envs.host": ("gymnasium",),
    "envs.pool": ("envpool",),
    "rendering.watch": ("gymnasium",),
    "rendering.film": ("av",),
    "recording.game": ("gymnasium",),  # pictures
    "recording.window": ("pygame",),
    "tabular.worlds": ("gymnasium",),  # the toy texts' tables
    # spaces, and the registered spec that a dataset names
    "formats.minari": ("minari", "gymnasium"),
    "formats.minari_list": ("minari",),
    "runs.loggers": ("tensorboardX", "wandb"),
    "policies.onnx": ("onnx", "onnxruntime"),
}

# Rooms that work where JAX cannot be imported, but for the modules named beside them.
WITHOUT_JAX = {
    "findings": (),
    "catalogue": (),
    "files": (),
    "stats": (),
    "data": (),
    "report": ("report.animation", "report.write"),
    "benchmark": ("benchmark.run",),
}
JAX = ("jax", "jaxlib", "equinox", "optax")


def sources(root):
    """Name -> path of every module below root/imitax; 'core.losses', and '' for the package
    itself.
    """
    found = {}
    for path in sorted((root / "imitax").rglob("*.py")):
        parts = path.relative_to(root / "imitax").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name, path, known):
    """(line, dotted name) of everything that a module imports, at its top, in functions or by a
    string.

    `from a import b` is the module a.b if there is one, or if `a` lies outside; otherwise it is a.
    """
    package = ("imitax." + name).rstrip(".").split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                inside = base.split(".")[0] == "imitax"
                yield (
                    node.lineno,
                    full if not inside or full.removeprefix("imitax.") in known else base,
                )
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def within(name, parts):
    """Whether a dotted name is one of `parts` or below it."""
    return any(name == part or name.startswith(part + ".") for part in parts)


def crossings(name, path, known):
    """(module, line, dotted name) of the imports that the tables above do not allow."""
    layer = name.split(".")[0]
    allowed = (layer, "errors", *MAY_IMPORT.get(layer, ()))
    for line, target in imports(name, path, known):
        inner = target.removeprefix("imitax").removeprefix(".")
        # The package itself may import anything of its own: it only names what is public.
        inward = name and within(target, ["imitax"]) and not within(inner, allowed)
        outward = within(target, GUARDED) and not within(target, MAY_USE.get(name, ()))
        if inward or outward:
            yield name, line, target


def reached(name, known, seen):
    """(module, line, outside name) of all that a module imports, itself or through the package."""
    seen.add(name)
    for line, target in imports(name, known[name], known):
        inner = target.removeprefix("imitax.")
        if not within(target, ["imitax"]):
            yield name, line, target
        elif inner in known and inner not in seen:
            yield from reached(inner, known, seen)


KNOWN = sources(ROOT)


@pytest.mark.parametrize("name", KNOWN)
def test_imports_stay_within_the_layers(name):
    assert list(crossings(name, KNOWN[name], KNOWN)) == []


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in KNOWN
        if any(within(n, [room]) and n not in but for room, but in WITHOUT_JAX.items())
    ],
)
def test_rooms_without_jax(name):
    assert [x for x in reached(name, KNOWN, set()) if within(x[2], JAX)] == []


def circles(known):
    """Chains of modules of one room that import one another in a circle, lazy imports included."""
    inner = {
        name: {
            target.removeprefix("imitax.")
            for _, target in imports(name, path, known)
            if target.removeprefix("imitax.") in known
            and target.split(".")[1:2] == name.split(".")[:1]
        }
        - {name}
        for name, path in known.items()
        if name
    }

    def walk(name, chain):
        if name in chain:
            yield [*chain[chain.index(name) :], name]
            return
        for target in sorted(inner[name]):
            yield from walk(target, [*chain, name])

    return [chain for name in inner for chain in walk(name, []) if chain[0] == name]


def test_modules_of_a_room_do_not_import_in_circles():
    assert circles(KNOWN) == []


def test_layers_do_not_import_in_circles():
    # What a layer may import never leads back to it.
    def below(layer):
        return set(MAY_IMPORT[layer]).union(*map(below, MAY_IMPORT[layer]))

    assert all(layer not in below(layer) for layer in MAY_IMPORT)


# The checker itself, on a package written for it.

PACKAGE = (
    *("core/__init__.py", "core/losses.py", "envs/__init__.py", "envs/base.py", "envs/host.py"),
    *("formats/__init__.py", "formats/minari.py", "errors.py"),
)


def check(tmp_path, module, source):
    """The crossings of one module with this source, among a few empty others."""
    for name in (*PACKAGE, module):
        path = tmp_path / "imitax" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source if name == module else "", encoding="utf-8")
    known = sources(tmp_path)
    name = next(n for n, path in known.items() if path == tmp_path / "imitax" / module)
    return list(crossings(name, known[name], known))


@pytest.mark.parametrize(
    "module, source",
    [
        ("core/x.py", "import imitax.envs"),
        ("core/x.py", "import imitax"),
        ("core/x.py", "from imitax import envs"),
        ("core/x.py", "from imitax import public_name"),
        ("core/x.py", "from imitax.envs import make"),
        ("core/x.py", "from .. import envs"),
        ("core/x.py", "from ..envs.base import Env"),
        ("core/__init__.py", "from ..envs import base"),
        ("core/x.py", "def f():\n    from imitax.envs import base"),
        ("core/x.py", "if TYPE_CHECKING:\n    from imitax.envs import base"),
        ("core/x.py", "import importlib\nimportlib.import_module('imitax.envs')"),
        ("training/fit.py", "from imitax.runs import folder"),
        ("runs/folder.py", "def f():\n    from imitax.diagnosis import run"),
        ("agents/ppo.py", "from imitax.envs.base import Env"),
        ("studies/quickstart.py", "from imitax.cli import terminal"),
        ("unheard_of.py", "import imitax.core"),
        ("envs/host.py", "import gymnax"),
        ("envs/native.py", "import gymnasium as gym"),
        ("envs/native.py", "import envpool"),
        ("training/runner.py", "from gymnasium.vector import SyncVectorEnv"),
        ("demonstrations.py", "import minari"),
        ("formats/npz.py", "import minari"),
        ("__init__.py", "import minari"),
    ],
)
def test_crossing_is_seen(tmp_path, module, source):
    assert len(check(tmp_path, module, source)) == 1


@pytest.mark.parametrize(
    "module, source",
    [
        ("core/x.py", "import jax\nfrom imitax.core.losses import f"),
        ("core/x.py", "from . import losses\nfrom .losses import f"),
        ("core/x.py", "from imitax.errors import ImitaxError\nfrom .. import errors"),
        ("core/__init__.py", "from . import losses\nfrom .losses import f"),
        ("training/rollout.py", "from imitax.envs.base import Env\nfrom imitax.envs import base"),
        ("envs/native.py", "import gymnax"),
        ("envs/host.py", "import gymnasium\nfrom gymnasium import spaces"),
        ("envs/pool.py", "import envpool"),
        ("rendering/watch.py", "import gymnasium"),
        (
            "formats/minari.py",
            "import minari\nfrom minari.a import b\nfrom gymnasium import spaces",
        ),
        ("formats/__init__.py", "from imitax.formats import minari\nfrom . import minari"),
        ("__init__.py", "from imitax.core.losses import f"),
        ("core/x.py", "import gymnasium_robotics"),  # another library that only begins alike
    ],
)
def test_permitted_import_passes(tmp_path, module, source):
    assert check(tmp_path, module, source) == []
