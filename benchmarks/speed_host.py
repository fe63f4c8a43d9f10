"""`speed.py --only host`: EnvPool alone, collection with a policy, and all of GAIL in parts."""

import os
import time

import jax
import numpy as np

from imitax import envs
from imitax.core.compiling import jit
from imitax.core.memory import flatten_time
from imitax.methods.registry import Parts, find_agent, find_method, policy_of
from imitax.training import loop
from imitax.training.collecting import fold, source
from imitax.training.config import make_config
from imitax.training.data import expert_sample
from imitax.training.evaluation import record_random
from imitax.training.lanes import lanes_of
from imitax.types import Experience, Sample

ENVS = ("HalfCheetah-v5", "Hopper-v5", "Ant-v5", "Humanoid-v5")
BATCH = 64


def raw(env_id: str, steps: int):
    """A function that takes `steps` steps with random actions drawn beforehand; EnvPool resets by
    itself.
    """
    import envpool

    pool = envpool.make_gymnasium(
        env_id, num_envs=BATCH, num_threads=len(os.sched_getaffinity(0)), seed=0
    )
    space = pool.action_space
    actions = np.random.default_rng(0).uniform(
        space.low, space.high, (steps // BATCH, BATCH, *space.shape)
    )
    pool.reset()

    def play():
        for action in actions:
            pool.step(action)

    return play


def parts(env_id: str, steps: int) -> dict:
    """Functions without arguments that run each part of an iteration and wait for it."""
    env = envs.make(env_id, "envpool")
    config = make_config(
        "gail", env_id, overrides={"loop.env_steps": steps, "loop.max_envs": BATCH}
    )
    policy, lanes = policy_of("gail", env.spec, config.settings), lanes_of([config])
    program = loop._programs("gail", "ppo", env.spec, lanes.structure, Parts())
    shown = record_random(env, 4).subsample(20, np.random.default_rng(0))
    expert = expert_sample(shown, env.spec)
    state = {"learner": program.init(lanes.leaves, lanes.keys, expert)}
    rollouts = source(env, policy, 1, BATCH, steps // BATCH)
    state["envs"] = rollouts.start(lanes.keys)
    state["return"] = np.zeros((1, BATCH), np.float32)
    model = find_method("gail").build(env.spec, config.settings["reward"])
    agent = find_agent("ppo").build(env.spec, policy, config.settings["agent"])

    @jit
    @jax.vmap
    def discriminator(learner, rollout, key):
        side = Sample(flatten_time(rollout), np.float32(0.0))
        return model.update(learner.reward_model, expert, side, key)

    @jit
    @jax.vmap
    def improvement(learner, rollout, key):
        experience = Experience(rollout, (), None, None, lambda t: t.reward, np.float32(0.0))
        return agent.update(learner.policy, learner.agent, experience, key)

    def collect():
        keys = fold(lanes.keys, 1)
        state["envs"], state["rollout"] = rollouts.collect(state["learner"], state["envs"], keys)

    def learn():
        state["learner"], state["return"], _ = jax.block_until_ready(
            program.learn(
                lanes.leaves,
                state["learner"],
                expert,
                state["return"],
                state["rollout"],
                state["envs"].carry,
                np.float32(0.0),
                fold(lanes.keys, 2),
            )
        )

    def discriminate():
        jax.block_until_ready(discriminator(state["learner"], state["rollout"], lanes.keys))

    def improve():
        jax.block_until_ready(improvement(state["learner"], state["rollout"], lanes.keys))

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
