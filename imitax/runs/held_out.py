"""Whether a learnt reward overfits its demonstrations: it is asked about episodes that it was not
trained on.
"""

import jax
import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.methods.adversarial import as_learnt_from
from imitax.methods.registry import find_method, reward_model_of
from imitax.stats.estimates import probability_of_improvement
from imitax.training.data import expert_sample
from imitax.training.fit import Training

PAIRS = 1000  # of each side, at most


def held_out(training: Training, demonstrations: Demonstrations | None) -> dict | None:
    """How often each seed's reward is higher for a pair that it was trained on than for one of the
    episodes that the run left out of `demonstrations`: {"preference": [S], "episodes": left out}.
    ½ would be right; 1 is overfit.

    None where the reward is not learnt from demonstrations in the loop, or no episode was left
    out.
    """
    used, entry = training.demonstrations, find_method(training.config.method)
    if not (entry.loop and entry.demonstrations) or len(used) == len(demonstrations):
        return None
    left_out = demonstrations.last(len(demonstrations) - len(used))
    own, fresh = (rewards(training, demos) for demos in (used, left_out))
    shares = [probability_of_improvement(x, y) for x, y in zip(own, fresh, strict=True)]
    return {"preference": [float(share) for share in shares], "episodes": len(left_out)}


def rewards(training: Training, demonstrations: Demonstrations) -> np.ndarray:
    """Each seed's reward for some of the pairs, evenly spaced: [S, N]."""
    config, spec = training.config, training.spec
    every = -(-demonstrations.pairs // PAIRS)
    model = reward_model_of(config.method, spec, config.settings, training.parts)
    sample = expert_sample(
        demonstrations.subsample(every, np.random.default_rng(0)), spec, model.asks
    )

    def one(learner):
        pairs = as_learnt_from(
            training.spec, training.family, model.asks, learner, sample.transitions
        )
        return model.reward(learner.reward_model, pairs)

    return np.asarray(jax.vmap(one)(training.learner))
