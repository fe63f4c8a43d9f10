"""The environment behind a session: observations as in training, a picture of every state."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from imitax.envs import host, native
from imitax.errors import ImitaxError
from imitax.recording.game import Game
from imitax.recording.mapping import default_mapping


class Lamp(gymnasium.Env):
    """Observes how often it was switched; terminates after three times; its picture is that
    bright.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012
    observation_space = spaces.Box(0.0, 10.0, (1,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (2, 1), np.float32)

    def __init__(self, render_mode=None, picture="rgb"):
        self.render_mode, self._kind = render_mode, picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._count = 0
        return np.zeros(1), {}

    def step(self, action):
        assert action.shape == (2, 1) and action.dtype == np.float32
        self._count += 1
        return np.full(1, self._count / 3), float(action.sum()), self._count == 3, False, {}

    def render(self):
        shape = (2, 4) if self._kind == "grey" else (2, 4, 3)
        return np.full(shape, 10 * self._count, np.uint8)


class Dark(Lamp):
    """Offers no pictures."""

    metadata = {"render_modes": ["human"], "render_fps": 12}  # noqa: RUF012


@pytest.fixture
def registered(monkeypatch):
    """Registers an environment by id, for one test."""

    def register(name, entry_point, **options):
        monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
        monkeypatch.setattr(gymnasium, "registry", gymnasium.envs.registration.registry)
        gymnasium.register(name, entry_point=entry_point, **options)

    return register


@pytest.mark.parametrize("env_id", native.IDS)
def test_observations_are_those_of_training(env_id):
    game = Game(env_id, 5)
    keymap = default_mapping(game.spec)
    batch = host.make(env_id, 5).open(1)
    assert game.spec == host.make(env_id, 5).spec and game.fps >= 15
    np.testing.assert_array_equal(game.reset(7), batch.reset([7])[0])
    pictures = [game.picture]
    for step in range(5):
        action = keymap.action([("left", "right")[step % 2]], {})
        answer = game.step(action)
        number = np.int64 if isinstance(action, int) else np.float32
        theirs = batch.step(np.array([action], number))
        np.testing.assert_array_equal(answer[0], theirs.next_obs[0])
        assert answer[1:] == (theirs.reward[0], theirs.terminated[0], theirs.truncated[0])
        pictures.append(game.picture)
    assert answer[3] is True and answer[2] is False  # the time limit
    assert pictures[0].dtype == np.uint8 and pictures[0].ndim == 3
    assert len({picture.tobytes() for picture in pictures}) > 3
    batch.close()
    game.close()


def test_the_last_picture_is_of_the_end_not_of_the_next_start(registered):
    registered("Lamp-v0", Lamp, max_episode_steps=9)
    game = Game("Lamp-v0")
    assert game.fps == 12.0
    for _ in range(2):
        first = game.reset(1)
        kept = first.copy()
        looks = [int(game.picture[0, 0, 0])]
        for _ in range(3):
            obs, reward, terminated, truncated = game.step((0.25, 0.5))
            looks.append(int(game.picture[0, 0, 0]))
        assert (
            looks == [0, 10, 20, 30] and reward == 0.75 and (terminated, truncated) == (True, False)
        )
        assert obs.tolist() == [1.0] and obs.dtype == np.float32
        np.testing.assert_array_equal(first, kept)
    game.close()


@pytest.mark.filterwarnings("ignore:.*three axes")  # Gymnasium sees it too
@pytest.mark.parametrize(
    "name, entry, options, message",
    [
        (
            "Dark-v0",
            Dark,
            {},
            "Environment 'Dark-v0' cannot be rendered: it offers human, expected rgb_array",
        ),
        (
            "Grey-v0",
            Lamp,
            {"kwargs": {"picture": "grey"}},
            "renders ndarray [2, 4]: expected pictures [H, W, 3]",
        ),
    ],
)
def test_environments_that_cannot_be_rendered_are_refused(
    registered, name, entry, options, message
):
    registered(name, entry, max_episode_steps=9, **options)
    with pytest.raises(ImitaxError) as error:
        Game(name)
    assert message in str(error.value)


@pytest.mark.parametrize("env_id, key", [("FrozenLake-v1", "right"), ("Taxi-v4", "up")])
def test_toy_texts_are_played_where_their_observations_are_supported(env_id, key):
    try:
        game = Game(env_id)
    except ImitaxError as error:
        pytest.skip(str(error))
    first = game.reset(0)
    obs, *_ = game.step(default_mapping(game.spec).action([key], {}))
    assert obs.shape == first.shape == game.spec.observation.shape and game.picture.ndim == 3
    game.close()


def test_environments_that_cannot_be_trained_on_are_refused():
    for name, message in (
        ("Cartpole-v1", "did you mean CartPole-v1"),
        ("Blackjack-v1", "Blackjack-v1"),
    ):
        with pytest.raises(ImitaxError, match=message):
            Game(name)
