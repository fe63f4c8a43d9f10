"""The page in a real browser: a person's keys, touches and choices, from the command to a trained policy."""

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

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
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
        self.told = []
        for line in self.process.stderr:
            self.told.append(line.strip())
            if address := re.search(r"http://\S+", line):
                self.address = address.group()
                break
        else:
            raise AssertionError(self.told)

    def end(self, number=None):
        """What it printed, after a signal or by itself; it must have ended well."""
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
    """The page, which must not complain on its console, ask for anything elsewhere, or scroll sideways."""
    context = chromium.new_context(**options)
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(1000 * PATIENCE)
    try:
        page.goto(address)
        page.wait_for_selector("#pads button")
        page.get_by_text("Episode 1", exact=True).wait_for()
        yield page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        context.close()
    assert complaints == [] and asked
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


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
    """Waits until the episode has gone beyond this step (the page lets nobody evaluate strings)."""
    end = time.monotonic() + PATIENCE
    while int(text(page, "steps")) <= number:
        assert time.monotonic() < end, "the game does not go on"
        page.wait_for_timeout(10)


def told(folder, *arguments):
    """What a command of imitax answers with --json."""
    command = [*COMMAND, *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_from_keys_in_the_browser_to_a_cloned_policy(chromium, record, tmp_path):
    recording = record("CartPole-v1", "--out", "mine.npz", "--fps", "30", "--episodes", "2", "--json")
    assert recording.told[0] == "Kept episodes go to mine.npz."
    totals = []
    with visiting(chromium, recording.address) as page:
        assert page.title() == "CartPole-v1: recording" and text(page, "file") == "mine.npz"
        assert "push left" in text(page, "pads") and text(page, "fps") == "30 steps/s"
        for number in (1, 2):
            page.get_by_text(f"Episode {number}", exact=True).wait_for()
            play_with_keys(page)
            total, steps = re.fullmatch(r"Return (\d+) in (\d+) steps", text(page, "title")).groups()
            assert total == steps == text(page, "total") and int(total) > 5
            assert text(page, "words") == "The task ended the episode."
            totals.append(float(total))
            page.keyboard.press("Enter")
            page.get_by_text(f"{number} kept").wait_for()
            assert len(load(tmp_path / "mine.npz")) == number  # before the next one starts
        page.get_by_text("Finished", exact=True).wait_for()
    result = json.loads(recording.end())
    assert result["kept"] == result["episodes"] == 2 and result["returns"] == totals

    described = told(tmp_path, "demos", "inspect", "mine.npz")
    assert described["env_id"] == "CartPole-v1" and described["episodes"] == described["terminated"] == 2
    assert described["pairs"] == sum(totals) and set(described["actions"]["counts"]) == {"0", "1"}
    demonstrations = load(tmp_path / "mine.npz")
    assert demonstrations.returns.tolist() == totals == demonstrations.lengths.tolist()
    assert not np.array_equal(*demonstrations.observations[demonstrations.starts])  # two different starts
    summary = told(tmp_path, "train", "bc", "CartPole-v1", "--demos", "mine.npz", "--iterations", "3",
                   "--episodes", "2", "--out", "run", "--set", "bc.hidden=8")  # fmt: skip
    assert summary["method"] == "bc" and summary["expert"]["mean"] == np.mean(totals)


def test_choices_pace_and_pause(chromium, record, tmp_path):
    recording = record("MountainCar-v0", "--out", "mine.npz", "--fps", "20")
    with visiting(chromium, recording.address, color_scheme="dark") as page:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
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
        page.keyboard.press("Backspace")
        page.get_by_text("Episode 2", exact=True).wait_for()
        page.keyboard.press("Escape")  # paused already: the session ends, unfinished episodes are dropped
        page.get_by_text("Nothing was kept.").wait_for()
    assert recording.end() == "Nothing was kept.\n" and not (tmp_path / "mine.npz").exists()


def test_a_choice_is_the_focused_one(chromium, record, tmp_path):
    recording = record("MountainCar-v0", "--out", "mine.npz", "--fps", "240", "--time-limit", "9")
    with visiting(chromium, recording.address) as page:
        page.keyboard.press("p")
        page.locator("#keep").wait_for()
        assert text(page, "words") == "The time limit ended the episode."
        page.keyboard.press("Escape")
        page.get_by_text("Keep or discard this episode first.").wait_for()
        page.keyboard.press("Tab")  # from Keep to Discard
        page.keyboard.press("Enter")
        page.get_by_text("Episode 2", exact=True).wait_for()
        assert text(page, "kept") == "nothing kept yet"
        page.keyboard.press("p")
        page.locator("#keep").wait_for()
        page.keyboard.press("Backspace")
        page.get_by_text("Episode 3", exact=True).wait_for()
        page.keyboard.press("p")
        page.locator("#keep").wait_for()
        page.keyboard.press("Enter")
        page.get_by_text("1 kept").wait_for()
    assert recording.end(signal.SIGINT) == "Kept 1 episode(s), 9 pairs: mine.npz holds 1.\n"
    assert load(tmp_path / "mine.npz").terminated.tolist() == [False]


def test_a_phone_plays_by_touch(chromium, record, tmp_path):
    recording = record("MountainCar-v0", "--out", "mine.npz", "--fps", "30", "--time-limit", "100")
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    with visiting(chromium, recording.address, **phone) as page:
        pads = page.locator("#pads button")
        assert min(pads.nth(index).bounding_box()["height"] for index in range(2)) >= 44
        box = page.locator("#pads button", has_text="accelerate right").bounding_box()
        assert box["y"] + box["height"] < 640  # seen without scrolling
        touch = page.context.new_cdp_session(page)
        point = {"x": box["x"] + 20, "y": box["y"] + 20}
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        after_step(page, 9)
        assert text(page, "action") == "accelerate right" and page.locator("#pads .held").count() == 1
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
    mapping = "idle = 0\n[keys]\nleft = 2.0\n[axes]\nmouse-x = { dimension = 0, low = -2, high = 1 }\n"
    (tmp_path / "keys.toml").write_text(mapping)
    recording = record("Pendulum-v1", "--out", "mine.npz", "--keys", "keys.toml", "--time-limit", "60")
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
    assert actions[0] == pytest.approx(-1.25, abs=0.01) and actions[-1] == pytest.approx(1.0, abs=0.01)


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


def test_the_page_says_when_the_program_has_died(chromium, record):
    recording = record("MountainCar-v0")
    page = chromium.new_page()
    page.goto(recording.address)
    page.get_by_text("Episode 1", exact=True).wait_for()
    recording.process.kill()
    page.get_by_text("Connection lost", exact=True).wait_for()
    page.close()


def test_leaving_pauses_and_coming_back_goes_on(chromium, record, tmp_path):
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
    recording.end(signal.SIGINT)


def test_an_address_without_its_token_says_so(chromium, record):
    recording = record("MountainCar-v0")
    page = chromium.new_page()
    address = recording.address.rsplit("/", 2)[0]
    assert page.goto(address).status == 403 and "token" in page.locator("body").inner_text()
    page.close()
    recording.end(signal.SIGINT)
