"""Demonstrations of a tabular MDP: which states they are in, and the occupancy measure that they show."""

import numpy as np
from jaxtyping import Float, Int

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP


def states_of(mdp: TabularMDP, demonstrations: Demonstrations) -> Int[np.ndarray, "N"]:
    """The state of each demonstrated pair; observations are one-hot, or the number of the state.

    Raises:
        ImitaxError: an observation is no state, an action is none of the MDP's, or the demonstrated state can
            not be reached from the initial ones.
    """
    obs, actions = demonstrations.observations, demonstrations.require_actions("An exact method")
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
    reachable = mdp.reachable()
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
