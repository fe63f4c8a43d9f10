"""Raw results: lines come back, incomplete ones are dropped, malformed ones are named."""

import json

import numpy as np
import pytest

from imitax.benchmark import raw
from imitax.errors import ImitaxError


def test_lines_come_back(tmp_path, line):
    path = tmp_path / "new" / "raw.jsonl"
    assert raw.read(path) == {}
    raw.append(path, [line("a/bc/1", 0), line("a/bc/1", 1)])
    raw.append(path, [line("b/expert", curve=[None, 1.5])])
    assert raw.read(path) == {
        "a/bc/1": {0: line("a/bc/1", 0), 1: line("a/bc/1", 1)},
        "b/expert": {0: line("b/expert", curve=[None, 1.5])},
    }


def test_a_line_that_was_cut_off_in_writing_is_removed(tmp_path, line):
    path = tmp_path / "raw.jsonl"
    raw.append(path, [line("a", 0), line("a", 1)])
    complete = path.read_bytes()
    for length in range(len(complete)):
        path.write_bytes(complete[:length])
        kept = len(raw.read(path).get("a", {}))
        assert kept == complete[:length].count(b"\n")
    raw.append(path, [line("a", 1)])  # and the file can be continued
    assert path.read_bytes() == complete


def test_numbers_are_short():
    assert raw.plain(np.float32([1.0, -0.123456, np.nan, 500])) == [1, -0.12, None, 500]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a JSON object, found '{'"),
        ("[1]", r"expected a JSON object, found '\[1\]'"),
        ("", "expected a JSON object, found ''"),
        ('{"cell": "a"}', "has no 'seed'"),
        ({"seed": "0"}, "'seed' is '0', expected int"),
        ({"seed": True}, "'seed' is True, expected int"),
        ({"demonstrations": 3}, "'demonstrations' is 3, expected dict or null"),
        ({"sampled": ["x"]}, "'sampled' must hold only numbers"),
        ({"sampled": [], "deterministic": []}, "holds no returns"),
        ({"curve": ["x"]}, "'curve' must hold only numbers and null"),
        ({}, "cell 'a' with seed 0 occurs twice"),
    ],
)
def test_malformed_lines_are_named(tmp_path, line, text, message):
    path = tmp_path / "raw.jsonl"
    raw.append(path, [line("a")])
    bad = text if isinstance(text, str) else json.dumps(line("a") | text)
    path.write_text(path.read_text() + bad + "\n")
    before = path.read_bytes()
    with pytest.raises(ImitaxError, match=rf"raw.jsonl', line 2: .*{message}"):
        raw.read(path)
    assert path.read_bytes() == before
