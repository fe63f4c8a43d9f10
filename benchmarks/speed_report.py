"""How `speed.py` prints: Markdown tables, and those of the profile."""

from speed_flops import Work


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def table(title: str, columns: list[str], rows: list[list]) -> None:
    """A Markdown table on stdout, the first column left, figures right."""
    cells = [columns, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    rule = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    sides = [str.ljust, *[str.rjust] * (len(columns) - 1)]
    lines = [f"| {' | '.join(map(lambda f, c, w: f(c, w), sides, row, widths))} |" for row in cells]
    print("\n".join(["", title, "", lines[0], "|" + "|".join(rule) + "|", *lines[1:]]))


def profile_tables(seconds: dict[str, float], rate: dict[str, float], work: dict[str, Work]) -> dict:
    """Three tables: the parts of an iteration, the machine's rates, the iteration explained by them.

    `seconds` of the parts, `rate` of the machine (operations or elements per second, in the order of
    `speed_loop.rates`), `work` of the parts.
    """
    big, layer, by_weights, tanh = rate.values()
    whole = seconds["collect"] + seconds["learn"]
    total = sum(work.values(), start=Work(0, 0, 0))

    def row(name, taken, flop):
        return [name, f"{1e3 * taken:.1f}", f"{100 * taken / whole:.0f} %", f"{flop / 1e9:.3f}",
                f"{flop / taken / 1e9:.1f}"]  # fmt: skip

    rows = [row(name, seconds[name], work[name].flop) for name in work]
    rows.append(row("of policy: shuffling", seconds["shuffle"], 0))
    rows.append(row("collect + learn, as in training", whole, total.flop))
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
    spent["the rest: gradients of tanh, losses, optimisers, copies"] = whole - sum(spent.values())
    spent["all: collect + learn"] = whole
    spent["(matrix products, had they the 2048 rate)"] = total.flop / big
    explained = [[name, f"{1e3 * s:.1f}", f"{100 * s / whole:.0f} %"] for name, s in spent.items()]
    table("What that time is made of, amount ÷ rate", ["", "ms", "share"], explained)
    return {
        "milliseconds": {name: rounded(1e3 * s) for name, s in seconds.items()},
        "gflop": {name: w.flop / 1e9 for name, w in work.items()} | {"iteration": total.flop / 1e9},
        "gflop_per_second": rounded(total.flop / whole / 1e9),
        "rates_per_second": {name: rounded(value) for name, value in rate.items()},
        "spent_milliseconds": {name: rounded(1e3 * s) for name, s in spent.items()},
    }
