"""A session: when it steps, what an episode holds, and which episodes are kept."""

import itertools

import numpy as np
import pytest

from imitax.errors import ImitaxError


def test_it_begins_with_the_first_key(played):
    p = played()
    assert p.session.view()[:5] == ("paused", 1, 0, 0.0, 0)
    p.tick(5)
    assert p.game.taken == [] and p.session.wait(p.now) is None
    p.session.press("left")
    assert p.session.view().phase == "playing" and p.session.wait(p.now) == 0.0
    p.tick()
    assert p.game.taken == [0] and p.session.view().action == "go left"


def test_held_keys_act_and_idle_fills_the_gaps(played, counter):
    p = played(game=counter(length=6))
    p.session.press("right")
    p.tick(2)
    p.session.release("right")
    p.tick()
    p.session.press("right")
    p.session.press("left")
    p.tick()
    p.session.release("left")
    p.tick()
    assert p.game.taken == [2, 2, 1, 0, 2]


def test_a_tap_between_two_steps_counts_for_one(played, counter):
    p = played(game=counter(length=9))
    p.session.command("pause")
    p.tick()
    p.session.press("left")
    p.session.release("left")
    assert p.session.held == ["left"]
    p.tick(2)
    assert p.game.taken == [1, 0, 1] and p.session.held == []


def test_without_an_idle_action_it_waits_for_a_key(played, waiting, counter):
    p = played(waiting, counter(length=9))
    p.session.command("pause")
    p.tick(5)
    assert (
        p.game.taken == [] and p.session.view().phase == "playing" and p.session.wait(p.now) is None
    )
    p.session.press("right")
    p.session.advance(p.now)  # at once, and not again before a period has gone by
    p.session.advance(p.now + 0.09)
    assert p.game.taken == [2]
    p.session.advance(p.now + 0.1001)
    assert p.game.taken == [2, 2]
    p.session.release("right")
    p.tick(5)
    assert p.game.taken == [2, 2]


def test_the_pace_is_kept_where_the_clock_is_looked_at_late(played, counter):
    p = played(game=counter(length=1000))
    p.session.press("right")
    rng = np.random.default_rng(0)
    start = p.now
    for gap in rng.uniform(0.0, 0.02, size=1000):
        p.now += gap
        p.session.advance(p.now)
    assert len(p.game.taken) == pytest.approx(10 * (p.now - start), abs=2)
    # After a long gap it does not hurry to catch up.
    before = len(p.game.taken)
    for _ in range(10):
        p.session.advance(p.now + 60)
    assert len(p.game.taken) == before + 1


def test_pace_is_adjusted(played):
    p = played()
    paces = []
    for name in ("faster", "faster", "slower", "slower", "slower"):
        p.session.command(name)
        paces.append(p.session.view().fps)
    assert paces == [12, 15, 12, 10, 8]
    for name, last in (("faster", 240), ("slower", 0.5)):
        for _ in range(40):
            p.session.command(name)
        assert p.session.view().fps == last
    odd = played(fps=13.0)
    odd.session.press("-")
    assert odd.session.view().fps == 12
    p.session.press("right")
    p.session.advance(p.now)
    p.session.advance(p.now + 1.9)
    assert p.game.taken == [2]


def test_an_episode_holds_what_was_seen_before_each_action(played):
    p = played()
    p.session.press("right")
    p.tick()
    p.session.release("right")
    p.tick(2)
    view = p.session.view()
    assert (
        view.phase == "deciding"
        and view.ended == "terminated"
        and (view.steps, view.total) == (3, 4.0)
    )
    p.tick(5)  # waits for the player
    assert p.game.taken == [2, 1, 1]
    p.session.command("keep")
    (episode,) = p.kept
    np.testing.assert_array_equal(episode.observations, [[1, 0, -1], [1, 1, 2], [1, 2, 1]])
    np.testing.assert_array_equal(episode.actions, [2, 1, 1])
    assert episode.actions.dtype == np.int64 and episode.observations.dtype == np.float32
    assert episode.total == 4.0 and episode.terminated is True
    assert p.session.view()[:5] == ("paused", 2, 0, 0.0, 1)
    p.play_episode()
    assert p.session.view().ended == "time limit"  # its seed is 2
    p.session.press("enter")
    assert p.kept[1].terminated is False and p.kept[1].observations[0].tolist() == [2, 0, -1]


def test_box_actions_are_rows(played, plane, counter):
    p = played(plane, counter(length=2, space=plane.space))
    p.session.press("left")
    p.tick()
    p.session.release("left")
    p.session.move("mouse-x", 3.0)  # clipped
    p.session.move("gamepad-1", 1.0)
    p.session.move("gamepad-1", None)
    p.session.move("gamepad-5", 1.0)
    p.tick()
    p.session.command("keep")
    np.testing.assert_array_equal(p.kept[0].actions, [[-1.0, 5.0], [1.0, 5.0]])
    assert p.kept[0].actions.dtype == np.float32


