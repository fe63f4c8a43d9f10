"""Whether a learnt reward knows its demonstrations by heart: it is asked about episodes it did not see."""

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.statistics import normalise
from imitax.demonstrations import Demonstrations
from imitax.methods.registry import find_method
from imitax.stats.estimates import probability_of_improvement
from imitax.training.config import RunConfig
from imitax.training.fit import Training, expert_pairs
from imitax.types import EnvSpec, Learner, Rollout

PAIRS = 1000  # of each side, at most


def held_out(training: Training, whole: Demonstrations | None) -> dict | None:
    """How often each seed's reward pays more for a pair that it was shown than for one of the episodes that
    the run left out of `whole`: {"preference": [S], "episodes": left out}. ½ would be right; 1 is by heart.

    None where the reward is not learnt from demonstrations, or no episode was left out.
    """
    shown = training.demonstrations
    entry = find_method(training.config.method)
    if not (entry.loop and entry.demonstrations) or len(shown) == len(whole):
        return None
    left = whole.last(len(whole) - len(shown))
    known, unknown = (rewards(training.config, training.spec, training.learner, d) for d in (shown, left))
    shares = [probability_of_improvement(x, y) for x, y in zip(known, unknown, strict=True)]
    return {"preference": [float(share) for share in shares], "episodes": len(left)}


def rewards(config: RunConfig, spec: EnvSpec, learner: Learner, demonstrations: Demonstrations) -> np.ndarray:
    """What each seed's reward model pays for some of the pairs, evenly spaced: [S, N]."""
    every = -(-demonstrations.pairs // PAIRS)
    pairs = expert_pairs(demonstrations.subsample(every, np.random.default_rng(0)), spec)
    model = find_method(config.method).build(spec, config.settings["reward"])

    def one(learner):
        obs = normalise(learner.normaliser, pairs.obs)[None]
        flags, zeros = jnp.zeros(obs.shape[:2], bool), jnp.zeros(obs.shape[:2])
        step = jnp.zeros(obs.shape[:2], jnp.int32)
        rollout = Rollout(obs, pairs.action[None], zeros, obs, flags, flags, step)
        return model.reward(learner.reward, rollout)[0]

    return np.asarray(jax.vmap(one)(learner))
