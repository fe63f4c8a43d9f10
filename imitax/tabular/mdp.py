"""A Markov decision process as explicit arrays.

Shapes: S states, A actions, F features. Pair (s, a) is row s·A + a of the transition matrix, which
is sparse: memory is proportional to the number of possible transitions.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from imitax.errors import ImitaxError

_TOLERANCE = 1e-8  # of sums of probabilities


@dataclass(frozen=True)
class TabularMDP:
    """A finite MDP with discount γ < 1 and expected rewards r(s, a).

    After action a in state s the episode ends with probability `termination[s, a]`, and otherwise
    moves on according to row s·A + a of `transition`: together these probabilities sum to 1.

    Raises:
        ImitaxError: probabilities are negative or do not sum to 1, a number is not finite, a shape
            is wrong, or the discount is outside [0, 1).
    """

    transition: sparse.csr_array | np.ndarray  # [S·A, S]; kept as a sparse one
    reward: np.ndarray  # [S, A]
    initial: np.ndarray  # [S]
    discount: float
    termination: np.ndarray | None = None  # [S, A]; None: episodes never end
    name: str = "MDP"
    features: Float[np.ndarray, "S A F"] | None = None  # φ(s, a), of linear rewards
    grid: tuple[int, int] | None = field(default=None, compare=False)  # rows, columns of cells

    def __post_init__(self):
        reward = np.asarray(self.reward, np.float64)
        if reward.ndim != 2:
            raise ImitaxError(f"Reward of '{self.name}' has shape {reward.shape}: expected [S, A].")
        states, actions = reward.shape
        transition = sparse.csr_array(self.transition, dtype=np.float64)
        never = np.zeros((states, actions))
        ends = never if self.termination is None else np.asarray(self.termination, np.float64)
        initial = np.asarray(self.initial, np.float64)
        for name, array, shape in (
            ("Transition", transition, (states * actions, states)),
            ("Termination", ends, (states, actions)),
            ("Initial distribution", initial, (states,)),
        ):
            if array.shape != shape:
                raise ImitaxError(
                    f"{name} of '{self.name}' has shape {array.shape}: expected {shape}."
                )
        for name, values in (
            ("Transition", transition.data),
            ("Termination", ends),
            ("Initial", initial),
        ):
            if not np.all(np.isfinite(values)) or np.any(values < 0):
                raise ImitaxError(
                    f"{name} probabilities of '{self.name}' must be finite and nonnegative, found "
                    f"{values[~(np.isfinite(values) & (values >= 0))].flat[0]}."
                )
        if not np.all(np.isfinite(reward)):
            raise ImitaxError(f"Rewards of '{self.name}' must be finite.")
        if self.features is not None and self.features.shape[:-1] != reward.shape:
            raise ImitaxError(
                f"Features of '{self.name}' have shape {self.features.shape}: expected "
                f"{reward.shape} and F."
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
            raise ImitaxError(
                f"Discount of '{self.name}' is {self.discount}: expected at least 0, below 1."
            )
        checked = {
            "transition": transition,
            "reward": reward,
            "initial": initial,
            "termination": ends,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def states(self) -> int:
        """S, the number of states."""
        return self.reward.shape[0]

    @property
    def actions(self) -> int:
        """A, the number of actions."""
        return self.reward.shape[1]

    def reachable(self) -> Bool[np.ndarray, "S"]:
        """Whether any policy can reach each state."""
        step = self.follow(np.full(self.reward.shape, 1.0 / self.actions)).T.tocsr()
        reached = self.initial > 0
        while True:
            more = reached | (step @ reached.astype(float) > 0)
            if (more == reached).all():
                return reached
            reached = more

    def follow(self, policy: Float[np.ndarray, "S A"]) -> sparse.csr_array:
        """P_π [S, S], transitions between states under `policy`; a row sums to 1 − P(end)."""
        rows = np.repeat(np.arange(self.states), self.actions)
        columns = np.arange(self.states * self.actions)
        weights = sparse.csr_array(
            (policy.reshape(-1), (rows, columns)), shape=(self.states, len(columns))
        )
        return sparse.csr_array(weights @ self.transition)
