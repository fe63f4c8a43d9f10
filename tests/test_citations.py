"""What to cite: an entry for everything in the registry, in BibTeX that parses."""

import re
from importlib.metadata import version

import pytest

from imitax import cli
from imitax.data.citations import SOURCES, bibliography, cite
from imitax.errors import ImitaxError
from imitax.methods.registry import AGENTS, METHODS


def fields(entry):
    """(kind, key, name -> value) of an entry; fails unless it is BibTeX with balanced braces."""
    kind, key, body = re.fullmatch(r"@(\w+)\{(\w+),\n(.*)\n\}", entry, re.DOTALL).groups()
    values = {}
    for line in body.split("\n"):
        name, value = re.fullmatch(r"  (\w+) = \{(.*)\},?", line).groups()
        assert value.count("{") == value.count("}")
        values[name] = value
    return kind, key, values


def test_everything_has_a_source_and_every_source_is_used():
    assert set(SOURCES) == {"imitax", *METHODS, *AGENTS}
    assert {key for keys in SOURCES.values() for key in keys} == set(bibliography())


@pytest.mark.parametrize("key", bibliography())
def test_entries_are_complete(key):
    kind, own_key, values = fields(bibliography()[key])
    assert own_key == key and {"title", "author", "year"} <= set(values)
    required = {
        "inproceedings": "booktitle",
        "article": "journal",
        "phdthesis": "school",
        "misc": "note",
    }
    assert required[kind] in values
    assert re.fullmatch(r"\d{4}", values["year"])
    assert re.fullmatch(r"\d{4}\.\d{4,5}", values.get("eprint", "0000.0000"))
    assert ("eprint" in values) == ("archiveprefix" in values)
    if kind == "article":  # plain BibTeX styles do not print `eprint`
        assert values["eprint"] in values["journal"]


@pytest.mark.parametrize(
    ("name", "authors", "year", "number"),
    [
        ("gail", "Ho Ermon", "2016", "1606.03476"),
        ("fem", "Abbeel Ng", "2004", None),
        ("gtal", "Syed Schapire", "2008", None),
        ("bc", "Pomerleau", "1989", None),
        ("mce_irl", "Ziebart", "2010", None),
        ("ppo", "Schulman Wolski Dhariwal Radford Klimov", "2017", "1707.06347"),
        ("trpo", "Schulman Levine Moritz Jordan Abbeel", "2015", "1502.05477"),
    ],
)
def test_the_first_source_is_the_paper_of_the_method(name, authors, year, number):
    _, _, values = fields(cite(name).split("\n\n")[0])
    assert [author.split(",")[0] for author in values["author"].split(" and ")] == authors.split()
    assert (values["year"], values.get("eprint")) == (year, number)


def test_imitax_is_cited_with_its_version():
    assert f"note = {{Version {version('imitax')}}}" in cite("imitax")


@pytest.mark.parametrize(
    ("arguments", "expected"), [([], "imitax"), (["imitax"], "imitax"), (["trpo"], "trpo")]
)
def test_the_command_prints_the_entries(arguments, expected, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["imitax", "cite", *arguments])
    cli.main()
    assert capsys.readouterr().out == cite(expected) + "\n"


def test_the_command_refuses_an_unknown_name_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["imitax", "cite", "gial"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "imitax: Unknown method or agent 'gial': did you mean gtal or gail?\n"


def test_citing():
    assert "1606.03476" in cite("gail") and cite("fem").count("@inproceedings") == 2
    with pytest.raises(ImitaxError, match="Unknown method or agent 'gial': did you mean"):
        cite("gial")
