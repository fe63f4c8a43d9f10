"""Times the host path: EnvPool alone, collecting with a policy, and all of GAIL, parts apart.

Parts take turns in every round, so that a busy machine slows them alike; medians over rounds are printed.
"""

import argparse
import os
import time

import jax
import numpy as np

from imitax import envs
from imitax.experiment.collecting import fold, source
from imitax.experiment.compiling import jit
from imitax.experiment.evaluation import record_random
from imitax.experiment.settings import make_config
from imitax.experiment.training import compiled, expert_pairs
from imitax.methods.registry import find_agent, find_method

ENVS = ("HalfCheetah-v5", "Hopper-v5", "Ant-v5", "Humanoid-v5")
BATCH = 64


def raw(env_id: str, steps: int):
    """A function that takes `steps` steps with random actions drawn before; EnvPool resets as it does."""
    import envpool

    pool = envpool.make_gymnasium(env_id, num_envs=BATCH, num_threads=len(os.sched_getaffinity(0)), seed=0)
    space = pool.action_space
    actions = np.random.default_rng(0).uniform(space.low, space.high, (steps // BATCH, BATCH, *space.shape))
    pool.reset()

    def play():
        for action in actions:
            pool.step(action)

    return play


def parts(env_id: str, steps: int, discriminator_steps: int) -> dict:
    """Functions without arguments that do, and wait for, each part of an iteration."""
    env = envs.make(env_id, "envpool")
    overrides = {"loop.steps": steps, "loop.envs": BATCH, "reward.steps": discriminator_steps}
    config = make_config("gail", env_id, overrides=overrides)
    program, keys = compiled(config, env.spec), jax.vmap(jax.random.key)(np.arange(1))
    shown = record_random(env, 4).subsample(20, np.random.default_rng(0))
    expert = expert_pairs(shown, env.spec)
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
        "raw": raw(env_id, steps), "collect": collect, "learn": learn,
        "discriminator": discriminate, "policy and value": improve,
    }  # fmt: skip


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("envs", nargs="*", default=ENVS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4096, help="of an iteration")
    parser.add_argument("--discriminator-steps", type=int, default=5)
    options = parser.parse_args()
    print(
        "| environment | EnvPool alone, steps/s | collecting | GAIL | ms: collect | learn | of which", end=""
    )
    print(" discriminator | policy and value |\n|---|---|---|---|---|---|---|---|")
    for env_id in options.envs:
        functions = parts(env_id, options.steps, options.discriminator_steps)
        taken = {name: [] for name in functions}
        for turn in range(options.rounds + 1):  # the first compiles
            for name, function in functions.items():
                start = time.perf_counter()
                function()
                if turn:
                    taken[name].append(time.perf_counter() - start)
        median = {name: float(np.median(values)) for name, values in taken.items()}
        whole = median["collect"] + median["learn"]
        share = [f"{100 * median['raw'] / seconds:.0f} %" for seconds in (median["collect"], whole)]
        times = " | ".join(f"{1000 * median[name]:.0f}" for name in list(functions)[1:])
        print(
            f"| {env_id} | {options.steps / median['raw']:,.0f} | {share[0]} | {share[1]} | {times} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
