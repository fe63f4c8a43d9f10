"""Generative adversarial imitation learning: a discriminator's score as reward (Ho & Ermon 2016).

The discriminator tells expert pairs from policy pairs, logits high for the expert; with binary
cross-entropy this is the regulariser ψ_GA. An episode that terminates continues, in the
mathematics, in one absorbing state until the time limit, on both sides of the discriminator, and
the reward is f(s, a) − f(absorbing), zero afterwards. So neither staying alive nor ending is
rewarded as such.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from imitax.core.losses import reward_form
from imitax.core.settings import is_on, setting, settings
from imitax.core.spaces import encode, executed, size
from imitax.networks import MLP, scalar_network
from imitax.rewards.losses import (
    Batch,
    Loss,
    Value,
    cross_entropy,
    on_logits,
    with_entropy_bonus,
    with_gradient_penalty,
    with_label_smoothing,
    without_absorbing,
)
from imitax.types import EnvSpec, Metrics, RewardModel, Sample, Transition


@settings
class GAILConfig:
    """Settings of the discriminator."""

    hidden: tuple[int, ...] = setting((100, 100), "units per tanh layer (Ho & Ermon 2016)")
    learning_rate: float = setting(3e-3, "Adam (Ho & Ermon 2016: 1e-2)")
    updates: int = setting(5, "gradient steps per iteration (Ho & Ermon 2016: 1)")
    batch_size: int = setting(
        0, "pairs of each side per step; 0: all, −1: as many as there are of the expert", low=-1
    )
    entropy_coef: float = setting(
        1e-3, "weight of the discriminator's entropy (Ho & Ermon 2016)", off_at_zero=True
    )
    gradient_penalty: float = setting(
        0.0, "weight of (‖∇ logit‖ − 1)² between pairs (Gulrajani et al. 2017)", off_at_zero=True
    )
    label_smoothing: float = setting(
        0.0, "expert label 1 − s, policy label s", high=1.0, off_at_zero=True
    )
    form: str = setting("log_d", "reward: log_d, neg_log_one_minus_d, logit or d_minus_one")
    absorbing: bool = setting(
        True, "absorbing states on both sides; off: the paper's literal setting"
    )


class GAILState(NamedTuple):
    """What training changes of the reward model."""

    network: MLP  # from features [F] to a logit [1]
    optimiser: optax.OptState  # Adam's two moments of each weight, and a count


def gail(spec: EnvSpec, config: GAILConfig = GAILConfig()) -> RewardModel:
    """GAIL's reward for the observations and actions of `spec`."""
    to_reward = reward_form(config.form)
    optimiser = optax.scale_by_adam()
    feature_size = size(spec.observation) + size(spec.action) + 1
    absorbing = jnp.zeros((1, feature_size)).at[0, -1].set(1.0)  # the indicator, and nothing else
    loss = gail_loss(config)

    def features(t: Transition) -> Float[Array, "*n F"]:
        action = encode(spec.action, executed(spec.action, t.action))
        indicator = jnp.zeros((*action.shape[:-1], 1))
        return jnp.concatenate([encode(spec.observation, t.obs), action, indicator], axis=-1)

    def update(state: GAILState, expert: Sample | None, policy: Sample, key):
        assert expert is not None  # the method learns from demonstrations
        sides = features(expert.transitions), features(policy.transitions)
        count = {0: None, -1: len(sides[0])}.get(config.batch_size, config.batch_size)

        def step(state: GAILState, key):
            key_expert, key_policy, key_loss = jax.random.split(key, 3)
            batch = Batch(
                _draw(sides[0], count, key_expert),
                _draw(sides[1], count, key_policy),
                absorbing,
                expert.absorbing_mass,
                policy.absorbing_mass,
            )

            def total(network):
                value = loss(network, batch, key_loss)
                return value.total, value

            gradient, value = jax.grad(total, has_aux=True)(state.network)
            updates, opt = optimiser.update(gradient, state.optimiser)
            network = jax.tree.map(
                lambda p, u: p - config.learning_rate * u, state.network, updates
            )
            return GAILState(network, opt), _metrics(value)

        state, history = jax.lax.scan(step, state, jax.random.split(key, config.updates))
        # Those of the first step: policy pairs that the discriminator has not been trained on yet.
        return state, jax.tree.map(lambda x: x[0], history)

    def reward(state: GAILState, t: Transition):
        logit = state.network(features(t))[..., 0]
        if not config.absorbing:
            return to_reward(logit)
        return to_reward(logit) - to_reward(state.network(absorbing)[0, 0])

    def init(key):
        network = scalar_network(key, feature_size, config.hidden)
        return GAILState(network, optimiser.init(eqx.filter(network, eqx.is_array)))

    return RewardModel(init, update, reward)


def gail_loss(config: GAILConfig) -> Loss:
    """Cross-entropy with what `config` wraps around it."""
    criterion = cross_entropy
    if is_on(config.label_smoothing):
        criterion = with_label_smoothing(criterion, config.label_smoothing)
    loss = on_logits(criterion)
    if not config.absorbing:
        loss = without_absorbing(loss)
    if is_on(config.entropy_coef):
        loss = with_entropy_bonus(loss, config.entropy_coef)
    if is_on(config.gradient_penalty):
        loss = with_gradient_penalty(loss, config.gradient_penalty)
    return loss


def _draw(pairs: Float[Array, "n F"], count: int | None, key) -> Float[Array, "k F"]:
    """`count` pairs without replacement, or all of them."""
    if count is None or count >= len(pairs):
        return pairs
    index = jax.random.permutation(key, len(pairs))[:count]
    return pairs[index]


def _metrics(value: Value) -> Metrics:
    logits = value.logits
    expert_d, policy_d = jax.nn.sigmoid(logits.expert), jax.nn.sigmoid(logits.policy)
    correct = jnp.mean(logits.expert > 0), jnp.mean(logits.policy < 0)
    return {
        "discriminator_loss": value.criterion,
        "discriminator_accuracy": 0.5 * (correct[0] + correct[1]),
        "expert_score": jnp.mean(expert_d),
        "policy_score": jnp.mean(policy_d),
        "expert_logit": jnp.mean(logits.expert),
        "policy_logit": jnp.mean(logits.policy),
        "absorbing_logit": logits.absorbing,
        "expertlike_fraction": jnp.mean(policy_d >= jnp.mean(expert_d), dtype=jnp.float32),
    }
