"""Ways to damage a file: by its bytes, whatever they mean, and by its structure, so that it still
parses.
"""

import copy
import io
import json
import math
import zipfile
from random import Random

import numpy as np

NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63),
    10**400,
    1e308,
    -1e308,
    5e-324,
    math.nan,
    math.inf,
    -math.inf,
)
TEXTS = ("", "x", "../../x", "\n", "\x00", "é" * 300, "builtins.eval", "1", "nan", "a" * 100_000)
VALUES = (None, True, False, *NUMBERS, *TEXTS, [], {}, [[]], [None], {"": {}}, [1, [2, [3, "x"]]])
SHAPES = ((), (0,), (1 << 40,), (-1,), (3, 0), (1,) * 40, (1 << 31, 1 << 31), (2, 3), (7,))
TYPES = (
    "<f8",
    "<f4",
    "<f2",
    ">f8",
    "|b1",
    "<i8",
    "<u8",
    "|O",
    "<U9",
    "|S3",
    "<M8[s]",
    "|V8",
    "<c16",
)


def damage(name: str, data: bytes, random: Random) -> bytes:
    """The file `name` with one to three mutations; a structural one comes before those of
    bytes.
    """
    structural = _BY_SUFFIX.get(name.rpartition(".")[2])
    if structural is not None and random.random() < 0.6:
        data = structural(data, random)
        if random.random() < 0.8:
            return data
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(_OF_BYTES)(bytearray(data or b"\0"), random)
    return bytes(data)


def _flip(data, random):
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return data


def _overwrite(data, random):
    what = random.choice((b"\xff", b"\0", b"\x7f", random.randbytes(4)))
    at = random.randrange(len(data))
    data[at : at + len(what) * random.choice((1, 2, 4, 8))] = what * random.choice((1, 2, 4, 8))
    return data


def _cut(data, random):
    return data[: random.randrange(len(data))]


def _insert(data, random):
    at, start = random.randrange(len(data)), random.randrange(len(data))
    data[at:at] = random.choice(
        (random.randbytes(9), data[start : start + 40], b"\0" * 99, b"[" * 3000)
    )
    return data


def _remove(data, random):
    start = random.randrange(len(data))
    del data[start : start + random.choice((1, 4, 30, 500))]
    return data


def _swap(data, random):
    size = random.choice((1, 8, 64, 512))
    one, other = (random.randrange(len(data)) for _ in range(2))
    data[one : one + size], data[other : other + size] = (
        data[other : other + size],
        data[one : one + size],
    )
    return data


_OF_BYTES = (_flip, _flip, _overwrite, _cut, _insert, _remove, _swap)


def tree(data, random: Random):
    """JSON data with one node replaced, removed, doubled, renamed or wrapped."""
    data = copy.deepcopy(data)
    parent, key = None, None
    node = data
    while isinstance(node, dict | list) and node and (parent is None or random.random() < 0.85):
        parent = node
        key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
        node = node[key]
    if parent is None:
        return random.choice(VALUES)
    kind = random.randrange(8)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(random.choice(parent)))
    elif kind == 1:
        parent[random.choice(TEXTS)] = parent.pop(key)
    elif kind == 2:
        for _ in range(random.choice((1, 3, 5000))):
            node = [node]
        parent[key] = node
    elif kind == 3 and type(node) in (int, float):
        parent[key] = node * random.choice((-1, 1e6, 10**9, 0.5)) + random.choice((0, 1, 1e-9))
    else:
        parent[key] = copy.deepcopy(random.choice(VALUES))
    return data


def _dump(data) -> bytes:
    try:
        return json.dumps(data).encode()
    except RecursionError:
        return b"[" * 5000 + b"]" * 5000


def _json(data, random):
    return _dump(tree(json.loads(data), random))


def _jsonl(data, random):
    lines = data.splitlines()
    at = random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        lines.insert(random.randrange(len(lines)), lines[at])
    elif kind == 1:
        del lines[at]
    else:
        lines[at] = _json(lines[at], random)
    return b"\n".join(lines) + b"\n"


def _toml(data, random):
    words = data.decode().split(" ")
    at = random.randrange(len(words))
    kind = random.randrange(4)
    if kind == 0:
        words[at] = random.choice(words)
    elif kind == 1:
        words[at] = json.dumps(random.choice(VALUES))
    elif kind == 2:
        words[at] = random.choice(
            ("[" * 5000, "1979-05-27", "inf", "0x7f", "'''", "[[x]]\n", "\r", "{ a.b = 1 }")
        )
    else:
        del words[at]
    return " ".join(words).encode("utf-8", "replace")


