"""Files are put in place whole: what stands at a path is the old file or the new one, never a
part.
"""

import json
import os

import numpy as np
import pytest

from imitax.errors import ImitaxError
from imitax.files import write
from imitax.files.read import read_arrays
from imitax.stats import figures


def full(descriptor):
    raise OSError(28, "No space left on device")


WRITERS = {
    "bytes": lambda path: write.write_whole(path, b"new"),
    "text": lambda path: write.write_text(path, "new ½"),
    "JSON": lambda path: write.write_json(path, {"new": "½"}),
    "arrays": lambda path: write.write_arrays(path, {"new": np.arange(3)}),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, writer, moment):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(write.os, moment, lambda *arguments: full(None))
    with pytest.raises(OSError, match="No space"):
        writer(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]
    monkeypatch.undo()
    writer(path)
    assert path.read_bytes() != b"old" and os.listdir(tmp_path) == ["file"]


def test_what_was_written_is_there(tmp_path):
    path = tmp_path / "file"
    WRITERS["text"](path)
    assert path.read_text(encoding="utf-8") == "new ½"
    WRITERS["JSON"](path)
    assert json.loads(path.read_bytes()) == {"new": "½"} and "½" in path.read_text(encoding="utf-8")
    WRITERS["arrays"](path)
    first = path.read_bytes()
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_arrays(file)["new"], np.arange(3))
    WRITERS["arrays"](path)
    assert path.read_bytes() == first


def test_bytes_and_name_are_flushed_in_this_order(tmp_path, monkeypatch):
    calls, replace = [], os.replace
    monkeypatch.setattr(
        write.os, "fsync", lambda file: calls.append(os.path.isdir(f"/dev/fd/{file}"))
    )
    monkeypatch.setattr(
        write.os, "replace", lambda *names: (calls.append("rename"), replace(*names))
    )
    write.write_whole(tmp_path / "file", b"new")
    assert calls == [False, "rename", True]


def test_a_library_may_write_a_folder(tmp_path, monkeypatch):
    def make(content):
        with write.replacing(tmp_path / "data") as partial:
            partial.mkdir()
            (partial / "part").write_text(content)

    monkeypatch.setattr(write.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        make("first")
    assert os.listdir(tmp_path) == []
    monkeypatch.undo()
    make("first")
    assert (tmp_path / "data/part").read_text() == "first" and os.listdir(tmp_path) == ["data"]


def test_a_block_that_raises_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), write.replacing(tmp_path / "file") as partial:
        partial.write_text("half")
        raise KeyError
    assert os.listdir(tmp_path) == []


def test_creating_makes_folders_and_names_the_path(tmp_path):
    with write.creating(tmp_path / "a/b/file") as partial:
        partial.write_text("new")
    assert (tmp_path / "a/b/file").read_text() == "new"
    below_a_file = write.creating(tmp_path / "a/b/file/c")
    with pytest.raises(ImitaxError, match=r"file/c' cannot be written: "), below_a_file:
        pass


def test_new_files(tmp_path):
    (tmp_path / "old.gif").write_text("old")
    assert write.new_file(tmp_path / "new.GIF", ".gif", ".mp4") == tmp_path / "new.GIF"
    with pytest.raises(
        ImitaxError, match=r"old\.gif' exists: choose another, nothing was written\."
    ):
        write.new_file(tmp_path / "old.gif", ".gif")
    with pytest.raises(ImitaxError, match=r"has the ending '\.avi': expected \.gif or \.mp4\."):
        write.new_file(tmp_path / "new.avi", ".gif", ".mp4")


def test_figures_are_whole_pairs(tmp_path, monkeypatch):
    figures.save(figures.new()[0], tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == ["a.png", "a.svg"]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    figures.save(figures.new()[0], tmp_path / "a")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.setattr(write.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        figures.save(figures.new(2)[0], tmp_path / "a")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_json_has_no_nan():
    data = {"a": [1.5, float("nan"), {"b": float("inf")}], "c": None, "d": "NaN", "e": 3, "f": True}
    assert write.finite(data) == {
        "a": [1.5, None, {"b": None}],
        "c": None,
        "d": "NaN",
        "e": 3,
        "f": True,
    }
    assert write.finite(-float("inf")) is None and write.finite(0.0) == 0.0
