"""The page in a real browser: keys, touches, mouse, gamepad and choices."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from imitax.formats import load

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
).split()
PATIENCE = 30  # seconds that anything may take before a test fails
COMMAND = [sys.executable, "-c", "from imitax.cli import main; main()"]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)"
)


@pytest.fixture(scope="module")
def chromium():
    """A browser for all tests of this module."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Recording:
    """`imitax demos record ... --browser` in a process of its own."""

    def __init__(self, folder, *arguments):
        command = [*COMMAND, "demos", "record", *arguments, "--browser", "--no-open"]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if address := re.search(r"http://\S+", line):
                self.address = address.group()
                break
        else:
            raise AssertionError(lines)

    def end(self, number=None):
        """Wait for a successful end, after a signal or by itself; returns the output."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0 and err == "", err
        return out


@pytest.fixture
def record(tmp_path):
    """Starts recordings in `tmp_path`; ends those that a failed test left running."""
    started = []

    def start(*arguments):
        started.append(Recording(tmp_path, *arguments))
        return started[-1]

    yield start
    for recording in started:
        recording.process.kill()
        recording.process.wait()
        recording.process.stdout.close()
        recording.process.stderr.close()


@contextmanager
def visiting(chromium, address, **options):
    """The page, which must log nothing, load nothing from elsewhere and not scroll sideways."""
    context = chromium.new_context(**options)
    page = context.new_page()
    messages, urls = [], []
    page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: urls.append(request.url))
    page.set_default_timeout(1000 * PATIENCE)
    try:
        page.goto(address)
        page.wait_for_selector("#pads button")
        page.get_by_text("Episode 1", exact=True).wait_for()
        yield page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        context.close()
    assert messages == [] and urls
    assert [url for url in urls if not url.startswith((address, "data:"))] == []


def play_with_keys(page):
    """One episode, left and right in turns."""
    key = 0
    while not page.locator("#keep").is_visible():
        name = ("ArrowLeft", "ArrowRight")[key % 2]
        page.keyboard.down(name)
        page.wait_for_timeout(30)
        page.keyboard.up(name)
        key += 1


def text(page, name):
    return page.locator(f"#{name}").inner_text()


def after_step(page, number):
    """Wait for a later step (the page's policy forbids `wait_for_function`, which evaluates
    strings).
    """
    end = time.monotonic() + PATIENCE
    while int(text(page, "steps")) <= number:
        assert time.monotonic() < end, "the game stands still"
        page.wait_for_timeout(10)


def test_episodes_played_with_keys_are_kept_in_the_file(chromium, record, tmp_path):
    recording = record(
        "CartPole-v1", "--out", "mine.npz", "--fps", "30", "--episodes", "2", "--json"
    )
    totals = []
    with visiting(chromium, recording.address) as page:
        assert page.title() == "CartPole-v1: recording" and text(page, "file") == "mine.npz"
        assert "push left" in text(page, "pads") and text(page, "fps") == "30 steps/s"
        for number in (1, 2):
            page.get_by_text(f"Episode {number}", exact=True).wait_for()
            play_with_keys(page)
            total, steps = re.fullmatch(
                r"Return (\d+) in (\d+) steps", text(page, "title")
            ).groups()
            assert total == steps == text(page, "total") and int(total) > 5
            assert text(page, "words") == "The task ended the episode."
            totals.append(float(total))
            page.keyboard.press("Enter")
            page.get_by_text(f"{number} kept").wait_for()
            assert len(load(tmp_path / "mine.npz")) == number  # before the next one starts
        page.get_by_text("Finished", exact=True).wait_for()
    result = json.loads(recording.end())
    assert result["kept"] == result["episodes"] == 2 and result["returns"] == totals
    demonstrations = load(tmp_path / "mine.npz")
    assert demonstrations.returns.tolist() == totals == demonstrations.lengths.tolist()
    assert set(demonstrations.actions.tolist()) == {0, 1}
    # different first states
    assert not np.array_equal(*demonstrations.observations[demonstrations.starts])


def test_pace_pause_and_choices(chromium, record, tmp_path):
    recording = record("MountainCar-v0", "--out", "mine.npz", "--fps", "20", "--time-limit", "100")
    with visiting(chromium, recording.address) as page:
        page.keyboard.press("+")
        page.get_by_text("25 steps/s").wait_for()
        page.get_by_role("button", name="Slower").click()
        page.get_by_text("20 steps/s").wait_for()
        page.keyboard.press("p")
        after_step(page, 3)
        page.keyboard.press("p")
        page.get_by_text("Paused", exact=True).wait_for()
        steps = text(page, "steps")
        page.wait_for_timeout(100)
        assert text(page, "steps") == steps and text(page, "action") == "idle"
        for _ in range(10):
            page.keyboard.press("+")
        page.keyboard.press("p")
        page.locator("#keep").wait_for()
        assert text(page, "words") == "The time limit ended the episode."
        page.keyboard.press("Escape")
        page.get_by_text("Keep or discard this episode first.").wait_for()
        page.keyboard.press("Tab")  # from Keep, which has the focus, to Discard
        page.keyboard.press("Enter")
        page.get_by_text("Episode 2", exact=True).wait_for()
        assert text(page, "kept") == "nothing kept yet"
        page.keyboard.press("Escape")
        page.get_by_text("Nothing was kept.").wait_for()
    assert recording.end() == "No episode was kept.\n" and not (tmp_path / "mine.npz").exists()


def test_a_phone_plays_by_touch(chromium, record, tmp_path):
    recording = record("MountainCar-v0", "--out", "mine.npz", "--fps", "30", "--time-limit", "100")
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    with visiting(chromium, recording.address, **phone) as page:
        pads = page.locator("#pads button")
        assert min(pads.nth(index).bounding_box()["height"] for index in range(2)) >= 44
        box = page.locator("#pads button", has_text="accelerate right").bounding_box()
        assert box["y"] + box["height"] < 640  # visible without scrolling
        touch = page.context.new_cdp_session(page)
        point = {"x": box["x"] + 20, "y": box["y"] + 20}
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        after_step(page, 9)
        assert (
            text(page, "action") == "accelerate right" and page.locator("#pads .held").count() == 1
        )
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.locator("#keep").wait_for()
        assert text(page, "action") == "idle" and page.locator("#pads .held").count() == 0
        page.locator("#keep").tap()
        page.get_by_text("1 kept").wait_for()
        page.locator("#finish").tap()
        page.get_by_text("Finished", exact=True).wait_for()
    recording.end()
    actions = load(tmp_path / "mine.npz").actions
    assert set(actions.tolist()) == {1, 2} and actions[0] == 2 and actions[-1] == 1


def test_the_mouse_is_an_axis(chromium, record, tmp_path):
    mapping = (
        "idle = 0\n[keys]\nleft = 2.0\n[axes]\nmouse-x = { dimension = 0, low = -2, high = 1 }\n"
    )
    (tmp_path / "keys.toml").write_text(mapping)
    recording = record(
        "Pendulum-v1", "--out", "mine.npz", "--keys", "keys.toml", "--time-limit", "60"
    )
    with visiting(chromium, recording.address) as page:
        assert text(page, "axes") == "Axes: mouse-x moves dimension 0."
        box = page.locator("#picture").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
        page.keyboard.press("p")
        after_step(page, 4)
        page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50)
        page.locator("#keep").wait_for()
        page.keyboard.press("Enter")
        page.get_by_text("1 kept").wait_for()
    recording.end(signal.SIGTERM)
    actions = load(tmp_path / "mine.npz").actions[:, 0]
    assert actions[0] == pytest.approx(-1.25, abs=0.01) and actions[-1] == pytest.approx(
        1.0, abs=0.01
    )


GAMEPAD = """() => {
  window.gamepad = { axes: [0.05, 0], buttons: [{ pressed: false }] };
  navigator.getGamepads = () => [null, window.gamepad];
  window.dispatchEvent(new Event("gamepadconnected"));
}"""


def test_a_gamepad_has_axes_and_buttons(chromium, record, tmp_path):
    mapping = "idle = 0\n[keys]\nbutton-0 = 2.0\n[axes]\ngamepad-0 = { dimension = 0 }\n"
    (tmp_path / "keys.toml").write_text(mapping)
    recording = record("Pendulum-v1", "--keys", "keys.toml", "--fps", "20")
    with visiting(chromium, recording.address) as page:
        page.evaluate(GAMEPAD)
        page.evaluate("() => { gamepad.buttons[0].pressed = true; }")
        page.locator("#action", has_text="[2]").wait_for()
        page.evaluate("() => { gamepad.buttons[0].pressed = false; }")
        page.locator("#action", has_text="idle").wait_for()  # a stick near its middle is at rest
        page.evaluate("() => { gamepad.axes[0] = -0.5; }")
        page.locator("#action", has_text="[-1]").wait_for()
    recording.end(signal.SIGINT)


def test_leaving_pauses_another_tab_takes_over_and_a_dead_program_is_reported(chromium, record):
    recording = record("MountainCar-v0", "--out", "mine.npz", "--fps", "10")
    with visiting(chromium, recording.address) as page:
        page.keyboard.down("ArrowRight")
        after_step(page, 1)
        page.evaluate("window.dispatchEvent(new Event('blur'))")
        page.get_by_text("Paused", exact=True).wait_for()
        page.keyboard.up("ArrowRight")
        steps = int(text(page, "steps"))
        page.reload()
        page.get_by_text("Paused", exact=True).wait_for()
        assert int(text(page, "steps")) == steps
        other = page.context.new_page()
        other.goto(recording.address)
        other.get_by_text("Paused", exact=True).wait_for()
        page.get_by_text("Played elsewhere").wait_for()
        other.keyboard.press("ArrowLeft")
        after_step(other, steps)
        assert text(other, "action") in ("accelerate left", "idle")
        recording.process.kill()
        other.get_by_text("Connection lost", exact=True).wait_for()
