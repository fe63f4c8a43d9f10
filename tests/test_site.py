"""The documentation site is built strictly, and needs nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imitax.methods.registry import AGENTS, METHODS

ROOT = Path(__file__).parent.parent
ELSEWHERE = re.compile(r"<(?:script|img|link|iframe|source)[^>]*(?:src|href)=[\"']?(https?:[^\"'> ]*)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_asks_for_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        assert ELSEWHERE.findall(page.read_text()) == [], page.name


def test_every_method_and_agent_has_a_page_with_its_settings(site):
    pages = {"fem": "apprenticeship", "gtal": "apprenticeship", "bc": "cloning"}
    for name, entry in (METHODS | AGENTS).items():
        text = (site / f"{pages.get(name, name)}.html").read_text()
        assert "Details" in text and "Citation" in text
        for setting in entry.config.__dataclass_fields__:
            assert f".{setting}</code>" in text, (name, setting)


def test_notebooks_are_pages_with_formulas_and_figures(site):
    text = (site / "gail_acrobot.html").read_text()
    assert text.count("<math") > 10 and text.count("data:image/png") >= 2 and "$$" not in text


def test_figures_of_results_are_there(site):
    for name in ("results/classic.html", "theory.html", "acrobot.html"):
        page = site / name
        images = re.findall(r'<img[^>]*src="([^"]*)"', page.read_text())
        assert images and all((page.parent / image).is_file() for image in images)
