"""Every command and every Python example of README and docs is run, in the order of its page."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "benchmarks" / "README.md"]
PAGES.append(ROOT / "CHANGELOG.md")
ANY_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"(<!-- slow -->\n)?```(bash|python)\n(.*?)```", re.DOTALL)


class Block(NamedTuple):
    language: str
    text: str
    slow: bool


def blocks(page: Path) -> list[Block]:
    """The examples of a page in order; Python examples that follow one another are one program."""
    result: list[Block] = []
    for slow, language, text in FENCE.findall(page.read_text()):
        block = Block(language, text, bool(slow))
        if result and result[-1].language == language == "python" and result[-1].slow == block.slow:
            block = block._replace(text=f"{result.pop().text}\n{text}")
        result.append(block)
    return result


def run(block: Block, folder: Path) -> None:
    """Run a block as a reader would, in `folder`; CI installs and tests by itself."""
    text = re.sub(r"^pip install .*?&& ", "", block.text, flags=re.MULTILINE)
    text = re.sub(r"^pytest.*$", "", text, flags=re.MULTILINE)
    command = [sys.executable, "-c", text] if block.language == "python" else ["bash", "-euc", text]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "SDL_VIDEODRIVER": "dummy"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, f"{text}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"


def link_repository(folder: Path) -> None:
    """Commands name files of the repository; what they write into it goes to a copy."""
    import shutil

    for name in ("docs", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name)


def pages(slow: bool) -> list:
    """Pages with such commands."""
    having = [page for page in PAGES if any(block.slow == slow for block in blocks(page))]
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in having]


def run_all(chosen: list[Block], folder: Path) -> None:
    link_repository(folder)
    for block in chosen:
        run(block, folder)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(slow=False))
def test_the_commands_of_a_page_run(page, tmp_path):
    run_all([block for block in blocks(page) if not block.slow], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(slow=True))
def test_the_long_commands_of_a_page_run(page, tmp_path):
    run_all([block for block in blocks(page) if block.slow], tmp_path)


def test_pages_link_to_files_that_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text())):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_names_that_link_to_code_are_in_that_code():
    links = 0
    for page in PAGES:
        for name, target in re.findall(r"\[`([\w.]+)`\]\(([^)]+\.py)\)", page.read_text()):
            code = (page.parent / target).read_text()
            for part in name.split("."):
                assert re.search(rf"\b{part}\b", code), f"{page.name}: no {part} in {target}"
            links += 1
    assert links > 50


def test_prose_is_wrapped():
    exempt = ("|", "![", "      members:")  # tables, images, options of the API's page
    for page in PAGES:
        for line in ANY_FENCE.sub("", page.read_text()).split("\n"):
            assert line.startswith(exempt) or len(line) <= 100, f"{page.name}: {line}"


def test_the_study_page_shows_the_committed_results():
    table = (ROOT / "docs" / "results" / "acrobot" / "results.md").read_text().strip()
    assert table in (ROOT / "docs" / "acrobot.md").read_text()


def test_the_theory_page_shows_the_committed_results():
    table = (ROOT / "docs" / "results" / "theory" / "results.md").read_text().strip()
    assert table in (ROOT / "docs" / "theory.md").read_text()


def test_the_mujoco_page_shows_the_committed_results():
    table = (ROOT / "docs" / "results" / "mujoco" / "native.md").read_text().strip()
    assert table in (ROOT / "docs" / "results" / "mujoco.md").read_text()


@pytest.mark.parametrize("limit", ["paper", "native"])
def test_the_classic_page_shows_the_committed_results(limit):
    table = (ROOT / "docs" / "results" / "classic" / f"{limit}.md").read_text().strip()
    assert table in (ROOT / "docs" / "results" / "classic.md").read_text()