def test_discarding(played):
    p = played()
    p.play_episode()
    p.session.press("backspace")
    assert p.session.view()[:5] == ("paused", 2, 0, 0.0, 0) and p.kept == []
    p.session.command("discard")  # nothing has been played yet
    assert p.session.view().episode == 2
    p.session.press("right")
    p.tick()
    p.session.command("discard")  # giving up in the middle
    assert p.session.view()[:3] == ("paused", 3, 0)
    p.session.command("keep")
    assert p.session.view().episode == 3 and p.kept == []


def test_an_episode_is_stored_before_the_next_one_starts(played):
    log = []
    p = played(keep=lambda episode: log.append(("kept", p.session.view().episode)))
    p.game._on_start = lambda: log.append(("started",))
    p.play_episode()
    p.session.command("keep")
    assert log == [("kept", 1), ("started",)] and len(p.session.kept) == 1


@pytest.mark.parametrize(
    "error", [ImitaxError("'x' cannot be written: full."), OSError(28, "full")]
)
def test_what_cannot_be_stored_is_not_lost(played, error):
    kept, broken = [], True

    def keep(episode):
        if broken:
            raise error
        kept.append(episode)

    p = played(keep=keep)
    p.play_episode()
    p.session.command("keep")
    view = p.session.view()
    assert view.phase == "deciding" and view.kept == 0 and view.notice.startswith("Not kept: ")
    assert "full" in view.notice
    broken = False
    p.session.command("keep")
    assert len(kept) == p.session.view().kept == 1 and p.session.view().notice == ""


def test_it_ends_after_the_wanted_number(played):
    p = played(episodes=2, seeds=itertools.count(1))
    for _ in range(2):
        p.play_episode()
        p.session.command("keep")
    assert p.session.over and p.session.view().phase == "over" and len(p.kept) == 2
    p.session.press("right")
    p.tick(3)
    assert len(p.game.taken) == 6


def test_finishing_asks_where_something_would_be_lost(played):
    p = played()
    p.session.press("right")
    p.tick()
    p.session.press("escape")
    assert p.session.view().phase == "paused" and "finish again" in p.session.view().notice
    p.session.press("right")
    assert p.session.view().notice == ""
    p.play_episode()
    p.session.press("escape")
    assert p.session.view().phase == "deciding" and "Keep or discard" in p.session.view().notice
    p.session.press("enter")
    p.session.press("escape")
    assert p.session.over and len(p.kept) == 1


def test_stopping_ends_it_at_once_and_cuts_nothing_short(played):
    p = played()
    p.play_episode()
    p.session._keep = lambda episode: (p.session.stop(), p.kept.append(episode))
    p.session.command("keep")  # a signal arrives while the episode is stored
    assert p.session.over and len(p.session.kept) == len(p.kept) == 1
    assert p.session.wait(p.now) is None and p.session.view().phase == "over"


def test_pausing_and_leaving(played, counter):
    p = played(game=counter(length=50))
    p.session.press("right")
    p.tick(2)
    p.session.press("p")
    p.tick(3)
    assert len(p.game.taken) == 2
    p.session.press("p")
    p.tick()
    assert p.game.taken == [2, 2, 2]  # still held
    p.session.release_all()
    assert p.session.view().phase == "paused" and p.session.held == []
    p.session.press("p")
    p.tick()
    assert p.game.taken[-1] == 1


def test_keys_do_not_reach_from_one_episode_into_the_next(played):
    p = played()
    p.play_episode()
    p.session.press("left")  # tapped while deciding
    p.session.release("left")
    p.session.press("right")  # and this one stays down
    p.session.command("keep")
    assert p.session.view().phase == "paused" and p.session.held == ["right"]
    p.tick(3)
    assert len(p.game.taken) == 3
    p.session.command("pause")
    p.tick()
    assert p.game.taken[3:] == [2]


def test_unknown_keys_and_commands_do_nothing(played):
    p = played()
    for name in ("q", "F5", ""):
        p.session.press(name)
        p.session.release(name)
    p.session.command("nonsense")
    assert p.session.view().phase == "paused" and p.session.held == []


def test_changes_tell_when_to_draw(played):
    p = played()
    changes, pictures = p.session.changes, p.session.pictures
    p.tick(3)
    assert (p.session.changes, p.session.pictures) == (changes, pictures)
    p.session.press("right")
    assert p.session.changes > changes and p.session.pictures == pictures
    p.tick()
    assert p.session.pictures == pictures + 1
