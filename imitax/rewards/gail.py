"""Generative adversarial imitation learning: a discriminator's score as reward (Ho & Ermon 2016).

The discriminator tells expert pairs from policy pairs, logits high for the expert; with binary
cross-entropy this is the regulariser ψ_GA. An episode that terminates goes on, in the mathematics, in
one absorbing state until the time limit, on both sides of the discriminator, and the reward is
f(s, a) − f(absorbing), zero afterwards. So neither staying alive nor ending is paid for as such.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from imitax.core.losses import bernoulli_entropy, discriminator_loss, gradient_penalty, reward_form
from imitax.core.returns import absorbing_mass
from imitax.core.spaces import encode
from imitax.networks import MLP, scalar_network
from imitax.types import EnvSpec, ExpertPairs, RewardModel, Rollout


@dataclass(frozen=True)
class GAILConfig:
    """Settings of the discriminator."""

    hidden: tuple[int, ...] = (100, 100)  # units per tanh layer (Ho & Ermon 2016)
    learning_rate: float = 3e-3  # Adam (Ho & Ermon 2016: 1e-2)
    steps: int = 5  # gradient steps per iteration (Ho & Ermon 2016: 1)
    batch_size: int = 0  # pairs of each side per step; 0: all, −1: as many as the expert has
    entropy: float = 1e-3  # weight of the discriminator's entropy (Ho & Ermon 2016)
    gradient_penalty: float = 0.0  # weight of (‖∇ logit‖ − 1)² between pairs (Gulrajani et al. 2017)
    label_smoothing: float = 0.0  # expert label 1 − s, policy label s
    form: str = "log_d"  # reward: log_d, neg_log_one_minus_d, logit or d_minus_one
    absorbing: bool = True  # absorbing states on both sides; off: the paper's literal setting


class GAILState(NamedTuple):
    """Discriminator and optimiser."""

    network: MLP
    optimiser: Any


class Logits(NamedTuple):
    """Scores of expert pairs, policy pairs and the absorbing state."""

    expert: Float[Array, "n"]
    policy: Float[Array, "m"]
    absorbing: Float[Array, ""]


def gail(spec: EnvSpec, config: GAILConfig = GAILConfig()) -> RewardModel:
    """GAIL's reward for the observations and actions of `spec`."""
    to_reward = reward_form(config.form)
    optimiser = optax.adam(config.learning_rate)
    feature_size = spec.observation_size + spec.action_space.size + 1
    absorbed = jnp.zeros((1, feature_size)).at[0, -1].set(1.0)  # the indicator, and nothing else

    def features(obs, action):
        indicator = jnp.zeros((*obs.shape[:-1], 1))
        return jnp.concatenate([obs, encode(spec.action_space, action), indicator], axis=-1)

    def score(network, expert, policy) -> Logits:
        logit = network(jnp.concatenate([expert, policy, absorbed]))[:, 0]
        return Logits(logit[: len(expert)], logit[len(expert) : -1], logit[-1])

    def loss(network, expert, policy, masses, key):
        logits = score(network, expert, policy)
        cross_entropy = discriminator_loss(*logits, *masses, config.label_smoothing)
        entropy = jnp.mean(bernoulli_entropy(jnp.concatenate(logits[:2])))
        total = cross_entropy - config.entropy * entropy
        if config.gradient_penalty:
            key_pick, key_mix = jax.random.split(key)
            partner = jax.random.randint(key_pick, (len(expert),), 0, len(policy))
            penalty = gradient_penalty(network, expert, policy[partner], key_mix)
            total = total + config.gradient_penalty * penalty
        return total, (logits, cross_entropy)

    def update(state: GAILState, expert: ExpertPairs, rollout: Rollout, key):
        shown = features(expert.obs, expert.action)
        done = features(rollout.obs, rollout.action).reshape(-1, feature_size)
        masses = jnp.zeros(()), jnp.zeros(())
        if config.absorbing:
            policy_mass = absorbing_mass(rollout.terminated, rollout.step, spec.time_limit)
            masses = expert.absorbing_mass, policy_mass

        def step(carry, key):
            network, opt = carry.network, carry.optimiser
            key_expert, key_policy, key_loss = jax.random.split(key, 3)
            size = {0: None, -1: len(shown)}.get(config.batch_size, config.batch_size)
            batch = _draw(shown, size, key_expert), _draw(done, size, key_policy)
            gradient, (logits, bce) = jax.grad(loss, has_aux=True)(network, *batch, masses, key_loss)
            updates, opt = optimiser.update(gradient, opt)
            return GAILState(optax.apply_updates(network, updates), opt), _metrics(logits, bce)

        state, history = jax.lax.scan(step, state, jax.random.split(key, config.steps))
        # The first step's figures: policy pairs that the discriminator has not been trained on yet.
        return state, jax.tree.map(lambda x: x[0], history)

    def reward(state: GAILState, rollout: Rollout):
        logit = state.network(features(rollout.obs, rollout.action))[..., 0]
        if not config.absorbing:
            return to_reward(logit)
        return to_reward(logit) - to_reward(state.network(absorbed)[0, 0])

    def init(key):
        network = scalar_network(key, feature_size, config.hidden)
        return GAILState(network, optimiser.init(network))

    return RewardModel(init, update, reward)


def _draw(pairs: Float[Array, "n F"], size: int | None, key) -> Float[Array, "k F"]:
    """`size` pairs without replacement, or all of them."""
    if size is None or size >= len(pairs):
        return pairs
    index = jax.random.permutation(key, len(pairs))[:size]
    return pairs[index]


def _metrics(logits: Logits, bce: Float[Array, ""]) -> dict:
    expert_d, policy_d = jax.nn.sigmoid(logits.expert), jax.nn.sigmoid(logits.policy)
    correct = jnp.mean(logits.expert > 0), jnp.mean(logits.policy < 0)
    return {
        "discriminator_loss": bce,
        "discriminator_accuracy": 0.5 * (correct[0] + correct[1]),
        "expert_score": jnp.mean(expert_d),
        "policy_score": jnp.mean(policy_d),
        "expert_logit": jnp.mean(logits.expert),
        "policy_logit": jnp.mean(logits.policy),
        "absorbing_logit": logits.absorbing,
        "expertlike_fraction": jnp.mean(policy_d >= jnp.mean(expert_d), dtype=jnp.float32),
    }
