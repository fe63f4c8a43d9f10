"""The measures of `speed.py` inside its own process: iterations, their parts, the machine's
rates.
"""

import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import imitax
from imitax.core.compiling import jit
from imitax.core.memory import flatten_time
from imitax.core.sampling import minibatches
from imitax.methods.adversarial import Cycle, as_learnt_from
from imitax.methods.registry import agent_of, build_loop, policy_of, reward_model_of
from imitax.training.collecting import Actor, sampled_action
from imitax.training.config import RunConfig, make_config
from imitax.training.data import expert_sample
from imitax.training.fit import fit
from imitax.training.rollout import collect_native, start_native
from imitax.types import Experience, Sample

ENV = "Acrobot-v1"
ENVS, HORIZON, EPOCHS, MINIBATCHES, HIDDEN = 64, 80, 4, 4, (100, 100)
STEPS = ENVS * HORIZON
DEMONSTRATIONS = "Acrobot-v1/7"


def config(iterations: int, disc_steps: int, seeds: int = 1, backend: str = "native") -> RunConfig:
    """GAIL with the sizes of this benchmark, whatever the package's defaults are."""
    values = {
        "loop.iterations": iterations,
        "loop.env_steps": STEPS,
        "loop.max_envs": ENVS,
        "agent.epochs": EPOCHS,
        "agent.minibatches": MINIBATCHES,
        "agent.hidden": HIDDEN,
        "reward.hidden": HIDDEN,
        "reward.updates": disc_steps,
        "reward.batch_size": 0,
    }
    return make_config("gail", ENV, agent="ppo", overrides=values, seeds=seeds, backend=backend)


def iteration_seconds(run: RunConfig) -> list[float]:
    """Seconds of each iteration of a training run, collection included, after the first two."""
    env = imitax.make(ENV, run.backend)
    stamps: list[float] = []
    shown = imitax.load_demonstrations(DEMONSTRATIONS)
    fit(run, env, shown, [lambda moment: stamps.append(time.perf_counter())])
    return np.diff(stamps)[1:].tolist()


def parts(disc_steps: int) -> dict[str, Callable[[], object]]:
    """The parts of an iteration, each compiled alone, as functions without arguments.

    "learn" is all of an iteration but the collection, in one program as in training; "shuffle" is
    the part of "policy" that draws the minibatches.
    """
    run, env = config(1, disc_steps), imitax.make(ENV, "native")
    demonstrations = imitax.load_demonstrations(DEMONSTRATIONS)
    expert = expert_sample(demonstrations, env.spec)
    family = policy_of("gail", env.spec, run.settings)
    method = build_loop("gail", "ppo", env.spec, run.settings)
    agent = agent_of("ppo", env.spec, family, run.settings)
    model = reward_model_of("gail", env.spec, run.settings)
    keys = jax.vmap(jax.random.key)(jnp.arange(1))  # a leading axis of one seed, as in training
    progress = jnp.float32(0.0)

    def collect(learner, state, key):
        actor = Actor(learner.policy, learner.normaliser)

        def act(obs, first, carry, k):
            return sampled_action(env.spec, family, actor, obs, first, carry, k)

        return collect_native(env, act, state, HORIZON, key)

    def look(learner, t):
        return as_learnt_from(env.spec, family, model.asks, learner, t)

    def samples(learner, rollout):
        side = Sample(look(learner, flatten_time(rollout)), jnp.float32(0.0))
        return expert._replace(transitions=look(learner, expert.transitions)), side

    def improve(learner, rollout, key):
        experience = Experience(rollout, (), None, None, lambda t: t.reward, progress)
        return agent.update(learner.policy, learner.agent, experience, key)

    collect = jit(jax.vmap(collect))
    learner = jit(jax.vmap(method.init, in_axes=(0, None)))(keys, expert)
    envs = jit(jax.vmap(lambda key: start_native(env, ENVS, (), key)))(keys)
    _, raw = collect(learner, envs, keys)
    rollout = jit(jax.vmap(look))(learner, raw)
    sides = jit(jax.vmap(samples))(learner, raw)
    shuffle = partial(minibatches, size=STEPS, count=MINIBATCHES, epochs=EPOCHS)
    update = jit(jax.vmap(model.update))
    reward, policy = jit(jax.vmap(model.reward)), jit(jax.vmap(improve))
    learn = jit(
        jax.vmap(
            lambda learner, raw, key: method.learn(learner, Cycle(expert, raw, (), progress), key)
        )
    )
    order = jit(jax.vmap(shuffle))
    return {
        "collect": lambda: collect(learner, envs, keys),
        "discriminator": lambda: update(learner.reward_model, *sides, keys),
        "reward": lambda: reward(learner.reward_model, rollout),
        "policy": lambda: policy(learner, rollout, keys),
        "shuffle": lambda: order(keys),
        "learn": lambda: learn(learner, raw, keys),
    }


def rates(repeats: int = 16) -> dict[str, tuple[Callable[[], object], float]]:
    """Name -> (function, units of work): matrix products in operations, tanh in elements.

    The layer's products are repeated in one program, one after another, to exclude the dispatch
    from Python; they are unrolled, because a loop would copy its carry.
    """
    rows, width = STEPS // MINIBATCHES, HIDDEN[0]
    big, square = jnp.ones((2048, 2048)), jnp.full((width, width), 1.0 / width)
    batches = [jnp.full((rows, width), 1.0 / (rows + i)) for i in range(repeats)]

    def forward(x):
        for _ in range(repeats):
            x = x @ square
        return x

    def by_weights(x, gradients):
        return [x.T @ g for g in gradients]

    def tanh(x):
        return jax.lax.scan(lambda c, _: (jnp.tanh(c), None), x, None, length=repeats)[0]

    product, forward, by_weights, tanh = map(jit, (jnp.matmul, forward, by_weights, tanh))
    flop = 2.0 * repeats * rows * width * width
    return {
        "matmul 2048×2048×2048": (lambda: product(big, big), 2.0 * 2048**3),
        f"layer {rows}×{width}×{width}": (lambda: forward(batches[0]), flop),
        f"its weight gradient {width}×{rows}×{width}": (
            lambda: by_weights(batches[0], batches),
            flop,
        ),
        f"tanh of {rows}×{width}": (lambda: tanh(batches[0]), float(repeats * rows * width)),
    }


def interleaved(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, the functions taking turns, so that a busy moment slows them alike."""
    for function in functions.values():
        jax.block_until_ready(function())
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name].append(time.perf_counter() - start)
    return seconds
