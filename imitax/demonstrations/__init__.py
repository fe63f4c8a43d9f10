"""What an expert did: a checked, immutable container of pairs that keeps episodes apart.

Shapes: N pairs, E episodes, S stretches (see `order`), O observation size, A action dimensions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from imitax.demonstrations.checks import check_content, check_same_rows, check_spaces
from imitax.demonstrations.description import describe_content, digest_of
from imitax.demonstrations.joining import join_episodes
from imitax.demonstrations.order import default_steps, stretch_ends
from imitax.errors import ImitaxError
from imitax.files.arrays import as_array, first_true
from imitax.types import EnvSpec

SPLIT_BLOCKS = 10  # a lone episode is cut into at most so many blocks before it is split
PER_EPISODE = ("lengths", "episode_steps", "terminated", "returns")


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Pairs of E episodes, one after another; equality of content is equality of `fingerprint()`.

    The constructor converts what it is given to the types below (so float64 observations are
    rounded to float32) and checks it. The arrays are then read-only.

    Where each action led follows from the order of the pairs, except at the end of a stretch of
    consecutive steps; only those next observations are stored. A whole episode is one stretch
    (S = E), and so costs one observation. Read them with `next_observations()`.

    Raises:
        ImitaxError: a field has the wrong shape or kind, a number is not finite, a Discrete action
            is negative, the lengths do not add up to N or exceed `episode_steps`, the steps do not
            increase, or there is no pair.
    """

    # the constructor converts what it is given, and says what does not fit
    __no_type_check__ = True

    observations: np.ndarray  # float32 [N, O], raw, as the environment hands them out
    # int64 [N] (Discrete), or float32 [N, A] (Box) in the environment's units; None: states alone
    actions: np.ndarray | None
    lengths: np.ndarray  # int64 [E], pairs stored of each episode
    episode_steps: np.ndarray  # int64 [E], steps it took; more than lengths once subsampled
    terminated: np.ndarray  # bool [E]; True: the task ended it; False: the time limit did
    returns: np.ndarray  # float64 [E], undiscounted sum of the true reward; NaN where unknown
    env_id: str = ""  # "" where unknown
    # float32 [S, O], where the last action of each stretch led; NaN where unknown; None: all
    last_observations: np.ndarray | None = None
    # int64 [N], as `steps`; None: 0, 1, 2, … in episodes that are whole, unknown in others
    stored_steps: np.ndarray | None = None

    def __post_init__(self):
        for name, value in check_content(self._content()).items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_episodes(
        cls,
        episodes: Sequence[tuple[Any, Any]],
        *,
        terminated: bool | Sequence | np.ndarray,
        returns: Sequence | np.ndarray | None = None,
        env_id: str = "",
    ) -> "Demonstrations":
        """Joins whole episodes, each a pair (observations, actions [T] or [T, A]).

        An episode of T actions has T + 1 observations, or T if it is unknown where the last
        action led. States alone are (observations [T + 1, O], None). `terminated` says of each
        episode (or of all) whether the task ended it; `returns` are unknown when left out.

        Raises:
            ImitaxError: as the constructor, or when an episode does not fit the first; it is
                named.
        """
        content = join_episodes(episodes)
        count = len(episodes)
        if isinstance(terminated, bool | np.bool_):
            terminated = np.full(count, terminated)
        if returns is None:
            returns = np.full(count, np.nan)
        return cls(
            **content,
            terminated=as_array("terminated", terminated, "b", "booleans", (count,)),
            returns=as_array("returns", returns, "fiu", "numbers", (count,)),
            env_id=env_id,
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Demonstrations"]) -> "Demonstrations":
        """All episodes of `parts`, in order; an unknown env_id takes the known one.

        Raises:
            ImitaxError: no parts, or parts of different environments, sizes or kinds of actions.
        """
        if not len(parts):
            raise ImitaxError("Demonstrations to concatenate must be at least one, found none.")
        names = sorted({part.env_id for part in parts} - {""})
        if len(names) > 1:
            found = " and ".join(names)
            raise ImitaxError(
                f"Demonstrations to concatenate must be of one environment, found {found}."
            )
        for index, part in enumerate(parts):
            for name in ("observations", "actions"):
                check_same_rows(name, f"part {index}", getattr(parts[0], name), getattr(part, name))

        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])

        return cls(
            joined("observations"),
            None if parts[0].actions is None else joined("actions"),
            **{name: joined(name) for name in PER_EPISODE},
            env_id=names[0] if names else "",
            last_observations=np.concatenate(
                [part._following(part._stretch_ends) for part in parts]
            ),
            stored_steps=joined("steps"),
        )

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

    @property
    def steps(self) -> Int64[np.ndarray, "N"]:
        """Index of each pair within its whole episode, from 0; −1 where unknown.

        It is unknown in what version 0.1.0 subsampled and saved.
        """
        if self.stored_steps is not None:
            return self.stored_steps
        return default_steps(self.lengths, self.episode_steps)

    @property
    def pair_terminated(self) -> Bool[np.ndarray, "N"]:
        """Whether the task ended the episode with this pair."""
        return self._ends_episode & np.repeat(self.terminated, self.lengths)

    @property
    def pair_truncated(self) -> Bool[np.ndarray, "N"]:
        """Whether the time limit ended the episode with this pair."""
        return self._ends_episode & ~np.repeat(self.terminated, self.lengths)

    def next_observations(self) -> tuple[Float32[np.ndarray, "N O"], Bool[np.ndarray, "N"]]:
        """(where each action led, whether that is known); unknown rows repeat their own."""
        following = self._following(np.arange(self.pairs))
        unknown = np.isnan(following[:, 0])
        following[unknown] = self.observations[unknown]
        return following, ~unknown

    def require_actions(self, purpose: str) -> np.ndarray:
        """The actions; `purpose`, which needs them, begins the sentence of the error.

        Raises:
            ImitaxError: these are demonstrations of states alone.
        """
        if self.actions is None:
            raise ImitaxError(
                f"{purpose} needs actions, but these demonstrations hold states alone: "
                "record the expert's actions as well."
            )
        return self.actions

    def episodes(self) -> Iterator[slice]:
        """The pairs of each episode, as slices of `observations` and `actions`."""
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield slice(int(start), int(start + length))

    def complete_episode(self) -> Float32[np.ndarray, "T O"] | None:
        """Observations of the first episode that is stored whole, None if there is none."""
        for pairs, steps in zip(self.episodes(), self.episode_steps, strict=True):
            if pairs.stop - pairs.start == steps:
                return self.observations[pairs]
        return None

    def choose(self, k: int, rng: np.random.Generator | None = None) -> "Demonstrations":
        """K whole episodes in their original order: at random without replacement, or the first K.

        Raises:
            ImitaxError: `k` is below 1 or more than there are.
        """
        if not 1 <= k <= len(self):
            raise ImitaxError(
                f"Asked to choose {k} trajectories, but these demonstrations hold {len(self)}."
            )
        chosen = np.arange(k) if rng is None else np.sort(rng.choice(len(self), k, replace=False))
        return self._select(chosen)

    def last(self, k: int) -> "Demonstrations":
        """The last K whole episodes, those that `choose(len(self) - k)` leaves; the same
        errors.
        """
        if not 1 <= k <= len(self):
            raise ImitaxError(
                f"Asked for the last {k} trajectories, but these demonstrations hold {len(self)}."
            )
        return self._select(np.arange(len(self) - k, len(self)))

    def subsample(self, every: int, rng: np.random.Generator) -> "Demonstrations":
        """Every `every`-th pair of each episode, from a random offset each (as in the GAIL paper).

        The offset is below min(every, length), so each episode keeps at least one pair. Each pair
        keeps its next observation and its step, and what is true of the whole episode
        (`episode_steps`, `terminated`, `returns`) stays.

        Raises:
            ImitaxError: `every` is below 1.
        """
        if every < 1:
            raise ImitaxError(f"The subsampling interval must be at least 1, found {every}.")
        offsets = rng.integers(np.minimum(every, self.lengths))
        position = np.arange(self.pairs) - np.repeat(self.starts, self.lengths)
        kept = position % every == np.repeat(offsets, self.lengths)
        return self._keep(kept)

    def split(
        self, fraction: float, rng: np.random.Generator
    ) -> tuple["Demonstrations", "Demonstrations"]:
        """(training, validation): whole episodes at random, about `fraction` for validation.

        Both parts get at least one episode. A lone episode has to be split itself: into contiguous
        blocks, because neighbouring pairs are nearly alike and would leak from one part into the
        other; each part then is one episode that keeps the `episode_steps`, `terminated` and
        `returns` of the whole.

        Raises:
            ImitaxError: `fraction` is not between 0 and 1, or there is only one pair.
        """
        if not 0 < fraction < 1:
            raise ImitaxError(
                f"The validation fraction must lie between 0 and 1, found {fraction}."
            )
        if self.pairs == 1:
            raise ImitaxError(
                "One pair cannot be split into training and validation: two are needed."
            )
        units = len(self) if len(self) > 1 else min(SPLIT_BLOCKS, self.pairs)
        held_out = np.zeros(units, bool)
        held_out[rng.permutation(units)[: int(np.clip(round(fraction * units), 1, units - 1))]] = (
            True
        )
        if len(self) > 1:
            return self._select(np.flatnonzero(~held_out)), self._select(np.flatnonzero(held_out))
        in_validation = held_out[np.arange(self.pairs) * units // self.pairs]
        return self._keep(~in_validation), self._keep(in_validation)

    def absorbing_mass(self, time_limit: int) -> float:
        """Share of the occupancy that lies in the absorbing state, over whole episodes.

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
            ImitaxError: observation size, kind or size of actions, an action outside the space
                (for Box by more than `BOX_TOLERANCE` of the range), or an episode beyond the time
                limit.
        """
        check_spaces(self.observations, self.actions, spec)
        self._check_limit(spec.time_limit)

    def describe(self) -> dict[str, Any]:
        """What is in here, in plain JSON types; None for unknown numbers and absent actions."""
        last = self.last_observations
        unknown = len(self._stretch_ends) if last is None else int(np.isnan(last[:, 0]).sum())
        described = describe_content(self._content(), self.pairs - unknown)
        return described | {"fingerprint": self.fingerprint()}

    def fingerprint(self) -> str:
        """SHA-256 of the content, in hex; the same whatever file format it came from."""
        return digest_of(self._content())

    def _content(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def _stretch_ends(self) -> Int64[np.ndarray, "S"]:
        return stretch_ends(self.lengths, self.episode_steps, self.stored_steps)

    @property
    def _ends_episode(self) -> Bool[np.ndarray, "N"]:
        return self.steps == np.repeat(self.episode_steps - 1, self.lengths)

    def _following(self, pairs: Int64[np.ndarray, "K"]) -> Float32[np.ndarray, "K O"]:
        """The next observations of these pairs; NaN where unknown."""
        rows = self.observations[np.minimum(pairs + 1, self.pairs - 1)]
        ends = self._stretch_ends
        stretch = np.searchsorted(ends, pairs)
        at_end = ends[stretch] == pairs
        last = self.last_observations
        rows[at_end] = np.nan if last is None else last[stretch[at_end]]
        return rows

    def _select(self, chosen: Int64[np.ndarray, "K"]) -> "Demonstrations":
        """The episodes with these indices."""
        slices = list(self.episodes())
        pairs = np.concatenate([np.arange(slices[i].start, slices[i].stop) for i in chosen])
        return self._take(pairs, {name: getattr(self, name)[chosen] for name in PER_EPISODE})

    def _keep(self, kept: Bool[np.ndarray, "N"]) -> "Demonstrations":
        """Only some pairs, of every episode at least one."""
        lengths = np.add.reduceat(kept, self.starts, dtype=np.int64)
        return self._take(np.flatnonzero(kept), {"lengths": lengths})

    def _take(
        self, pairs: Int64[np.ndarray, "K"], changes: dict[str, np.ndarray]
    ) -> "Demonstrations":
        """These pairs, with where their actions led; `changes` are fields of episodes."""
        steps = self.steps[pairs]
        per_episode = {name: getattr(self, name) for name in PER_EPISODE} | changes
        ends = stretch_ends(per_episode["lengths"], per_episode["episode_steps"], steps)
        return replace(
            self,
            observations=self.observations[pairs],
            actions=None if self.actions is None else self.actions[pairs],
            **per_episode,
            last_observations=self._following(pairs[ends]),
            stored_steps=steps,
        )

    def _check_limit(self, time_limit: int) -> None:
        if (bad := first_true(self.episode_steps > time_limit)) is not None:
            raise ImitaxError(
                f"episode_steps must not exceed the time limit of {time_limit}, "
                f"but episode {bad} took {self.episode_steps[bad]} steps."
            )
