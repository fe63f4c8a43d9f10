"""The command that repeats a run, from its configuration. Never imports JAX."""

import shlex

from imitax.runs.read import RunData


def repeat_command(run: RunData) -> str:
    """A command for a shell that names every setting: it does not depend on defaults, which may
    change.
    """
    config, demonstrations = run.run, run.config.get("demonstrations") or {}
    method = config["method"]
    start = ["expert"] if method == "rl" else ["train", method]
    options: dict[str, object] = {"demos": None if method == "rl" else demonstrations.get("source")}
    options["agent"] = config["agent"] if "agent" in config["settings"] else None
    options |= {
        name: config.get(name) for name in ("seeds", "seed", "trajectories", "preset", "init")
    }
    if config.get("subsample", 1) != 1:
        options["subsample"] = config["subsample"]
    if config.get("backend", "auto") != "auto":
        options["backend"] = config["backend"]
    options["time-limit"] = config.get("time_limit")
    options["episodes"] = run.summary["sampled"]["episodes"] // config["seeds"]
    words = [
        f"--{name} {shlex.quote(str(value))}"
        for name, value in options.items()
        if value is not None
    ]
    lines = _wrapped(["imitax", *map(shlex.quote, [*start, config["env"]]), *words], indent="")
    for group, values in config["settings"].items():
        words = [shlex.quote(f"{group}.{name}={_text(value)}") for name, value in values.items()]
        if words:  # a method may have no settings of its own
            lines += _wrapped(["--set", *words])
    return " \\\n  ".join(lines)


def _wrapped(words: list[str], indent: str = "  ", width: int = 92) -> list[str]:
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(indent + word)
    return lines


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
