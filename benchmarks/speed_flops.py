"""Floating-point operations of one GAIL iteration, by formula.

Only matrix products are counted. A dense layer i → o on n rows is n·i·o multiply-adds, 2·n·i·o
operations forward; its gradient needs two more products of that size (by the weights, by the
input), except that the gradient by the network's input is not needed: 2·n·i·o less for the first
layer. With m the sum of i·o over a network's layers and i·h its first layer:

    forward(n)  = 2·n·m
    gradient(n) = 6·n·m − 2·n·i·h        (the forward pass included)

One iteration of S environment steps, N expert pairs, k discriminator steps and E PPO epochs:

    collect        forward_π(S)
    discriminator  k · gradient_D(N + S + 1)      (1: the absorbing state)
    reward         forward_D(S + 1)
    policy         forward_π(S) + 2 forward_V(S) + E · (gradient_π(S) + gradient_V(S))

The two forward passes of V are those of the states and of their successors, for GAE.
"""

from itertools import pairwise
from typing import NamedTuple


class Work(NamedTuple):
    """Operations in matrix products, those of gradients by weights among them, and evaluations of
    tanh.
    """

    flop: int
    by_weights: int
    tanh: int

    def __add__(self, other: "Work") -> "Work":
        return Work(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, count: int) -> "Work":
        """The same work `count` times."""
        return Work(*(count * x for x in self))


def forward(rows: int, sizes: tuple[int, ...]) -> Work:
    """A network with layers `sizes` on `rows` inputs; every layer but the last has a tanh."""
    products = sum(i * o for i, o in pairwise(sizes))
    return Work(2 * rows * products, 0, rows * sum(sizes[1:-1]))


def gradient(rows: int, sizes: tuple[int, ...]) -> Work:
    """The gradient of a loss by the weights, forward pass included."""
    once = forward(rows, sizes)
    return Work(3 * once.flop - 2 * rows * sizes[0] * sizes[1], once.flop, once.tanh)


def gail_iteration(
    observations: int,
    actions: int,
    hidden: tuple[int, ...],
    steps: int,
    expert_pairs: int,
    discriminator_steps: int,
    epochs: int,
) -> dict[str, Work]:
    """Work of each part of an iteration: collect, discriminator, reward, policy."""
    policy = (observations, *hidden, actions)
    value = (observations, *hidden, 1)
    discriminator = (observations + actions + 1, *hidden, 1)
    epoch = gradient(steps, policy) + gradient(steps, value)
    return {
        "collect": forward(steps, policy),
        "discriminator": gradient(expert_pairs + steps + 1, discriminator).times(
            discriminator_steps
        ),
        "reward": forward(steps + 1, discriminator),
        "policy": forward(steps, policy) + forward(steps, value).times(2) + epoch.times(epochs),
    }
