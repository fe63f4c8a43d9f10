"""The page in a headless Chromium: it draws, it answers, it prints, and it asks nothing of a
network.
"""

import re
import shutil
from unittest import mock

import pytest

from imitax.report import write
from imitax.report.write import write_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install '.[test]')"
)
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("there is no chromium on the PATH to open the page with", allow_module_level=True)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def four(shared_runs, tmp_path_factory):
    """A report of four runs, with films."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        patch.setenv("SDL_AUDIODRIVER", "dummy")
        out = tmp_path_factory.mktemp("page") / "four.html"
        write_report(shared_runs, out)
        return out


@pytest.fixture
def opened(browser, four):
    """Opens a report; in the end nothing was asked for and nothing went wrong."""
    faults, contexts = [], []

    def open_page(file=four, **options):
        context = browser.new_context(
            **({"reduced_motion": "reduce", "color_scheme": "light"} | options)
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda r: r.url == file.as_uri() or r.url.startswith("data:") or faults.append(r.url),
        )
        page.goto(file.as_uri())
        page.wait_for_selector("[data-panel] svg[role=img]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def reported(tmp_path, monkeypatch):
    """Writes a report of some runs."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")

    def write_page(paths, **options):
        write_report(paths, tmp_path / "page.html", **options)
        return tmp_path / "page.html"

    return write_page


def traces(page, panel=0):
    """How many curves a panel shows."""
    return page.locator(f'[data-panel="{panel}"] svg[role=img] [aria-label="line"] path').count()


def legend(page, panel=0):
    return page.locator(f'[data-panel="{panel}"] .legend li').all_text_contents()


def test_every_figure_is_drawn(opened):
    page = opened()
    panels = page.locator("[data-panel]").count()
    assert panels == 9
    for panel in range(panels):
        assert traces(page, panel) > 0 and legend(page, panel)
        label = page.locator(f'[data-panel="{panel}"] svg[role=img]').get_attribute("aria-label")
        assert "at last" in label and len(label) > 40
    assert page.locator('[data-cloud="expert"] circle').count() == 40
    assert page.locator('[data-cloud="policy"] circle').count() == 40 + 60
    drawn = "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    playwright.expect(page.locator(".strip")).to_have_js_property("width", 1800)
    for canvas in page.locator("canvas[data-film], .strip").all():
        assert canvas.evaluate(drawn) > 3
    assert (
        page.locator("canvas[data-film]")
        .nth(1)
        .get_attribute("aria-label")
        .startswith("Animation. GAIL, seed 5")
    )


def test_runs_are_switched(opened):
    page = opened()
    assert legend(page) == ["GAIL", "Constant reward (control)", "PPO on the true reward"]
    assert legend(page, 2) == ["expert pairs", "policy pairs"]  # only GAIL has a discriminator
    page.get_by_label("Constant reward (control)", exact=True).uncheck()
    assert legend(page) == ["GAIL", "PPO on the true reward"] and traces(page) == 2
    page.get_by_label("GAIL", exact=True).uncheck()
    page.get_by_label("PPO on the true reward", exact=True).uncheck()
    assert traces(page) == 0 and legend(page) == []
    page.get_by_label("GAIL", exact=True).check()
    assert traces(page) == 1 and legend(page) == ["sampled actions"]


def test_seeds_are_switched(opened):
    page = opened()
    bands = page.locator('[data-panel="0"] [aria-label="area"] path')
    assert (traces(page), bands.count()) == (3, 3)
    page.get_by_label("Seeds", exact=True).select_option("each")
    assert (traces(page), bands.count()) == (9, 0)
    page.get_by_label("Seeds", exact=True).select_option("seed 6")
    assert traces(page) == 3
    label = page.locator('[data-panel="0"] svg[role=img]').get_attribute("aria-label")
    assert "seed 6" in label and "seed 5" not in label


