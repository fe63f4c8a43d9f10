"""The page as text: what is in it, what is left out, and that nothing from a run becomes
markup.
"""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from unittest import mock

import pytest

from imitax.errors import ImitaxError
from imitax.report import write
from imitax.report.page import embedded
from imitax.report.write import write_report


class Parsed(HTMLParser):
    """Elements, ids and the texts of scripts and visible parts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.scripts, self.texts, self.outside = [], [], [], [], []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        self.outside += [
            v for k, v in attributes if k in ("src", "href") and not v.startswith(("data:", "#"))
        ]
        self._in_script = tag in ("script", "style")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in_script &= tag not in ("script", "style")

    def handle_data(self, text):
        if self._in_script and self.scripts:
            self.scripts[-1] += text
        elif not self._in_script:
            self.texts.append(text)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def data(self):
        return json.loads(self.scripts[0])


def parsed(paths, tmp_path, diagnosis=None):
    """The page; with `diagnosis`, that function of a run in place of its real findings."""
    out = tmp_path / "page.html"
    with mock.patch.object(write, "sentences", diagnosis or write.sentences):
        written = write_report(paths, out, still=True)
    assert written == {"file": str(out), "bytes": out.stat().st_size}
    return Parsed(out.read_text(encoding="utf-8"))


def test_everything_is_in_one_file(four_runs, tmp_path):
    page = parsed(four_runs, tmp_path)
    assert page.outside == [] and page.tags.count("script") == 3
    assert page.tags.count("h1") == 1 and page.tags.count("h2") >= 8
    sections = "result learning discriminator reward policy cloning occupancy seeds repeat settings"
    assert set(sections.split()) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    labels = ["GAIL", "Behaviour cloning", "Constant reward (control)", "PPO on the true reward"]
    assert [run["label"] for run in page.data["runs"]] == labels
    words = (
        "GAIL on CartPole-v1",
        "The expert",
        "A random policy",
        "shown.npz",
        "3.12.0",
        "3 February 2026",
    )
    for word in (*labels, *words):
        assert word in page.text
    assert "http-equiv" in (tmp_path / "page.html").read_text()  # the policy that forbids requests


def test_the_table_of_seeds_holds_every_seed(four_runs, tmp_path):
    text = (parsed(four_runs, tmp_path), (tmp_path / "page.html").read_text())[1]
    table = text[text.index('id="seeds"') : text.index('id="repeat"')]
    assert len(re.findall('<th scope="row">', table)) == 3 + 1 + 3 + 3


def test_runs_of_older_versions_have_a_report_without_the_new_parts(make_run, tmp_path):
    path = make_run()
    (path / "visits.npz").unlink()
    lines = [json.loads(text) for text in (path / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = parsed([path], tmp_path)
    assert "occupancy" not in page.ids and page.data["occupancy"] is None
    assert page.data["runs"][0]["seconds"] is None and page.data["runs"][0]["steps"]
    assert "learning" in page.ids


def test_a_diagnosis_has_its_place_only_where_there_is_one(four_runs, tmp_path):
    assert "diagnosis" not in parsed(four_runs, tmp_path, diagnosis=lambda run: []).ids
    (tmp_path / "page.html").unlink()
    page = parsed(
        four_runs, tmp_path, diagnosis=lambda run: ["a < b & c"] if "gail" in run.path.name else []
    )
    assert "diagnosis" in page.ids and "GAIL: a < b & c" in page.text


def test_a_run_is_diagnosed(make_run, tmp_path):
    page = parsed([make_run(level=25.0, seeds=1)], tmp_path)
    assert "Few seeds: this is 1 seed." in page.text


HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="hacked=1">'


def test_nothing_from_a_run_becomes_markup(make_run, tmp_path):
    # A folder's name cannot hold a slash, so the other half of the attack comes from the files.
    name = HOSTILE.replace("/", "&#47;")
    paths = [make_run(name, env=HOSTILE), make_run("other", env=HOSTILE)]
    config = json.loads((paths[0] / "config.json").read_text())
    config["demonstrations"]["source"] = config["started"] = config["versions"]["imitax"] = HOSTILE
    config["run"]["settings"]["reward"][HOSTILE] = HOSTILE
    config["run"]["method"] = config["run"]["agent"] = HOSTILE
    (paths[0] / "config.json").write_text(json.dumps(config))
    page = parsed(paths, tmp_path, diagnosis=lambda run: [HOSTILE])
    harmless = parsed(
        [make_run("a"), make_run("b")], tmp_path / "a", diagnosis=lambda run: ["fine"]
    )
    assert page.tags.count("script") == harmless.tags.count("script") == 3
    assert "img" not in page.tags and page.outside == []
    assert HOSTILE in page.text and HOSTILE in page.data["runs"][0]["label"]


@pytest.mark.parametrize("text", ["</script>", "<!-- <script>", "\u2028\u2029", "é−½", '"\\'])
def test_data_in_a_script_stay_data(text):
    texts = embedded({"x": text})
    assert "<" not in texts and "\u2028" not in texts and json.loads(texts) == {"x": text}


def test_many_long_runs_stay_below_the_limit(make_run, tmp_path):
    runs = [make_run(f"run{i}", seeds=7, iterations=300) for i in range(10)]
    parsed(runs, tmp_path)
    assert (tmp_path / "page.html").stat().st_size < 4_000_000  # six films of 150 kB are not in it


def test_the_same_runs_give_the_same_bytes(four_runs, tmp_path):
    for name in ("one.html", "two.html"):
        write_report(four_runs, tmp_path / name, still=True)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_files_are_never_replaced_and_have_the_right_ending(make_run, tmp_path):
    path = make_run(seeds=1)
    (tmp_path / "old.html").write_text("mine")
    with pytest.raises(ImitaxError, match="exists: choose another, nothing was written"):
        write_report([path], tmp_path / "old.html", still=True)
    with pytest.raises(ImitaxError, match=r"has the ending '.pdf': expected .html"):
        write_report([path], tmp_path / "new.pdf", still=True)
    assert (tmp_path / "old.html").read_text() == "mine"


def test_nothing_is_left_of_a_report_that_failed(make_run, tmp_path, monkeypatch):
    path = make_run(seeds=1)
    before = set(tmp_path.iterdir())

    def fail(*arguments):
        raise OSError("no room")

    monkeypatch.setattr(write, "page", fail)
    with pytest.raises(OSError, match="no room"):
        write_report([path], tmp_path / "new.html", still=True)
    assert set(tmp_path.iterdir()) == before


def test_a_still_report_needs_no_jax(make_run, tmp_path):
    path = make_run()
    code = (
        "import sys; from pathlib import Path; from imitax.report.write import write_report\n"
        f"write_report([Path({str(path)!r})], Path('new.html'), still=True)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'jax', 'equinox', 'gymnasium', 'PIL'}))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (process.returncode, process.stdout) == (0, "[]\n"), process.stderr
