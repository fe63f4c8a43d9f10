"""The window, without a screen: events go in, a picture comes out."""

import pytest

from imitax.errors import ImitaxError
from imitax.recording import window

pygame = pytest.importorskip("pygame")


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    """SDL draws nowhere."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


def send(kind, **values):
    pygame.event.post(pygame.event.Event(kind, **values))


def press(key):
    send(pygame.KEYDOWN, key=key)


def test_an_episode_is_played_and_kept_by_events(played, counter):
    game = counter(length=5)
    p = played(game=game, episodes=2, fps=200.0)

    def start():
        press(pygame.K_RIGHT)

    def end():
        send(pygame.KEYUP, key=pygame.K_RIGHT)
        press(pygame.K_RETURN)
        if not p.kept:
            start()

    game._on_end = end
    _after_opening(p.session, start)
    window.play(p.session)
    assert p.session.over and len(p.kept) == 2
    assert [episode.total for episode in p.kept] == [10.0, 10.0] and game.taken == [2] * 10
    assert not pygame.display.get_init()


def _after_opening(session, act):
    """Calls `act` when the window first asks for a step: events sent before it opens would be
    lost.
    """
    advance = session.advance

    def first(now):
        session.advance = advance
        act()

    session.advance = first


def test_closing_the_window_ends_the_session(played):
    p = played()
    _after_opening(p.session, lambda: send(pygame.QUIT))
    window.play(p.session)
    assert p.session.over and p.kept == []


def test_events_reach_the_session(played, plane, counter):
    p = played(plane, counter(length=50, space=plane.space))
    pygame.display.init()
    w = window.Window(pygame, p.session)
    try:

        def handle(kind, **values):
            w.handle(pygame.event.Event(kind, **values))

        handle(pygame.KEYDOWN, key=pygame.K_UP)
        p.tick()
        handle(pygame.KEYUP, key=pygame.K_UP)
        place = w._place()
        handle(pygame.MOUSEMOTION, pos=(place.left + place.width * 3 // 4, place.centery))
        p.tick()
        handle(pygame.WINDOWLEAVE)
        handle(pygame.JOYAXISMOTION, axis=1, value=-1.0)
        p.tick()
        handle(pygame.JOYDEVICEREMOVED, instance_id=0)
        assert p.session.view().phase == "paused"
        handle(pygame.KEYDOWN, key=pygame.K_p)
        p.tick()
        handle(pygame.WINDOWFOCUSLOST)
        assert p.session.view().phase == "paused"
        assert p.game.taken[0] == (0.0, 9.0) and p.game.taken[1][0] == pytest.approx(0.5, abs=0.01)
        assert p.game.taken[2:] == [(0.0, 10.0), (0.0, 5.0)]
        handle(pygame.KEYDOWN, key=pygame.K_EQUALS)
        assert p.session.view().fps == 12
        handle(pygame.JOYBUTTONDOWN, button=3)  # means nothing here
        handle(pygame.JOYBUTTONUP, button=3)
    finally:
        pygame.quit()


def test_the_window_shows_the_picture_and_the_words(played):
    p = played()
    pygame.display.init()
    w = window.Window(pygame, p.session)
    try:
        looks = []
        p.session.command("pause")
        for _ in range(4):
            w.draw()
            looks.append(pygame.image.tobytes(w.screen, "RGB"))
            p.tick()
        place = w._place()
        assert (
            place.size == (60 * place.height // 40, place.height)
            and place.width <= w.screen.get_width()
        )
        assert len(set(looks)) == 4  # every step looks different
        # the picture's first column
        assert w.screen.get_at((place.left, place.top))[:3] == (30, 30, 30)
        assert w.screen.get_at((place.right - 2, place.bottom - 2))[:3] == (200, 200, 200)
        pygame.display.set_mode((900, 700), pygame.RESIZABLE)
        w.handle(pygame.event.Event(pygame.WINDOWSIZECHANGED))
        assert w._place().height > place.height
    finally:
        pygame.quit()


@pytest.mark.parametrize(
    "name, ours",
    [
        ("return", "enter"),
        ("[1]", "1"),
        ("[+]", "+"),
        ("=", "+"),
        ("[-]", "-"),
        ("a", "a"),
        ("left", "left"),
    ],
)
def test_key_names(name, ours):
    assert window.key_name(name) == ours


def test_words(played):
    p = played()
    assert window._words(p.session.view())[0] == "Episode 1"
    p.play_episode()
    title, how, keys = window._words(p.session.view())
    assert title == "Return 6 in 3 steps" and how == "The task ended the episode."
    assert "Enter" in keys and "Backspace" in keys
    p.session.press("escape")
    assert window._words(p.session.view())[3] == "Keep or discard this episode first."


def test_without_a_display_the_error_names_the_browser(monkeypatch):
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ImitaxError, match=r"no display.*--browser"):
        window.check()
    monkeypatch.setenv("DISPLAY", ":0")
    window.check()
