"""Moving pictures: from observations, from policies, and what happens where there are none."""

import base64
import io

import gymnasium
import numpy as np
import pytest
from PIL import Image

from imitax.rendering import watch
from imitax.report import animation
from imitax.report.animation import Reel, films_of
from imitax.runs.read import read_runs
from imitax.runs.samples import load_samples, save_samples


@pytest.fixture(autouse=True)
def headless(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


@pytest.mark.parametrize("env_id", watch.STATES)
def test_an_observation_tells_the_state(env_id):
    with watch.opened(env_id, None) as env:
        env.action_space.seed(0)

        def act(obs):
            action = env.action_space.sample()
            return int(action) if np.ndim(action) == 0 else action

        observations, states, frames = [], [], []
        for steps, _ in watch.play(env, act, seed=3):
            states.append(np.array(env.unwrapped.state, np.float64))
            frames.append(env.render())
            if steps == 15:
                break
        angles = {"Acrobot-v1": 2, "Pendulum-v1": 1}.get(env_id, 0)
        for state in states:
            observations.append(observation(env_id, state))
        for step in watch.replay(env, np.array(observations, np.float32)):
            drawn_state = np.array(env.unwrapped.state, np.float64)
            off = drawn_state - states[step]
            off[:angles] = np.angle(np.exp(1j * off[:angles]))  # whole turns do not show
            np.testing.assert_allclose(off, 0.0, atol=1e-5)
            if env_id != "Pendulum-v1":  # which also draws the torque, that no observation tells
                differ = np.abs(env.render().astype(int) - frames[step]).max(axis=2) > 64
                assert differ.mean() < 1e-3  # a pixel at an edge, from rounding to float32


def observation(env_id, state):
    """What the environment shows of a state."""
    if env_id == "Acrobot-v1":
        a, b, *velocities = state
        return [np.cos(a), np.sin(a), np.cos(b), np.sin(b), *velocities]
    if env_id == "Pendulum-v1":
        return [np.cos(state[0]), np.sin(state[0]), state[1]]
    return state


@pytest.mark.parametrize("steps, every", [(5, 1), (10, 1), (11, 2), (39, 4), (100, 16)])
def test_a_reel_keeps_evenly_spaced_frames(monkeypatch, steps, every):
    monkeypatch.setattr(animation, "MAX_FRAMES", 10)
    monkeypatch.setattr(animation, "_small", lambda frame: frame)
    reel = Reel()
    for step in range(steps):
        reel.add(step, lambda step=step: step)
    assert reel.every == every and reel.steps == steps - 1
    assert reel.frames == list(range(0, steps, every)) and len(reel.frames) <= 10


def frames_of(film, size):
    """Frames [N, H, W, 3] of a film, cut out as the page's script does it."""
    width, height, columns = size
    sheet = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(film["source"].split(",")[1]))).convert("RGB")
    )
    spots = [divmod(i, columns) for i in range(film["frames"])]
    return np.stack(
        [sheet[r * height : (r + 1) * height, c * width : (c + 1) * width] for r, c in spots]
    )


def test_expert_and_policies_are_filmed(four_runs):
    films = films_of(read_runs(four_runs))
    assert films["notes"] == [] and films["size"] == [300, 200, 10] and films["fps"] == 50
    expert, policies = films["expert"], films["runs"]
    assert expert["steps"] == 29 and expert["return"] is None  # 30 observations
    assert len(policies) == 4 and all(film["return"] == film["steps"] > 5 for film in policies)
    for film in (expert, *policies):
        frames = frames_of(film, films["size"])
        assert film["frames"] == film["steps"] // film["every"] + 1
        assert (frames[0] != frames[-1]).any() and frames.std() > 5
    # Every policy begins where the expert began.
    firsts = [frames_of(film, films["size"])[0] for film in (expert, *policies)]
    assert all((first == firsts[0]).all() for first in firsts)


def test_an_unknown_environment_leaves_out_the_expert(make_run):
    entry = gymnasium.spec("CartPole-v1").entry_point
    gymnasium.register("ImitaxCart-v0", entry, max_episode_steps=40)
    try:
        films = films_of(read_runs([make_run(env="ImitaxCart-v0", seeds=1)]))
    finally:
        del gymnasium.registry["ImitaxCart-v0"]
    assert films["expert"] is None and films["runs"][0]["frames"] > 1
    (note,) = films["notes"]
    assert (
        note
        == "The expert is not shown: drawing ImitaxCart-v0 from its observations is not supported."
    )


def test_no_demonstrated_episode_leaves_out_the_expert(make_run):
    path = make_run(method="rl", seeds=1, demonstrations=False)
    (note,) = films_of(read_runs([path]))["notes"]
    assert note == "The expert is not shown: no run kept a complete demonstrated episode."
    visits = load_samples(path / "visits.npz")
    save_samples(visits._replace(episode=np.zeros((20, 4), np.float32)), path / "visits.npz")
    assert films_of(read_runs([path]))["notes"] == []


def test_a_policy_that_cannot_be_read_is_left_out(four_runs):
    (four_runs[0] / "policy.safetensors").write_text("nonsense")
    films = films_of(read_runs(four_runs[:2]))
    assert films["runs"][0] is None and films["runs"][1]["frames"] > 1
    assert films["notes"][0].startswith(f"The policy of '{four_runs[0]}' is not shown: Policy file")


def test_only_the_first_policies_are_shown(four_runs, monkeypatch):
    monkeypatch.setattr(animation, "MAX_POLICIES", 2)
    films = films_of(read_runs(four_runs))
    assert films["runs"][2:] == [None, None] and films["notes"] == [
        "Only the first 2 policies are shown."
    ]


def test_without_a_renderer_there_is_a_sentence(make_run, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no display,\nno renderer")

    runs = read_runs([make_run(seeds=1)])
    monkeypatch.setattr(animation, "opened", broken)
    assert films_of(runs) == {"notes": ["There is no animation: no display, no renderer."]}
    unknown = read_runs([make_run("other", env="Nowhere-v0", seeds=1)])
    monkeypatch.undo()
    (note,) = films_of(unknown)["notes"]
    assert "Nowhere-v0" in note and note.startswith(
        "There is no animation: Environment 'Nowhere-v0'"
    )


def test_photographs_are_compressed_with_loss(monkeypatch, rng):
    reel = Reel()
    for step in range(2):
        reel.add(step, lambda: rng.integers(256, size=(200, 300, 3), dtype=np.uint8))
    plain = animation._pack(reel)
    assert len(plain["source"]) > 300_000
    monkeypatch.setattr(animation, "MAX_LOSSLESS", 100_000)
    assert len(animation._pack(reel)["source"]) < len(plain["source"])
