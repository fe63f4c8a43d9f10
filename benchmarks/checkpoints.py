"""Measures the share of training time spent on writing checkpoints, at the default interval."""

import argparse
import tempfile
import time
from pathlib import Path

from imitax.envs import make
from imitax.experts.demonstrate import load_demonstrations
from imitax.runs import checkpoint, recorder
from imitax.training.config import make_config
from imitax.training.fit import fit


def share(seeds: int, iterations: int) -> tuple[float, float, int]:
    """(seconds of training, seconds of them spent on checkpoints, checkpoints) of GAIL on
    Acrobot-v1.
    """
    config = make_config(
        "gail", "Acrobot-v1", seeds=seeds, overrides={"loop.iterations": iterations}
    )
    env, demonstrations = make("Acrobot-v1"), load_demonstrations("Acrobot-v1/7")
    with tempfile.TemporaryDirectory() as folder:
        one = recorder.Recorder(Path(folder), config, recorder.default_interval(config))
        spent, begun, keep, save, count = 0.0, None, one._keep, checkpoint.save, 0

        def timed(total, state, history):
            nonlocal spent, begun
            begun = time.perf_counter() if begun is None else begun  # after compiling
            start = time.perf_counter()
            keep(total, state, history)
            spent += time.perf_counter() - start

        def counted(*arguments):
            nonlocal count
            count += 1
            save(*arguments)

        one._keep, checkpoint.save = timed, counted
        with one.recording():
            fit(config, env, demonstrations, [one])
        checkpoint.save = save
        return time.perf_counter() - begun, spent, count


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=200)
    options = parser.parse_args()
    print(
        "| seeds | seconds of training | checkpoints | writing them | share "
        "|\n|---|---|---|---|---|"
    )
    for seeds in (1, 5):
        total, spent, count = share(seeds, max(2, options.iterations // seeds))
        print(f"| {seeds} | {total:.1f} | {count} | {spent:.2f} s | {100 * spent / total:.1f} % |")


if __name__ == "__main__":
    main()
