"""`speed.py --only host`: EnvPool alone, collection with a policy, and all of GAIL in parts."""

import os
import time

import jax
import numpy as np

from imitax import envs
from imitax.core.compiling import jit
from imitax.methods.registry import find_agent, find_method
from imitax.training.collecting import fold, source
from imitax.training.config import make_config
from imitax.training.evaluation import record_random
from imitax.training.fit import compiled, expert_pairs

ENVS = ("HalfCheetah-v5", "Hopper-v5", "Ant-v5", "Humanoid-v5")
BATCH = 64


def raw(env_id: str, steps: int):
    """A function that takes `steps` steps with random actions drawn beforehand; EnvPool resets by itself."""
    import envpool

    pool = envpool.make_gymnasium(env_id, num_envs=BATCH, num_threads=len(os.sched_getaffinity(0)), seed=0)
    space = pool.action_space
    actions = np.random.default_rng(0).uniform(space.low, space.high, (steps // BATCH, BATCH, *space.shape))
    pool.reset()

    def play():
        for action in actions:
            pool.step(action)

    return play


def parts(env_id: str, steps: int) -> dict:
    """Functions without arguments that run each part of an iteration and wait for it."""
    env = envs.make(env_id, "envpool")
    config = make_config("gail", env_id, overrides={"loop.steps": steps, "loop.envs": BATCH})
    program, keys = compiled(config, env.spec), jax.vmap(jax.random.key)(np.arange(1))
    demonstrations = record_random(env, 4).subsample(20, np.random.default_rng(0))
    expert = expert_pairs(demonstrations, env.spec)
    state = {"learner": program.init(keys, expert)}
    rollouts = source(env, program.method.agent, 1, BATCH, steps // BATCH)
    state["actors"] = rollouts.start(keys)
    model = find_method("gail").build(env.spec, config.settings["reward"])
    agent = find_agent("ppo").build(env.spec, config.settings["agent"])
    of_model, of_agent = jit(jax.vmap(model.update, (0, None, 0, 0))), jit(jax.vmap(agent.update))

    def collect():
        state["actors"], state["rollout"] = rollouts.collect(state["learner"], state["actors"], fold(keys, 1))

    def learn():
        episode_return = state["actors"].episode_return
        state["learner"], *_ = jax.block_until_ready(
            program.learn(state["learner"], expert, episode_return, state["rollout"], fold(keys, 2))
        )

    def discriminate():
        jax.block_until_ready(of_model(state["learner"].reward, expert, state["rollout"], keys))

    def improve():
        jax.block_until_ready(of_agent(state["learner"].agent, state["rollout"], keys))

    return {
        "raw": raw(env_id, steps),
        "collect": collect,
        "learn": learn,
        "discriminator": discriminate,
        "policy and value": improve,
    }


def seconds(env_id: str, steps: int, rounds: int) -> dict[str, float]:
    """Part -> median over rounds, for `steps` environment steps.

    Parts take turns in every round, so that a busy machine slows them alike.
    """
    functions = parts(env_id, steps)
    times = {name: [] for name in functions}
    for turn in range(rounds + 1):  # the first compiles
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}
