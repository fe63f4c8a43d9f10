"""Prints the Markdown tables of `speed.py`."""

from speed_flops import Work


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def table(title: str, columns: list[str], rows: list[list]) -> None:
    """A Markdown table on stdout, the first column left-aligned, numbers right-aligned."""
    cells = [columns, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    rule = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    sides = [str.ljust, *[str.rjust] * (len(columns) - 1)]
    lines = [f"| {' | '.join(map(lambda f, c, w: f(c, w), sides, row, widths))} |" for row in cells]
    print("\n".join(["", title, "", lines[0], "|" + "|".join(rule) + "|", *lines[1:]]))


def profile_tables(
    seconds: dict[str, float], rate: dict[str, float], work: dict[str, Work]
) -> dict:
    """Three tables: the parts of an iteration, the machine's rates, and the iteration explained by
    both.

    `seconds` of the parts, `rate` of the machine (operations or elements per second, in the order
    of `speed_loop.rates`), `work` of the parts.
    """
    big, layer, by_weights, tanh = rate.values()
    iteration = seconds["collect"] + seconds["learn"]
    total = sum(work.values(), start=Work(0, 0, 0))

    def row(name: str, time: float, flop: float) -> list[str]:
        share, rate = f"{100 * time / iteration:.0f} %", f"{flop / time / 1e9:.1f}"
        return [name, f"{1e3 * time:.1f}", share, f"{flop / 1e9:.3f}", rate]

    rows = [row(name, seconds[name], work[name].flop) for name in work]
    rows.append(row("of policy: shuffling", seconds["shuffle"], 0))
    rows.append(row("collect + learn, as in training", iteration, total.flop))
    columns = ["part, compiled alone; 5 discriminator steps", "ms", "share", "GFLOP", "GFLOP/s"]
    table("Where an iteration goes", columns, rows)
    named = [[name, f"{value / 1e9:.3g}"] for name, value in rate.items()]
    table("The machine's rates, float32", ["operation", "10⁹ per second"], named)

    products = (total.flop - total.by_weights) / layer + total.by_weights / by_weights
    stepping = seconds["collect"] - work["collect"].flop / layer - work["collect"].tanh / tanh
    spent = {
        "matrix products, at the layer's rates": products,
        "tanh": total.tanh / tanh,
        "shuffling minibatches": seconds["shuffle"],
        "environment and random numbers": max(stepping, 0.0),
    }
    spent["the rest: gradients of tanh, losses, optimisers, copies"] = iteration - sum(
        spent.values()
    )
    spent["all: collect + learn"] = iteration
    spent["(matrix products, at the 2048 rate)"] = total.flop / big
    explained = [
        [name, f"{1e3 * s:.1f}", f"{100 * s / iteration:.0f} %"] for name, s in spent.items()
    ]
    table("What that time is made of, amount ÷ rate", ["", "ms", "share"], explained)
    return {
        "milliseconds": {name: rounded(1e3 * s) for name, s in seconds.items()},
        "gflop": {name: w.flop / 1e9 for name, w in work.items()} | {"iteration": total.flop / 1e9},
        "gflop_per_second": rounded(total.flop / iteration / 1e9),
        "rates_per_second": {name: rounded(value) for name, value in rate.items()},
        "spent_milliseconds": {name: rounded(1e3 * s) for name, s in spent.items()},
    }