def test_curves_over_steps_wall_time_and_iterations(opened):
    page = opened()
    figure = page.locator('[data-panel="0"] svg[role=img]')
    assert "environment steps" in figure.inner_html()
    page.get_by_label("Over", exact=True).select_option("wall time")
    assert "seconds since the start" in figure.inner_html()
    page.get_by_label("Over", exact=True).select_option("iterations")
    assert ">iterations<" in figure.inner_html()
    # cloning has no steps
    assert ">rounds<" in page.locator('[data-panel="8"] svg[role=img]').inner_html()


def test_values_show_under_the_pointer(opened):
    page = opened()
    line = page.locator('[data-panel="0"] [aria-label="line"] path').first
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator('[data-panel="0"] [aria-label="tip"]')
    assert re.search("interquartile mean.*environment steps .*95 %", tip.text_content())


def test_the_slider_goes_through_training(opened):
    page = opened()
    heading, slider = (
        page.locator('[data-cloud="policy"] h3'),
        page.get_by_label("Moment of training"),
    )
    places = "circles => circles.map(c => c.getAttribute('cx')).join()"
    last = page.locator('[data-cloud="policy"] circle').evaluate_all(places)
    assert heading.inner_text() == "GAIL, iteration 12"
    assert "; " in page.locator("#distance").inner_text()
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert heading.inner_text() == "GAIL, iteration 1"
    assert page.locator('[data-cloud="policy"] circle').evaluate_all(places) != last
    assert slider.get_attribute("aria-valuetext") == "iteration 1"


def test_axes_seeds_and_policies_of_the_clouds_are_switched(opened):
    page = opened()
    cloud = page.locator("#occupancy")
    assert "pole angle" in cloud.locator("svg").last.inner_html()
    cloud.get_by_label("Up", exact=True).select_option("2nd principal component")
    assert "2nd principal component" in cloud.locator("svg").last.inner_html()
    full_view = cloud.locator("svg").last.inner_html()
    cloud.get_by_label("View", exact=True).select_option("around the expert")
    assert cloud.locator("svg").last.inner_html() != full_view
    first = cloud.locator("svg").last.inner_html()
    cloud.get_by_label("Seed", exact=True).select_option("seed 7")
    assert cloud.locator("svg").last.inner_html() != first
    cloud.get_by_label("Policy", exact=True).select_option("Behaviour cloning")
    assert (
        page.locator('[data-cloud="policy"] h3').inner_text() == "Behaviour cloning, after cloning"
    )
    assert cloud.get_by_label("Seed", exact=True).count() == 0  # it has only one
    cloud.get_by_label("Policy", exact=True).select_option("PPO on the true reward")
    assert (
        page.locator('[data-cloud="policy"] h3').inner_text()
        == "PPO on the true reward, iteration 12"
    )


def test_the_film_plays_and_stops(opened):
    page = opened(reduced_motion="no-preference")
    page.locator("#films").scroll_into_view_if_needed()
    clock, button = page.locator("#clock"), page.locator("#play")
    assert button.inner_text() == "Pause"
    start = clock.inner_text()
    playwright.expect(clock).not_to_have_text(start)
    button.focus()
    page.keyboard.press("Space")
    assert button.inner_text() == "Play"
    stopped = clock.inner_text()
    page.wait_for_timeout(200)
    assert clock.inner_text() == stopped
    page.locator("#film-choice select").select_option("Behaviour cloning")
    assert "Behaviour cloning, seed 5" in page.locator("#films figcaption").nth(1).inner_text()


def test_whoever_wants_no_motion_gets_none(opened):
    page = opened()
    assert (
        page.locator("#play").inner_text() == "Play"
        and page.locator("#clock").inner_text() == "step 0"
    )
    page.get_by_label("Step of the episode").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#clock").inner_text() != "step 0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_and_the_switch(opened, scheme):
    page = opened(color_scheme=scheme)
    shade = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert (page.evaluate(shade) > 128) == (scheme == "light")
    page.locator("#theme").click()
    assert (page.evaluate(shade) > 128) == (scheme == "dark")
    assert page.locator("#theme").inner_text().lower() == scheme


