"""What to cite: an entry for everything in the registry, in BibTeX that parses."""

import re

import pytest

from imitax.data.citations import SOURCES, bibliography, cite
from imitax.errors import ImitaxError
from imitax.methods.registry import AGENTS, METHODS


def fields(entry):
    """name -> value of an entry, braces counted; fails on what is no BibTeX."""
    kind, key, body = re.fullmatch(r"@(\w+)\{(\w+),\n(.*)\n\}", entry, re.DOTALL).groups()
    found = {}
    for line in body.split("\n"):
        name, value = re.fullmatch(r"  (\w+) = \{(.*)\},?", line).groups()
        assert value.count("{") == value.count("}")
        found[name] = value
    return kind, key, found


def test_everything_has_a_source_and_every_source_is_used():
    assert set(SOURCES) == {"imitax", *METHODS, *AGENTS}
    assert {key for keys in SOURCES.values() for key in keys} == set(bibliography())


@pytest.mark.parametrize("key", bibliography())
def test_entries_are_whole(key):
    kind, found, values = fields(bibliography()[key])
    assert found == key and {"title", "author", "year"} <= set(values)
    needed = {
        "inproceedings": "booktitle",
        "article": "journal",
        "phdthesis": "school",
        "software": "version",
    }
    assert needed[kind] in values
    assert re.fullmatch(r"\d{4}", values["year"])
    assert re.fullmatch(r"\d{4}\.\d{4,5}", values.get("eprint", "0000.0000"))


def test_citing():
    assert "1606.03476" in cite("gail") and cite("fem").count("@inproceedings") == 2
    with pytest.raises(ImitaxError, match="Unknown method or agent 'gial': did you mean"):
        cite("gial")
