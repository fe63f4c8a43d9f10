"""A Markov decision process as explicit arrays.

Shapes: S states, A actions. A pair (s, a) is row s·A + a of the transition matrix, which is sparse, so memory
is proportional to the number of transitions that can happen.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from imitax.errors import ImitaxError

_TOLERANCE = 1e-8  # of probabilities that should sum to 1


@dataclass(frozen=True)
class TabularMDP:
    """States, actions, and what follows them; the discount γ is below 1.

    An episode ends with probability `termination[s, a]` after action a in state s, and goes on according to
    row s·A + a of `transition` otherwise: the two sum to 1. The reward of a pair is an expectation.

    Raises:
        ImitaxError: probabilities are negative or do not sum to 1, a number is not finite, a shape does
            not fit, or the discount is outside [0, 1).
    """

    transition: sparse.csr_array | np.ndarray  # [S·A, S]; kept as a sparse one
    reward: np.ndarray  # [S, A]
    initial: np.ndarray  # [S]
    discount: float
    termination: np.ndarray | None = None  # [S, A]; None: episodes never end
    name: str = "MDP"
    features: np.ndarray | None = None  # φ(s, a) [S, A, F], what linear and neural rewards are made of
    grid: tuple[int, int] | None = field(default=None, compare=False)  # rows, columns; where states are cells

    def __post_init__(self):
        reward = np.asarray(self.reward, np.float64)
        if reward.ndim != 2:
            raise ImitaxError(f"Reward of '{self.name}' has shape {reward.shape}: expected [S, A].")
        states, actions = reward.shape
        transition = sparse.csr_array(self.transition, dtype=np.float64)
        ends = (
            np.zeros((states, actions)) if self.termination is None else np.asarray(self.termination, float)
        )
        initial = np.asarray(self.initial, np.float64)
        for name, array, shape in (
            ("Transition", transition, (states * actions, states)),
            ("Termination", ends, (states, actions)),
            ("Initial distribution", initial, (states,)),
        ):
            if array.shape != shape:
                raise ImitaxError(f"{name} of '{self.name}' has shape {array.shape}: expected {shape}.")
        for name, values in (("Transition", transition.data), ("Termination", ends), ("Initial", initial)):
            if not np.all(np.isfinite(values)) or np.any(values < 0):
                raise ImitaxError(
                    f"{name} probabilities of '{self.name}' must be finite and not negative, found "
                    f"{values[~(np.isfinite(values) & (values >= 0))].flat[0]}."
                )
        if not np.all(np.isfinite(reward)):
            raise ImitaxError(f"Rewards of '{self.name}' must be finite.")
        if self.features is not None and self.features.shape[:-1] != reward.shape:
            raise ImitaxError(
                f"Features of '{self.name}' have shape {self.features.shape}: expected {reward.shape} and F."
            )
        total = transition.sum(axis=1) + ends.reshape(-1)
        if np.any(bad := abs(total - 1) > _TOLERANCE):
            row = int(np.argmax(bad))
            raise ImitaxError(
                f"Transition and termination probabilities of state {row // actions}, action "
                f"{row % actions} of '{self.name}' sum to {total[row]:.6g}: expected 1."
            )
        if abs(initial.sum() - 1) > _TOLERANCE:
            raise ImitaxError(
                f"Initial distribution of '{self.name}' sums to {initial.sum():.6g}: expected 1."
            )
        if not 0 <= self.discount < 1:
            raise ImitaxError(f"Discount of '{self.name}' is {self.discount}: expected at least 0, below 1.")
        checked = {"transition": transition, "reward": reward, "initial": initial, "termination": ends}
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def states(self) -> int:
        """S."""
        return self.reward.shape[0]

    @property
    def actions(self) -> int:
        """A."""
        return self.reward.shape[1]

    def reachable(self) -> Bool[np.ndarray, "S"]:
        """Which states some policy can reach."""
        onward = self.follow(np.full(self.reward.shape, 1.0 / self.actions)).T.tocsr()
        seen = self.initial > 0
        while True:
            more = seen | (onward @ seen.astype(float) > 0)
            if (more == seen).all():
                return seen
            seen = more

    def follow(self, policy: Float[np.ndarray, "S A"]) -> sparse.csr_array:
        """The matrix [S, S] of moves between states under `policy`; less than 1 in a row where it may end."""
        rows = np.repeat(np.arange(self.states), self.actions)
        columns = np.arange(self.states * self.actions)
        weights = sparse.csr_array((policy.reshape(-1), (rows, columns)), shape=(self.states, len(columns)))
        return sparse.csr_array(weights @ self.transition)