def _header(random, dtype):
    buffer = io.BytesIO()
    header = {
        "descr": dtype,
        "fortran_order": random.random() < 0.3,
        "shape": random.choice(SHAPES),
    }
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _npz(data, random):
    """Members with other headers, names, contents or compression, twice or not at all."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = random.randrange(len(members))
    name, content = members[at]
    kind = random.randrange(9)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members.append((random.choice(("../x.npy", "/etc/x.npy", name, "é.npy", "x")), content))
    elif kind == 2:
        members[at] = name, random.choice(members)[1]
    elif kind in (3, 4):
        old = np.load(io.BytesIO(content)).dtype.str
        body = content[len(content) // 128 * 128 and 128 :]
        members[at] = name, _header(random, random.choice((old, random.choice(TYPES)))) + body
    elif kind == 5:
        members[at] = name, damage(name, content, random)
    else:
        members[at] = name, _changed_array(content, random)
    out = io.BytesIO()
    method = random.choice(
        (zipfile.ZIP_DEFLATED,) * 8 + (zipfile.ZIP_STORED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    )
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def _changed_array(content: bytes, random) -> bytes:
    array = np.load(io.BytesIO(content))
    kind = random.randrange(4)
    if kind == 0 and array.size and array.dtype.kind in "fiu":
        array = array.copy()
        with np.errstate(all="ignore"):
            value = random.choice((0, -1, 1, 2**62, math.nan, math.inf, 1e300, -0.0))
            array.flat[random.randrange(array.size)] = (
                value
                if array.dtype.kind == "f"
                else int(value if math.isfinite(value) and abs(value) < 2**63 else -(2**63)) % 2**63
            )
    elif kind == 1:
        array = array[None] if random.random() < 0.5 or not array.ndim else array[:-1]
    elif kind == 2 and array.dtype.kind in "fiub":
        with np.errstate(all="ignore"):
            array = array.astype(
                random.choice(("f2", "f8", "i1", "u8", "c16", "U5", "?", "i8,f4", "V3")[:8])
            )
    else:
        array = np.zeros(random.choice(((), (0,), (2,), (3, 2), (1, 1, 1, 1))), array.dtype)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _safetensors(data, random):
    """The header as a JSON tree, its length, or the length alone."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    text = _dump(tree(header, random))
    told = (
        len(text)
        if random.random() < 0.85
        else random.choice((0, 1, 2**63, 2**64 - 1, len(text) - 1, 10**8))
    )
    if random.random() < 0.3:
        body = random.choice((b"", body[:-1], body + b"\0" * 8, body * 2))
    return told.to_bytes(8, "little") + text + body


def _hdf5(data, random):
    """Arrays of another shape or kind, links out of the file, in circles, and to nowhere."""
    import h5py

    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = random.choice(names)
        kind = random.randrange(8)
        if kind == 0:
            del file[name]
        elif kind == 1:
            file.move(name, random.choice(("x", name + "_", random.choice(names) + "/y")))
        elif kind in (2, 3):
            del file[name]
            links = (
                h5py.ExternalLink("/etc/hostname", "/"),
                h5py.SoftLink("/"),
                h5py.SoftLink("/" + name),
            )
            file[name] = random.choice((*links, file))
        elif kind == 4:
            del file[name]
            shape = random.choice(((1 << 34,), (1 << 30, 4), (5, 2), (3,), (), (2, 0)))
            chunks = tuple(min(n, 8) for n in shape) if shape and 0 not in shape else None
            file.create_dataset(
                name, shape, random.choice(("f8", "f4", "i8", "?", "u1")), chunks=chunks
            )
        elif kind == 5:
            del file[name]
            file[name] = random.choice(
                ("text", [b"a", b"b"], np.float64([[1, math.nan]]), 3, np.zeros(3, "i4,f8"))
            )
        elif kind == 6:
            del file[name]
            file.create_dataset(name, (6,), "f8", external=[("/etc/passwd", 0, 48)])
        else:
            file[name].attrs[random.choice(("id", "seed", "total_steps"))] = random.choice(
                ("x", -1, 1e300, [1, 2], b"\xff")
            )
    return memory.getvalue()


def _tolerant(mutate):
    """Some edits of a structure cannot be made: then the bytes stay, and are damaged as such."""

    def tried(data, random):
        try:
            return bytes(mutate(data, random))
        except (ValueError, TypeError, KeyError, OSError, RuntimeError, OverflowError):
            return bytes(_flip(bytearray(data), random))

    return tried


_BY_SUFFIX = {
    name: _tolerant(mutate)
    for name, mutate in (
        ("json", _json),
        ("jsonl", _jsonl),
        ("toml", _toml),
        ("npz", _npz),
        ("npy", None),
        ("safetensors", _safetensors),
        ("hdf5", _hdf5),
    )
    if mutate
}
