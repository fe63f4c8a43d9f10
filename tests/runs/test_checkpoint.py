"""Checkpoint files: exact round trips, and damage of every kind is seen."""

import errno
import pickle

import numpy as np
import pytest

from imitax.errors import ImitaxError
from imitax.files import write as files
from imitax.runs import checkpoint

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.float32(2.5).reshape(()),
    "flags": np.array([True, False]),
    "count": np.array(7, np.int32),
    "nan": np.array([np.nan, -0.0], np.float32),
    "empty": np.zeros((0, 3), np.float32),
}


def saved(folder, iterations=(1, 2, 3, 4, 5), best=2):
    for i in iterations:
        checkpoint.save(folder, i, {"x": np.full(3, i, np.float32)}, best=i == best)
    return folder


def test_round_trip_is_exact(tmp_path):
    checkpoint.save(tmp_path / "c", 12, TENSORS, best=False)
    found = checkpoint.newest(tmp_path / "c", pytest.fail)
    assert found.iteration == 12 and found.tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert found.tensors[name].dtype == array.dtype and found.tensors[name].shape == array.shape
        assert found.tensors[name].tobytes() == array.tobytes()


def test_the_newest_and_the_best_are_kept(tmp_path):
    saved(tmp_path / "c")
    assert [path.name[-13:-12] for path in checkpoint.files(tmp_path / "c")] == ["3", "4", "5"]
    assert checkpoint.load(tmp_path / "c" / checkpoint.BEST).iteration == 2
    assert checkpoint.newest(tmp_path / "nothing", pytest.fail) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_passed_over(tmp_path, share):
    path = checkpoint.files(saved(tmp_path / "c"))[-1]
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    told = []
    assert checkpoint.newest(tmp_path / "c", told.append).iteration == 4
    assert (
        len(told) == 1 and "00000005" in told[0] and told[0].endswith("The one before it is used.")
    )


def test_every_flipped_bit_is_seen(tmp_path):
    path = checkpoint.files(saved(tmp_path / "c", (5,)))[-1]
    data, rng = path.read_bytes(), np.random.default_rng(0)
    intact = checkpoint.load(path)
    for position in rng.choice(len(data) * 8, 300, replace=False):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:  # a blank of the header may become another blank: then nothing has changed
            found = checkpoint.load(path)
        except ImitaxError as error:
            assert "is damaged" in str(error)
        else:
            assert found.iteration == intact.iteration
            assert found.tensors["x"].tobytes() == intact.tensors["x"].tobytes()


def test_a_pickle_in_its_place_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    path = checkpoint.files(saved(tmp_path / "c"))[-1]
    path.write_bytes(pickle.dumps(Bomb()))
    assert checkpoint.newest(tmp_path / "c", lambda text: None).iteration == 4
    assert not (tmp_path / "ran").exists()


def test_a_header_that_claims_too_much_is_refused(tmp_path):
    path = checkpoint.files(saved(tmp_path / "c", (5,)))[-1]
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ImitaxError, match="is damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_what_can_not_be_written_leaves_the_earlier_ones(tmp_path, monkeypatch, error):
    saved(tmp_path / "c")
    before = {path: path.read_bytes() for path in (tmp_path / "c").iterdir()}

    def full(descriptor):
        raise OSError(error, "no room")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(
        ImitaxError, match=r"of iteration 6 cannot be written.*earlier ones are untouched"
    ):
        checkpoint.save(tmp_path / "c", 6, TENSORS, best=True)
    monkeypatch.undo()
    assert {
        p: p.read_bytes() for p in (tmp_path / "c").iterdir() if p.suffix != ".partial"
    } == before
    checkpoint.save(tmp_path / "c", 6, TENSORS, best=False)
    assert not list((tmp_path / "c").glob("*.partial"))


def test_a_folder_that_has_vanished_is_told(tmp_path):
    with pytest.raises(ImitaxError, match="cannot be written"):
        checkpoint.save(tmp_path / "gone" / "checkpoints", 1, TENSORS, best=False)
