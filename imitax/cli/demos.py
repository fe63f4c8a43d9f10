"""Commands for demonstrations: make, record, inspect, convert."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from imitax.cli.common import Backend, Env, answer, app, demos


@demos.command
def make(
    env: Env,
    trajectories: tuple[int, ...] = (1, 4, 7, 10),
    policy: Annotated[str | None, arg(metavar="EXPERT")] = None,
    vec_normalize: Annotated[Path | None, arg(metavar="FILE.pkl")] = None,
    trust: bool = False,
    format: Literal["npz", "json", "minari"] = "npz",
    out: Annotated[Path, arg(metavar="DIR")] = Path("demos"),
    deterministic: bool = False,
    temperature: float = 0.0,
    seed: int = 0,
    backend: Backend = "auto",
    time_limit: int | None = None,
    json: bool = False,
) -> None:
    """Record trajectories of an expert, one file for each number of them.

    Args:
        env: environment id
        trajectories: how many trajectories, one file for each number; smaller sets begin larger ones
        policy: run folder, .safetensors, sb3:FILE.zip or python:module:function; default: trained, or solved
        vec_normalize: statistics of VecNormalize that belong to a policy of Stable-Baselines3
        trust: read files of Stable-Baselines3, which can run any code when they are read
        format: of the files
        out: folder to write to; files in it are never replaced
        deterministic: take the most likely action instead of sampling, as the paper does
        temperature: weight of the entropy in an exact solution; default none: the best policy
        seed: of the episodes
        backend: native (JAX), envpool, gymnasium, or auto: the first of them that has it
        time_limit: steps after which an episode is truncated; default the environment's own
        json: print what was written as JSON
    """
    from imitax import envs
    from imitax.cli.terminal import live_bar
    from imitax.experts.demonstrate import make_demonstrations, new_files
    from imitax.policies.external import function_of, stable_baselines3
    from imitax.runs.folder import load_policy
    from imitax.runs.folder import train as run_training
    from imitax.training.config import check_seed
    from imitax.training.planning import exact_expert

    world = envs.make(env, backend, time_limit)
    new_files(world, trajectories, out, format)  # before an expert is trained in vain
    check_seed(seed)
    kind, _, name = (policy or "").partition(":")
    if kind == "sb3":
        chosen = stable_baselines3(Path(name), vec_normalize, deterministic, trust, world.spec)
    elif kind == "python":
        chosen = function_of(name)
    elif policy is not None:
        chosen = load_policy(Path(policy))
    elif world.model is not None:
        chosen = exact_expert(world, temperature)
    else:
        with live_bar("expert") as progress:
            chosen = run_training("rl", world, progress=progress).policy
    files = make_demonstrations(chosen, world, trajectories, out, format, not deterministic, seed)
    listing = {str(path): d.describe() for path, d in files.items()}
    lines = [
        f"{path}: {len(d)} trajectories, {d.pairs} pairs, "
        f"return {d.returns.mean():.1f} ± {d.returns.std():.1f}"
        for path, d in files.items()
    ]
    answer(listing, json, "\n".join(lines))


@demos.command
def record(
    env: Env,
    out: Annotated[Path | None, arg(metavar="FILE.npz")] = None,
    browser: bool = False,
    keys: Annotated[Path | None, arg(metavar="FILE.toml")] = None,
    show_keys: bool = False,
    episodes: int | None = None,
    fps: float | None = None,
    seed: int = 0,
    time_limit: int | None = None,
    port: int = 0,
    no_open: bool = False,
    json: bool = False,
) -> None:
    """Play episodes yourself, in a window or in the browser, and keep those that you like.

    Args:
        env: environment id
        out: file to add to, or to make; default demos/ENV-by-hand.npz
        browser: play in a page that only this machine can reach, instead of a window
        keys: mapping of keys (and axes) to actions; default one that comes along
        show_keys: only print the mapping, as a file to start from
        episodes: end after so many kept ones; default when you finish, or press Ctrl-C
        fps: steps per second at the start; default the mapping's, or the environment's
        seed: of the episodes' first states
        time_limit: steps after which an episode is truncated; default the environment's own
        port: of the page; 0 takes a free one
        no_open: do not open the page, only print its address
        json: print what was kept, or the mapping, as JSON
    """
    import sys
    from dataclasses import asdict

    from imitax import envs, recording
    from imitax.errors import ImitaxError

    if show_keys:
        keymap = recording.mapping_for(envs.make(env, "gymnasium", time_limit).spec, keys)
        return answer(asdict(keymap), json, recording.to_toml(keymap, f"Keys of {env}"))
    if not browser and (port or no_open):
        option = "port" if port else "no-open"
        raise ImitaxError(f"Option {option} is for the browser: expected --browser with it.")
    result = recording.record(
        env,
        out,
        page=recording.Page(port, not no_open) if browser else None,
        keys=keys,
        episodes=episodes,
        seed=seed,
        time_limit=time_limit,
        fps=fps,
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )
    kept = f"Kept {result['kept']} episode(s), {result['pairs']} pairs"
    text = f"{kept}: {result['file']} holds {result['episodes']}." if result["kept"] else "Nothing was kept."
    answer(result, json, text)


@demos.command
def inspect(path: Annotated[str, Positional, arg(metavar="PATH")], json: bool = False) -> None:
    """Say what demonstrations hold.

    Args:
        path: .npz, .json, a Minari folder or minari:ID, or a shipped set such as Acrobot-v1/7
        json: print it as JSON
    """
    from imitax.experts.demonstrate import load_demonstrations

    demonstrations = load_demonstrations(path)
    described = demonstrations.describe() | {"fingerprint": demonstrations.fingerprint()}
    answer(described, json, "\n".join(f"{key}: {_plain(value)}" for key, value in described.items()))


@demos.command
def convert(
    source: Annotated[str, Positional, arg(metavar="IN")],
    target: Annotated[Path, Positional, arg(metavar="OUT")],
    env: str | None = None,
    json: bool = False,
) -> None:
    """Write demonstrations in another format; the target's ending says which (none: Minari).

    Args:
        source: what to read
        target: new .npz or .json file, or folder for Minari
        env: environment id, for the exact spaces and for time limits that the source does not tell
        json: print what was written as JSON
    """
    from imitax import envs, formats
    from imitax.experts.demonstrate import load_demonstrations

    spec = None if env is None else envs.make(env).spec
    demonstrations = load_demonstrations(source, spec)
    if spec is not None:
        demonstrations.validate(spec)
    formats.save(demonstrations, target, None if target.suffix else "minari", spec)
    answer(
        {"file": str(target)} | demonstrations.describe(),
        json,
        f"{target}: {len(demonstrations)} trajectories, {demonstrations.pairs} pairs",
    )


def _plain(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(v)}" for key, v in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


app.command(name="demos")(demos)
