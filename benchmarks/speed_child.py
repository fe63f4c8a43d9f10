"""GAIL on Acrobot-v1 as one program: import, train, evaluate. `speed.py` starts and times it.

    python speed_child.py --demos Acrobot-v1/1 --iterations 40 --seed 0

It prints a JSON line at each event: "imported", "iteration" (the end of the first one, when all of
training is compiled), "trained", "evaluated" (deterministic episodes, with their mean return). The
clock of `speed.py` starts before this process.
"""

import argparse
import itertools
import json
from statistics import median


def say(event: str, **figures) -> None:
    """Print one event as a JSON line, unbuffered."""
    print(json.dumps({"event": event, **figures}), flush=True)


def main() -> None:
    """Train, evaluate, report."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--demos", default="Acrobot-v1/1", help="file or shipped set")
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--steps", type=int, default=5120, help="environment steps per iteration")
    parser.add_argument(
        "--disc-steps", type=int, help="of the discriminator; default: the package's"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=100, help="of the evaluation; 0: none")
    args = parser.parse_args()

    import time

    import imitax

    env = imitax.make("Acrobot-v1", "native")
    demonstrations = imitax.load_demonstrations(args.demos)
    say("imported")
    stamps = []

    def note(moment):
        stamps.append(time.perf_counter())
        if moment.iteration == 0:
            say("iteration")

    settings = {} if args.disc_steps is None else {"reward.updates": args.disc_steps}
    training = imitax.train(
        "gail",
        env,
        demonstrations,
        seed=args.seed,
        iterations=args.iterations,
        steps=args.steps,
        settings=settings,
        callbacks=[note],
    )
    between = [after - before for before, after in itertools.pairwise(stamps)]
    say("trained", iteration_seconds=median(between) if between else 0.0)
    if args.episodes:
        evaluation = imitax.evaluate(training.policy, env, args.episodes)
        say("evaluated", mean_return=float(evaluation.returns.mean()), env_steps=training.env_steps)


if __name__ == "__main__":
    main()
