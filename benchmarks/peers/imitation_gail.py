"""GAIL on Acrobot-v1 with HumanCompatibleAI `imitation`, timed round by round.

Runs by itself, in an environment that has `imitation` and its Stable-Baselines3; `speed.py` starts
it:

    python imitation_gail.py --demos PAIRS.npz --rounds 4

PAIRS.npz holds `obs` [N, O], `acts` [N], `next_obs` [N, O] and `dones` [N]. The last line of
stdout is JSON: seconds of every round (collect, discriminator updates, PPO), settings and
versions. The work is that of one `imitax` iteration: envs × horizon steps, PPO with 4 epochs × 4
minibatches and separate 2×100 tanh networks, `disc_steps` Adam steps of a 2×100 tanh
discriminator.
"""

import argparse
import json
import sys
import tempfile
import time
from importlib import metadata

import numpy as np

# Gymnasium 0.29's Acrobot still asks for the name that NumPy 2 dropped
if not hasattr(np, "float_"):
    np.float_ = np.float64


def options() -> argparse.Namespace:
    """The command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--demos", required=True, help="npz with obs, acts, next_obs, dones")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--horizon", type=int, default=80, help="steps per environment and round")
    parser.add_argument("--disc-steps", type=int, default=5)
    parser.add_argument(
        "--demo-batch", type=int, default=0, help="pairs of each side; 0: as imitax, in all"
    )
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: torch's own choice")
    return parser.parse_args()


def transitions(path: str, rows: int):
    """The pairs, repeated until there are `rows`: `imitation` wants as many pairs as it puts in a
    batch.
    """
    from imitation.data.types import Transitions

    with np.load(path) as file:
        data = {name: file[name] for name in ("obs", "acts", "next_obs", "dones")}
    times = -(-rows // len(data["acts"]))
    data = {name: np.concatenate([value] * times) for name, value in data.items()}
    return Transitions(**data, infos=np.array([{}] * len(data["acts"])))


def trainer(args: argparse.Namespace, log_dir: str):
    """PPO and the discriminator, set up for the work that the module's docstring states."""
    import gymnasium
    import torch
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.rewards.reward_nets import BasicRewardNet
    from imitation.util import logger
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    if args.threads:
        torch.set_num_threads(args.threads)
    steps = args.envs * args.horizon
    # imitax puts all pairs of both sides in each discriminator step
    with np.load(args.demos) as file:
        half = args.demo_batch or (len(file["acts"]) + steps) // 2
    venv = DummyVecEnv([lambda: gymnasium.make("Acrobot-v1")] * args.envs)
    ppo = PPO(
        "MlpPolicy",
        venv,
        n_steps=args.horizon,
        batch_size=steps // 4,
        n_epochs=4,
        learning_rate=1e-3,
        gamma=0.995,
        gae_lambda=0.97,
        policy_kwargs={
            "net_arch": {"pi": [100, 100], "vf": [100, 100]},
            "activation_fn": torch.nn.Tanh,
        },
        device="cpu",
        seed=0,
    )
    network = BasicRewardNet(
        venv.observation_space,
        venv.action_space,
        use_next_state=False,
        hid_sizes=(100, 100),
        activation=torch.nn.Tanh,
    )
    return GAIL(
        demonstrations=transitions(args.demos, half),
        demo_batch_size=half,
        venv=venv,
        gen_algo=ppo,
        reward_net=network,
        n_disc_updates_per_round=args.disc_steps,
        gen_replay_buffer_capacity=steps,
        disc_opt_kwargs={"lr": 1e-2},
        allow_variable_horizon=True,
        custom_logger=logger.configure(log_dir, []),
    )


def main() -> None:
    """Train, print the seconds of each round as JSON."""
    args = options()
    with tempfile.TemporaryDirectory() as log_dir:
        gail = trainer(args, log_dir)
        stamps = [time.perf_counter()]
        stderr, sys.stderr = sys.stderr, open("/dev/null", "w")  # its progress bar
        try:
            gail.train(
                args.envs * args.horizon * args.rounds, lambda _: stamps.append(time.perf_counter())
            )
        finally:
            sys.stderr.close()
            sys.stderr = stderr
    import torch

    names = ("imitation", "stable-baselines3", "torch", "gymnasium", "numpy")
    answer = {
        "seconds": np.diff(stamps).tolist(),
        "steps_per_round": args.envs * args.horizon,
        "threads": torch.get_num_threads(),
        "discriminator_rows": 2 * gail.demo_batch_size,
        "versions": {name: metadata.version(name) for name in names},
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