def test_the_numbers_behind_a_figure(opened):
    page = opened()
    details = page.locator('[data-panel="0"] details')
    details.locator("summary").click()
    playwright.expect(details.locator("tbody tr")).to_have_count(12)
    head = details.locator("thead th").all_text_contents()
    assert head == [
        "iteration",
        "GAIL, interquartile mean",
        "Constant reward (control), interquartile mean",
        "PPO on the true reward, interquartile mean",
    ]
    assert details.locator("tbody tr").first.locator("td").all_text_contents() == [
        "1",
        "–",
        "–",
        "–",
    ]
    page.get_by_label("Constant reward (control)", exact=True).uncheck()
    assert details.locator("thead th").count() == 3
    page.locator("#distances summary").click()
    playwright.expect(page.locator("#distances tbody tr")).to_have_count(4)


def test_the_command_is_copied(opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.locator(".copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    command = page.locator(".command pre").first.inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == command and command.startswith(
        "imitax train gail"
    )


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_at_any_width(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for figure in page.locator("[data-panel] svg[role=img]").all():
        assert figure.bounding_box()["width"] <= width


def test_figures_follow_the_width(opened):
    page = opened(viewport={"width": 1200, "height": 800})
    wide = page.locator('[data-panel="0"] svg[role=img]').get_attribute("width")
    page.set_viewport_size({"width": 400, "height": 800})
    playwright.expect(page.locator('[data-panel="0"] svg[role=img]')).not_to_have_attribute(
        "width", wide
    )


def test_it_prints(opened):
    page = opened(color_scheme="dark")
    pdf = page.pdf(format="A4")
    # paper does not unfold
    assert page.locator("#settings details").get_attribute("open") is not None
    assert (
        pdf.startswith(b"%PDF")
        and len(pdf) > 30_000
        and 3 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 15
    )
    page.emulate_media(media="print")
    assert page.locator("#bar").is_hidden() and page.locator(".strip").is_visible()
    assert page.locator('[data-panel="0"] svg[role=img]').is_visible()
    shade = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert page.evaluate(shade) > 128  # on white paper, whatever the screen


def test_one_small_run_without_the_parts_of_newer_versions(opened, reported, make_run):
    path = make_run("old", seeds=1, iterations=1)
    (path / "visits.npz").unlink()
    page = opened(reported([path], still=True))
    assert page.locator("#bar select").count() == 1 and page.locator("#runs").count() == 0
    assert page.locator("#occupancy, #films").count() == 0


def test_cloning_alone(opened, reported, make_run):
    # so that it has one moment, as cloning has
    path = make_run("cloning", "bc", seeds=2, iterations=1)
    page = opened(reported([path]))
    assert page.locator("[data-panel]").count() == 1 and page.locator("#bar option").count() == 4
    assert page.get_by_label("Moment of training").is_disabled()
    assert (
        page.locator('[data-cloud="policy"] h3').inner_text() == "Behaviour cloning, after cloning"
    )


def test_an_expert_without_policies_to_show(opened, reported, make_run):
    path = make_run("broken", seeds=1)
    (path / "policy.safetensors").unlink()
    page = opened(reported([path]))
    assert page.locator("canvas[data-film]").count() == 1
    assert "is not shown" in page.locator("#films").inner_text()


def test_hostile_names_do_nothing(opened, reported, make_run):
    hostile = '<img src=x onerror="window.hacked=1"><script>window.hacked=1<&#47;script>'
    paths = [make_run(hostile, env=hostile), make_run("b", env=hostile)]
    with mock.patch.object(write, "sentences", lambda run: [hostile]):
        page = opened(reported(paths, still=True))
    assert hostile in page.locator("#runs").inner_text()
    page.locator('[data-panel="0"] summary').click()
    assert page.evaluate("window.hacked") is None and page.locator("img").count() == 0
