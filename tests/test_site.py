"""The documentation site builds strictly, is complete, opens from disk, and fetches nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import imitax
from imitax.data.citations import bibliography
from imitax.methods.adversarial import LoopConfig
from imitax.methods.registry import AGENTS, METHODS

ROOT = Path(__file__).parent.parent
# What a browser fetches by itself. Anchors are followed by people, and a `canonical` link by
# nobody.
FETCHED = re.compile(r"<(?!a\b)\w[^>]*\s(?:src|srcset|href|data|poster)=[\"']?(?:https?:)?//[^>]*>")
FETCHED_BY_STYLE = re.compile(r"(?:url\(|@import\s+)[\"']?(?:https?:)?//")
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
# the others have their own name
PAGES = {"fem": "apprenticeship", "gtal": "apprenticeship", "bc": "cloning"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder),
    ]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_no_page_asks_for_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        assert [tag[0] for tag in FETCHED.finditer(page.read_text())] == [], page.name
    for style in site.rglob("*.css"):
        assert FETCHED_BY_STYLE.findall(style.read_text()) == [], style.name


@pytest.mark.parametrize(
    ("fetches", "tag"),
    [
        (True, '<script async src="https://example.org/x.js"></script>'),
        (True, "<link rel=stylesheet href=//example.org/x.css>"),
        (True, '<img alt="a figure" src="http://example.org/x.png">'),
        (False, '<a href="https://example.org">there</a>'),
        (False, '<img alt="see https://example.org" src="x.png">'),
    ],
)
def test_what_counts_as_asking(fetches, tag):
    assert bool(FETCHED.search(tag)) == fetches


def test_every_page_is_in_the_navigation():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = re.findall(r"[\w/]+\.md", yaml.safe_dump(config["nav"]))
    assert sorted(set(listed)) == sorted(listed)
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/results/*.md")]
    assert {str(page.relative_to(ROOT / "docs")) for page in pages} <= set(listed)


@pytest.mark.parametrize("name", METHODS | AGENTS)
def test_every_method_and_agent_has_a_whole_page(site, name):
    text = (site / f"{PAGES.get(name, name)}.html").read_text()
    titles = re.findall(r'<h2 id="([\w-]+)"', text)
    wanted = ["what-it-does", "details", "settings", "results", "citation"]
    assert [title for title in titles if title in wanted] == wanted or name in ("fem", "gtal")
    assert set(wanted) <= {title.replace("what-they-do", "what-it-does") for title in titles}
    for setting in (METHODS | AGENTS)[name].config.__dataclass_fields__:
        assert f".{setting}</code>" in text, setting
    assert "@" in re.sub(r"<[^>]*>", "", text.split('id="citation"')[1])  # the BibTeX


def test_all_settings_of_the_loop_are_on_the_settings_page(site):
    text = (site / "settings.html").read_text()
    for name in LoopConfig.__dataclass_fields__:
        assert f"loop.{name}</code>" in text


@pytest.mark.parametrize("page", sorted({PAGES.get(name, name) for name in METHODS | AGENTS}))
def test_details_of_methods_are_numbered_and_point_into_the_code(page):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    details = text.split("\n## Details\n")[1].split("\n## ")[0]
    numbered = re.split(r"^\d+\. ", details, flags=re.MULTILINE)[1:]
    assert len(numbered) >= 3
    for detail in numbered:
        assert re.search(r"\]\(\.\./imitax/[\w/]+\.(py|toml)\)", detail), detail


def test_links_to_code_lead_to_its_definition(site):
    text = (site / "gail.html").read_text()
    assert 'href="source/imitax/core/returns.py.html#absorbing_mass"' in text
    code = (site / "source" / "imitax" / "core" / "returns.py.html").read_text()
    assert 'id="absorbing_mass"' in code and "Truncated episodes are not absorbed" in code


def test_every_public_name_is_in_the_api(site):
    text = (site / "api.html").read_text()
    for name in imitax.__all__:
        assert f'id="imitax.{name}"' in text, name


def test_the_api_names_no_private_module():
    page = (ROOT / "docs" / "api.md").read_text()
    guide = (ROOT / "docs" / "write_your_own.md").read_text()
    modules = set(re.findall(r"^from (imitax\.[\w.]+) import", guide, re.MULTILINE))
    modules |= {f"imitax.{name}" for name in imitax.__all__}
    documented = re.findall(r"^::: (\S+)", page, re.MULTILINE)
    assert documented
    assert [path for path in documented if not modules & {path, path.rpartition(".")[0]}] == []


def test_citations_are_those_of_the_package(site):
    text = re.sub(r"<[^>]*>", "", (site / "gail.html").read_text())
    assert bibliography()["ho2016generative"] in text


def test_notebooks_are_pages_with_formulas_and_figures(site):
    text = (site / "gail_acrobot.html").read_text()
    assert text.count("<math") > 10 and text.count("data:image/png") >= 2 and "$$" not in text
    assert not re.search(r"<p>\s*[,.;]", text)  # a formula has not torn its sentence


def test_figures_of_results_are_there(site):
    for name in ("results/classic.html", "theory.html", "acrobot.html"):
        page = site / name
        images = re.findall(r'<img[^>]*src="([^"]*)"', page.read_text())
        assert images and all((page.parent / image).is_file() for image in images)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the PATH to open the site with")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install '.[test]')"
    )
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, site):
    """Opens pages from disk; in the end nothing went wrong and nothing was asked of a network."""
    faults, contexts = [], []

    def open_page(name, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or faults.append(r.url))
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def test_the_search_works_from_disk(opened):
    page = opened("results/classic.html")  # not at the top, where every path is right
    page.locator(".md-search__input").fill("absorbing")
    page.locator(".md-search-result__link").first.wait_for()
    assert page.locator(".md-search-result__link[href*='gail.html']").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(opened, scheme):
    page = opened("index.html", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for name in ("index", "tutorial", "gail", "results/classic", "gail_acrobot", "api", "settings"):
        page.goto(page.url.rsplit("/", 2 if "/results/" in page.url else 1)[0] + f"/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.locator("h1").is_visible()
