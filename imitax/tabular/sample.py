"""From exact quantities to episodes and back: an MDP as an environment, demonstrations as an occupancy."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP


def environment(mdp: TabularMDP, time_limit: int) -> Callable:
    """A function that makes a Gymnasium environment of `mdp`, for `imitax.make`; observations are states."""
    import gymnasium

    cumulative = np.cumsum(mdp.transition.toarray(), axis=1).reshape(mdp.states, mdp.actions, mdp.states)

    class Tabular(gymnasium.Env):
        observation_space = gymnasium.spaces.Discrete(mdp.states)
        action_space = gymnasium.spaces.Discrete(mdp.actions)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.state = int(self.np_random.choice(mdp.states, p=mdp.initial))
            return self.state, {}

        def step(self, action):
            chances = cumulative[self.state, action]
            reward = float(mdp.reward[self.state, action])
            following = int(np.searchsorted(chances, self.np_random.random(), side="right"))
            ended = following == mdp.states or chances[-1] == 0.0  # beyond the row's sum it terminates
            if not ended:
                self.state = following
            return self.state, reward, ended, False, {}

    return lambda: gymnasium.wrappers.TimeLimit(Tabular(), time_limit)


def states_of(mdp: TabularMDP, demonstrations: Demonstrations) -> Int[np.ndarray, "N"]:
    """The state of each demonstrated pair; observations are one-hot, or the number of the state.

    Raises:
        ImitaxError: an observation is no state, an action is none of the MDP's, or the demonstrated state can
            not be reached from the initial ones.
    """
    obs, actions = demonstrations.observations, demonstrations.actions
    if obs.shape[1] == 1:
        states = obs[:, 0].astype(int)
        valid = (states == obs[:, 0]) & (states >= 0) & (states < mdp.states)
    elif obs.shape[1] == mdp.states:
        states = obs.argmax(axis=1)
        valid = (obs.max(axis=1) == 1) & (abs(obs).sum(axis=1) == 1)
    else:
        raise ImitaxError(
            f"Observations of '{mdp.name}' are one-hot of size {mdp.states}, or a state's number: found "
            f"size {obs.shape[1]}."
        )
    if not valid.all():
        raise ImitaxError(
            f"Demonstrated pair {int(np.argmin(valid))} holds no state of '{mdp.name}', which has "
            f"{mdp.states}."
        )
    if actions.ndim != 1 or (actions >= mdp.actions).any():
        raise ImitaxError(f"Demonstrated actions must be numbers below {mdp.actions}, those of '{mdp.name}'.")
    reachable = _reachable(mdp)
    if not reachable[states].all():
        pair = int(np.argmin(reachable[states]))
        raise ImitaxError(
            f"Demonstrated pair {pair} is in state {states[pair]}, which '{mdp.name}' can not reach from "
            "where it starts."
        )
    return states


def empirical_occupancy(mdp: TabularMDP, demonstrations: Demonstrations) -> Float[np.ndarray, "S A"]:
    """The mean over episodes of Σ_t γ^t 1[s_t = s, a_t = a].

    Raises:
        ImitaxError: as `states_of`, or the demonstrations were subsampled (a pair's time is unknown then).
    """
    if np.any(demonstrations.lengths != demonstrations.episode_steps):
        raise ImitaxError("Demonstrations for exact methods must be whole episodes: these were subsampled.")
    states = states_of(mdp, demonstrations)
    time = np.arange(demonstrations.pairs) - np.repeat(demonstrations.starts, demonstrations.lengths)
    rho = np.zeros((mdp.states, mdp.actions))
    np.add.at(rho, (states, demonstrations.actions), mdp.discount**time / len(demonstrations))
    return rho


def _reachable(mdp: TabularMDP) -> np.ndarray:
    """Which states [S] some policy can reach."""
    follow = mdp.follow(np.full((mdp.states, mdp.actions), 1.0 / mdp.actions))
    seen = mdp.initial > 0
    while True:
        more = seen | (sparse.csr_array(follow.T) @ seen.astype(float) > 0)
        if (more == seen).all():
            return seen
        seen = more
