"""Demonstrations of a tabular MDP: their states and their empirical occupancy measure."""

import numpy as np
from jaxtyping import Float, Int

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP


def states_of(mdp: TabularMDP, demonstrations: Demonstrations) -> Int[np.ndarray, "N"]:
    """The states of N demonstrated pairs; observations are one-hot [N, S] or numbers [N, 1].

    Raises:
        ImitaxError: an observation is not a state of the MDP, an action is not one of its actions,
            or a demonstrated state cannot be reached from the initial ones.
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
            f"Demonstrated observations have size {obs.shape[1]}: expected size {mdp.states} "
            f"(one-hot) or 1 (the number of the state) for '{mdp.name}'."
        )
    if not valid.all():
        raise ImitaxError(
            f"Demonstrated pair {int(np.argmin(valid))} is not in a state of '{mdp.name}': "
            f"expected one of its {mdp.states} states."
        )
    if actions.ndim != 1 or (actions >= mdp.actions).any():
        raise ImitaxError(
            f"Demonstrated actions must be numbers below {mdp.actions}, those of '{mdp.name}'."
        )
    reachable = mdp.reachable()
    if not reachable[states].all():
        pair = int(np.argmin(reachable[states]))
        raise ImitaxError(
            f"Demonstrated pair {pair} is in state {states[pair]}, which '{mdp.name}' cannot reach "
            "from its initial states."
        )
    return states


def empirical_occupancy(
    mdp: TabularMDP, demonstrations: Demonstrations
) -> Float[np.ndarray, "S A"]:
    """The mean over episodes of Σ_t γ^t 1[s_t = s, a_t = a].

    Raises:
        ImitaxError: as `states_of`, or the demonstrations were subsampled, so the time of a pair
            is unknown.
    """
    if np.any(demonstrations.lengths != demonstrations.episode_steps):
        raise ImitaxError(
            "Exact methods need complete episodes, but these demonstrations were subsampled."
        )
    states = states_of(mdp, demonstrations)
    time = np.arange(demonstrations.pairs) - np.repeat(
        demonstrations.starts, demonstrations.lengths
    )
    rho = np.zeros((mdp.states, mdp.actions))
    np.add.at(rho, (states, demonstrations.actions), mdp.discount**time / len(demonstrations))
    return rho
