"""What an expert did: a checked, immutable container of state-action pairs that keeps episodes apart.

Shapes: N pairs, E episodes, O observation size, A action dimensions.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from imitax.errors import ImitaxError, brief
from imitax.files.arrays import (
    as_array,
    as_integers,
    check_actions,
    check_lengths,
    check_observations,
    check_same_rows,
    first_true,
)
from imitax.types import Discrete, EnvSpec

BOX_TOLERANCE = 1e-5  # of a dimension's range: room for rounding to float32 and for clipping
SPLIT_BLOCKS = 10  # a lone episode is cut into at most so many blocks before it is split


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Pairs of E episodes, one episode after another; equality of content is equality of `fingerprint()`.

    The constructor converts what it is given to the types below (so float64 observations are rounded
    to float32) and checks it. The arrays are then read-only.

    Raises:
        ImitaxError: a field has the wrong shape or kind, a number is not finite, a Discrete action is
            negative, the lengths do not add up to N or exceed `episode_steps`, or there is no pair.
    """

    observations: np.ndarray  # float32 [N, O], raw, as the environment hands them out
    actions: np.ndarray  # int64 [N] (Discrete), or float32 [N, A] (Box) in the environment's units
    lengths: np.ndarray  # int64 [E], pairs stored of each episode
    episode_steps: np.ndarray  # int64 [E], steps the episode took; more than lengths once subsampled
    terminated: np.ndarray  # bool [E]; True: the task ended it; False: the time limit did
    returns: np.ndarray  # float64 [E], undiscounted sum of the true reward; NaN where unknown
    env_id: str = ""  # "" where unknown

    def __post_init__(self):
        observations = check_observations(self.observations)
        pairs = len(observations)
        actions = check_actions(self.actions, pairs)
        lengths = check_lengths(self.lengths, pairs)
        episodes = len(lengths)
        steps = as_integers("episode_steps", self.episode_steps, episodes)
        if (bad := first_true(steps < lengths)) is not None:
            raise ImitaxError(
                f"episode_steps must be at least the stored pairs, but episode {bad} took "
                f"{steps[bad]} steps and stores {lengths[bad]} pairs."
            )
        terminated = as_array("terminated", self.terminated, "b", "booleans", (episodes,)).astype(bool)
        returns = as_array("returns", self.returns, "fiu", "numbers", (episodes,)).astype(np.float64)
        returns = returns + 0.0  # −0 becomes 0: they are equal, but have different bits
        if (bad := first_true(np.isinf(returns))) is not None:
            raise ImitaxError(
                f"returns must be finite, or NaN where unknown, but episode {bad} has {returns[bad]}."
            )
        if not isinstance(self.env_id, str) or not self.env_id.isprintable():
            raise ImitaxError(f"env_id must be printable text, found {brief(self.env_id)}.")
        checked = (observations, actions, lengths, steps, terminated, returns)
        for field, array in zip(fields(self), checked, strict=False):
            array.flags.writeable = False  # all are copies, so the caller's arrays stay as they were
            object.__setattr__(self, field.name, array)

    @classmethod
    def from_episodes(
        cls,
        episodes: Sequence[tuple[Any, Any]],
        *,
        terminated: bool | Sequence | np.ndarray,
        returns: Sequence | np.ndarray | None = None,
        env_id: str = "",
    ) -> "Demonstrations":
        """Joins whole episodes, each a pair (observations [T, O], actions [T] or [T, A]).

        `terminated` says of each episode (or of all) whether the task ended it; `returns` are unknown
        when left out. Where the last action led is no pair and does not belong in here.

        Raises:
            ImitaxError: as the constructor, or when episodes do not fit one another (the episode is named).
        """
        if not len(episodes):
            raise ImitaxError("Demonstrations need at least one episode, found none.")
        observations, actions = [], []
        for index, (episode_obs, episode_actions) in enumerate(episodes):
            try:
                observations.append(check_observations(episode_obs))
                actions.append(check_actions(episode_actions, len(observations[-1])))
            except ImitaxError as error:
                raise ImitaxError(f"In episode {index}: {error}") from error
            for name, arrays in (("observations", observations), ("actions", actions)):
                check_same_rows(name, f"episode {index}", arrays[0], arrays[-1])
        count = len(episodes)
        lengths = np.array([len(array) for array in observations])
        if isinstance(terminated, bool | np.bool_):
            terminated = np.full(count, terminated)
        if returns is None:
            returns = np.full(count, np.nan)
        return cls(
            observations=np.concatenate(observations),
            actions=np.concatenate(actions),
            lengths=lengths,
            episode_steps=lengths,
            terminated=as_array("terminated", terminated, "b", "booleans", (count,)),
            returns=as_array("returns", returns, "fiu", "numbers", (count,)),
            env_id=env_id,
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Demonstrations"]) -> "Demonstrations":
        """All episodes of `parts`, in order; an unknown env_id takes the known one.

        Raises:
            ImitaxError: no parts, or parts of different environments, observation sizes or action kinds.
        """
        if not len(parts):
            raise ImitaxError("Demonstrations to concatenate must be at least one, found none.")
        names = sorted({part.env_id for part in parts} - {""})
        if len(names) > 1:
            found = " and ".join(names)
            raise ImitaxError(f"Demonstrations to concatenate must be of one environment, found {found}.")
        for index, part in enumerate(parts):
            for name in ("observations", "actions"):
                check_same_rows(name, f"part {index}", getattr(parts[0], name), getattr(part, name))
        arrays = [field.name for field in fields(cls) if field.name != "env_id"]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
        return cls(**joined, env_id=names[0] if names else "")

    def __len__(self) -> int:
        """The number of episodes."""
        return len(self.lengths)

    @property
    def pairs(self) -> int:
        """N, the number of stored pairs."""
        return len(self.observations)

    @property
    def starts(self) -> Int64[np.ndarray, "E"]:
        """Index of each episode's first pair."""
        return np.cumsum(self.lengths) - self.lengths

    def episodes(self) -> Iterator[slice]:
        """The pairs of each episode, as slices of `observations` and `actions`."""
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield slice(int(start), int(start + length))

    def choose(self, k: int, rng: np.random.Generator | None = None) -> "Demonstrations":
        """K whole episodes in their original order: at random without replacement, or the first ones.

        Raises:
            ImitaxError: `k` is below 1 or more than there are.
        """
        if not 1 <= k <= len(self):
            raise ImitaxError(f"Asked to choose {k} trajectories, but these demonstrations hold {len(self)}.")
        chosen = np.arange(k) if rng is None else np.sort(rng.choice(len(self), k, replace=False))
        return self._select(chosen)

    def last(self, k: int) -> "Demonstrations":
        """The last K whole episodes: those that `choose(len(self) - k)` leaves; `ImitaxError` as there."""
        if not 1 <= k <= len(self):
            raise ImitaxError(
                f"Asked for the last {k} trajectories, but these demonstrations hold {len(self)}."
            )
        return self._select(np.arange(len(self) - k, len(self)))

    def subsample(self, every: int, rng: np.random.Generator) -> "Demonstrations":
        """Every `every`-th pair of each episode, from a random offset per episode (as in the GAIL paper).

        The offset is below min(every, length), so each episode keeps at least one pair. What is true of
        the whole episode (`episode_steps`, `terminated`, `returns`) stays.

        Raises:
            ImitaxError: `every` is below 1.
        """
        if every < 1:
            raise ImitaxError(f"The subsampling interval must be at least 1, found {every}.")
        offsets = rng.integers(np.minimum(every, self.lengths))
        position = np.arange(self.pairs) - np.repeat(self.starts, self.lengths)
        kept = position % every == np.repeat(offsets, self.lengths)
        return self._keep(kept)

    def split(self, fraction: float, rng: np.random.Generator) -> tuple["Demonstrations", "Demonstrations"]:
        """(training, validation): whole episodes at random, about `fraction` of them for validation.

        Both parts get at least one episode. A lone episode has to be split itself: into contiguous
        blocks, because neighbouring pairs are nearly alike and would leak from one part into the other;
        each part then is one episode that keeps the `episode_steps`, `terminated` and `returns` of the whole.

        Raises:
            ImitaxError: `fraction` is not between 0 and 1, or there is only one pair.
        """
        if not 0 < fraction < 1:
            raise ImitaxError(f"The validation fraction must lie between 0 and 1, found {fraction}.")
        if self.pairs == 1:
            raise ImitaxError("One pair cannot be split into training and validation: two are needed.")
        units = len(self) if len(self) > 1 else min(SPLIT_BLOCKS, self.pairs)
        held_out = np.zeros(units, bool)
        held_out[rng.permutation(units)[: int(np.clip(round(fraction * units), 1, units - 1))]] = True
        if len(self) > 1:
            return self._select(np.flatnonzero(~held_out)), self._select(np.flatnonzero(held_out))
        in_validation = held_out[np.arange(self.pairs) * units // self.pairs]
        return self._keep(~in_validation), self._keep(in_validation)

    def absorbing_mass(self, time_limit: int) -> float:
        """Share of the occupancy that lies in the absorbing state, over whole (not subsampled) episodes.

            Σ_terminated (time_limit − steps) / (Σ_terminated (time_limit − steps) + Σ_all steps)

        Raises:
            ImitaxError: an episode is longer than `time_limit`.
        """
        self._check_limit(time_limit)
        absorbed = int(np.sum(time_limit - self.episode_steps[self.terminated]))
        return absorbed / (absorbed + int(self.episode_steps.sum()))

    def validate(self, spec: EnvSpec) -> None:
        """Checks that these demonstrations can be of the environment `spec`.

        Its id is not compared: versions of a task share their spaces (Hopper-v4, Hopper-v5).

        Raises:
            ImitaxError: observation size, kind or size of actions, an action outside the space (for
                Box by more than `BOX_TOLERANCE` of the range), or an episode beyond the time limit.
        """
        if self.observations.shape[1] != spec.observation_size:
            raise ImitaxError(
                f"observations of {spec.id} have size {spec.observation_size}, "
                f"found size {self.observations.shape[1]}."
            )
        space = spec.action_space
        expected = "integers [N]" if isinstance(space, Discrete) else f"floats [N, {space.size}]"
        found = "integers [N]" if self.actions.ndim == 1 else f"floats [N, {self.actions.shape[1]}]"
        if found != expected:
            raise ImitaxError(f"actions of {spec.id} are {expected}, found {found}.")
        if isinstance(space, Discrete):
            outside, bounds = self.actions >= space.n, f"0 … {space.n - 1}"
        else:
            low, high = np.asarray(space.low), np.asarray(space.high)
            extent = high - low
            slack = BOX_TOLERANCE * np.where(np.isfinite(extent), extent, 1.0)
            outside = ((self.actions < low - slack) | (self.actions > high + slack)).any(axis=1)
            bounds = f"the box {brief(low.tolist())} … {brief(high.tolist())}"
        if (bad := first_true(outside)) is not None:
            raise ImitaxError(
                f"actions of {spec.id} must lie in {bounds}, "
                f"but pair {bad} has {brief(self.actions[bad].tolist())}."
            )
        self._check_limit(spec.time_limit)

    def describe(self) -> dict[str, Any]:
        """What is in here, in plain JSON types; unknown numbers are None."""
        known = self.returns[~np.isnan(self.returns)]
        if self.actions.ndim == 1:
            values, counts = np.unique(self.actions, return_counts=True)
            by_action = dict(zip(map(str, values.tolist()), counts.tolist(), strict=True))
            actions = {"kind": "Discrete", "counts": by_action}
        else:
            actions = {"kind": "Box", "size": self.actions.shape[1], **_range(self.actions)}
        return {
            "env_id": self.env_id,
            "episodes": len(self),
            "pairs": self.pairs,
            "observations": {"size": self.observations.shape[1], **_range(self.observations)},
            "actions": actions,
            "pairs_per_episode": _range(self.lengths),
            "episode_steps": _range(self.episode_steps),
            "terminated": int(self.terminated.sum()),
            "returns": {
                "known": len(known),
                "mean": _finite(np.mean, known),
                "std": _finite(np.std, known),
            },
            "fingerprint": self.fingerprint(),
        }

    def fingerprint(self) -> str:
        """SHA-256 of the content, in hex; the same whatever file format it came from."""
        digest = hashlib.sha256(self.env_id.encode())
        for field in fields(self)[:-1]:
            array = getattr(self, field.name)
            if field.name == "returns":  # NaN has many bit patterns: take one
                array = np.where(np.isnan(array), np.nan, array)
            digest.update(f"\n{field.name} {array.dtype.name} {array.shape}\n".encode())
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    def _select(self, chosen: Int64[np.ndarray, "K"]) -> "Demonstrations":
        """The episodes with these indices."""
        slices = list(self.episodes())
        pairs = np.concatenate([np.arange(slices[i].start, slices[i].stop) for i in chosen])
        per_episode = ("lengths", "episode_steps", "terminated", "returns")
        return replace(
            self,
            observations=self.observations[pairs],
            actions=self.actions[pairs],
            **{name: getattr(self, name)[chosen] for name in per_episode},
        )

    def _keep(self, kept: Bool[np.ndarray, "N"]) -> "Demonstrations":
        """Only some pairs, of every episode at least one."""
        lengths = np.add.reduceat(kept, self.starts, dtype=np.int64)
        return replace(
            self, observations=self.observations[kept], actions=self.actions[kept], lengths=lengths
        )

    def _check_limit(self, time_limit: int) -> None:
        if (bad := first_true(self.episode_steps > time_limit)) is not None:
            raise ImitaxError(
                f"episode_steps must not exceed the time limit of {time_limit}, "
                f"but episode {bad} took {self.episode_steps[bad]} steps."
            )


def _finite(statistic: Callable, values: np.ndarray) -> float | None:
    """A statistic of `values`; None without any, or where it is beyond double precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(statistic(values)) if len(values) else math.inf
    return value if math.isfinite(value) else None


def _range(array: np.ndarray) -> dict[str, Any]:
    """Minimum, maximum and mean over the first axis, as numbers or lists of numbers."""
    wide = array.astype(np.float64)
    return {"min": wide.min(0).tolist(), "max": wide.max(0).tolist(), "mean": wide.mean(0).tolist()}
