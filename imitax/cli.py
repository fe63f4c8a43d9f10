"""The command line. Every command is a thin wrapper of a function of the package."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, arg

from imitax.errors import ImitaxError

app = tyro.extras.SubcommandApp()
demos = tyro.extras.SubcommandApp()  # subcommands of `imitax demos`

Backend = Literal["auto", "native", "gymnasium"]
# A tuple for each time the option is given: without this, a second --set would undo the first.
Set = Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(name="set", metavar="KEY=VALUE ...")]
Env = Annotated[str, Positional, arg(metavar="ENV")]
RunFolder = Annotated[Path, Positional, arg(metavar="RUN")]
Out = Annotated[Path | None, arg(metavar="DIR")]


@app.command
def quickstart(out: Out = None, seed: int = 0, json: bool = False) -> None:
    """Train an Acrobot-v1 expert, clone and imitate it with GAIL, and compare all with the controls.

    Args:
        out: new folder to write; default runs/TIME-quickstart
        seed: of training
        json: print the summary as JSON instead of the table
    """
    import contextlib
    import io

    from imitax.experiment.quickstart import quickstart as run
    from imitax.experiment.runs import default_folder

    path = out or default_folder("quickstart")
    with contextlib.redirect_stdout(io.StringIO()) if json else contextlib.nullcontext():
        summary = run(path, seed)
    _answer(summary, json, f"{summary['seconds']} s in all. Written to {path}/")


@app.command
def expert(
    env: Env,
    agent: Literal["ppo", "trpo"] | None = None,
    seeds: int = 1,
    seed: int = 0,
    iterations: int | None = None,
    steps: int | None = None,
    backend: Backend = "auto",
    time_limit: int | None = None,
    episodes: int = 100,
    out: Out = None,
    set: Set = (),
    json: bool = False,
) -> None:
    """Train a policy on the true reward.

    Args:
        env: environment id (see `imitax envs`)
        agent: policy optimiser; default ppo, or what the environment's tuned values name
        seeds: how many seeds to train side by side
        seed: the first of them
        iterations: cycles of collecting and updating; default 100
        steps: environment steps per iteration; default 5120
        backend: native (JAX), gymnasium, or auto: native where there is one
        time_limit: steps after which an episode is truncated; default the environment's own
        episodes: fresh evaluation episodes per seed, deterministic and sampled
        out: new run folder; default runs/TIME-rl-ENV
        set: other settings, for example agent.learning_rate=3e-4 (see `imitax methods`)
        json: print the summary as JSON
    """
    _train("rl", env, None, agent, seeds, seed, iterations, steps, None, 1, None, backend, time_limit,
           episodes, out, set, json)  # fmt: skip


@app.command
def train(
    method: Annotated[str, Positional, arg(metavar="METHOD")],
    env: Env,
    demos: Annotated[str | None, arg(metavar="PATH")] = None,
    agent: Literal["ppo", "trpo"] | None = None,
    seeds: int = 1,
    seed: int = 0,
    iterations: int | None = None,
    steps: int | None = None,
    trajectories: int | None = None,
    subsample: int = 1,
    preset: str | None = None,
    backend: Backend = "auto",
    time_limit: int | None = None,
    episodes: int = 100,
    out: Out = None,
    set: Set = (),
    json: bool = False,
) -> None:
    """Learn a policy from demonstrations.

    Args:
        method: bc, gail or constant (see `imitax methods`)
        env: environment id (see `imitax envs`)
        demos: .npz, .json, a Minari folder or minari:ID, or a shipped set such as Acrobot-v1/7
        agent: policy optimiser; default ppo, or what the preset names
        seeds: how many seeds to train side by side, in one program
        seed: the first of them
        iterations: cycles of collecting and updating (bc: epochs); default 100 (bc: 300)
        steps: environment steps per iteration; default 5120
        trajectories: use the first so many demonstrated trajectories; default all
        subsample: keep every so-many-th pair of each trajectory, from a random offset
        preset: published settings: original or paper
        backend: native (JAX), gymnasium, or auto: native where there is one
        time_limit: steps after which an episode is truncated; default the environment's own
        episodes: fresh evaluation episodes per seed, deterministic and sampled
        out: new run folder; default runs/TIME-METHOD-ENV
        set: other settings, for example reward.form=logit reward.steps=5 (see `imitax methods`)
        json: print the summary as JSON
    """
    _train(method, env, demos, agent, seeds, seed, iterations, steps, trajectories, subsample, preset,
           backend, time_limit, episodes, out, set, json)  # fmt: skip


def _train(method, env, source, agent, seeds, seed, iterations, steps, trajectories, subsample, preset,
           backend, time_limit, episodes, out, assignments, as_json):  # fmt: skip
    from imitax import envs
    from imitax.experiment.demonstrate import load_demonstrations
    from imitax.experiment.runs import default_folder, overrides, train_to_folder
    from imitax.experiment.settings import make_config, parse_assignments
    from imitax.experiment.terminal import evaluation_cells, live_bar, print_table

    values = overrides(method, iterations, steps, parse_assignments(sum(assignments, ())))
    config = make_config(
        method, env, agent=agent, preset=preset, overrides=values, backend=backend, time_limit=time_limit,
        seed=seed, seeds=seeds, trajectories=trajectories, subsample=subsample,
    )  # fmt: skip
    world = envs.make(env, backend, time_limit)
    demonstrations = None if source is None else load_demonstrations(source, world.spec)
    path = out or default_folder(f"{method}-{env.replace('/', '_')}")
    with live_bar(method) as progress:
        _, summary = train_to_folder(config, world, demonstrations, path, episodes, progress, source)
    if as_json:
        return _answer(summary, True)
    rows = [
        [kind, *evaluation_cells(summary[kind], summary[kind].get("normalised"))]
        for kind in ("deterministic", "sampled")
    ]
    rows += [[kind, *evaluation_cells(summary[kind], None)] for kind in ("expert", "random") if summary[kind]]
    print_table(f"{method} on {env}, {seeds} seed(s)", ["policy", "return", "95 % interval", "score"], rows)
    print(f"{summary['seconds']:.1f} s, {summary['env_steps_per_seed']:,} environment steps per seed.")
    print(f"Written to {path}/")


@app.command
def evaluate(
    run: RunFolder, episodes: int = 100, stochastic: bool = False, seed: int = 0, json: bool = False
) -> None:
    """Play fresh episodes with the policies of a run.

    Args:
        run: run folder
        episodes: per seed of the run
        stochastic: sample actions instead of taking the most likely
        seed: of the evaluation episodes
        json: print the result as JSON, with every episode's return
    """
    from imitax.experiment.evaluation import evaluate as play
    from imitax.experiment.runs import load_run
    from imitax.experiment.stats import describe_returns
    from imitax.experiment.terminal import evaluation_cells, print_table

    found = load_run(run)
    result = play(found.policies, found.env(), episodes, stochastic, seed)
    described = describe_returns(result.returns)
    if json:
        return _answer(
            described | {"returns": result.returns.tolist(), "lengths": result.lengths.tolist()}, True
        )
    rows = [["all seeds", *evaluation_cells(described, None)[:2]]]
    for index, returns in enumerate(result.returns):
        cells = evaluation_cells(describe_returns(returns), None)[:2]
        rows.append([f"seed {found.config.seed + index}", *cells])
    print_table(f"{run}, {episodes} episodes each", ["policy", "return", "95 % interval"], rows)


@app.command
def watch(
    run: RunFolder,
    save: Annotated[Path | None, arg(metavar="FILE.gif")] = None,
    stochastic: bool = False,
    policy: int = 0,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Render an episode with Gymnasium's own renderer, in a window or to a file.

    Args:
        run: run folder
        save: new .gif file; default: a window
        stochastic: sample actions instead of taking the most likely
        policy: which of the run's seeds, from 0
        seed: of the episode
        json: print the episode's return and length as JSON
    """
    from imitax.experiment.runs import load_policy
    from imitax.experiment.watch import watch as show

    episode = show(load_policy(run, policy), save, stochastic, seed)
    where = f" Written to {save}" if save else ""
    _answer(episode, json, f"Return {episode['return']:.1f} in {episode['length']} steps.{where}")


@app.command
def methods(json: bool = False) -> None:
    """List methods and agents with their settings and defaults.

    Args:
        json: print the list as JSON
    """
    from imitax.experiment.settings import describe_settings, preset_names
    from imitax.experiment.terminal import print_table
    from imitax.methods.adversarial import LoopConfig
    from imitax.methods.registry import AGENTS, METHODS

    tables = {f"method {name}": (entry.summary, "reward" if entry.loop else name, entry.config)
              for name, entry in METHODS.items()}  # fmt: skip
    tables |= {f"agent {name}": (entry.summary, "agent", entry.config) for name, entry in AGENTS.items()}
    tables["loop"] = ("cycles of collecting and updating", "loop", LoopConfig)
    listing = {
        title: {
            "summary": summary,
            "settings": {f"{group}.{key}": value for key, value in describe_settings(config).items()},
        }
        for title, (summary, group, config) in tables.items()
    }
    if json:
        return _answer(listing | {"presets": preset_names()}, True)
    for title, entry in listing.items():
        rows = [[key, str(s["default"]), s["meaning"]] for key, s in entry["settings"].items()]
        print_table(
            f"{title}: {entry['summary']}", ["--set", "default", "meaning"], rows or [["none", "", ""]]
        )
    print(f"Presets: {', '.join(preset_names())}")


@app.command
def envs(json: bool = False) -> None:
    """List native environments, Gymnasium's, and the demonstrations that ship with the package.

    Args:
        json: print the list as JSON
    """
    from imitax.data import shipped
    from imitax.envs import host, native

    listing = {"native": list(native.IDS), "gymnasium": host.ids(), "demonstrations": list(shipped())}
    lines = [f"{name}: {', '.join(values)}" for name, values in listing.items()]
    _answer(listing, json, "\n".join(lines))


@app.command
def study(
    name: Annotated[str, Positional, arg(metavar="NAME")],
    seeds: int = 5,
    iterations: int = 300,
    only: tuple[str, ...] = (),
    out: Out = None,
    json: bool = False,
) -> None:
    """Repeat a study: every run and every figure; what is already there is not run again.

    Args:
        name: acrobot, the original study of GAIL on Acrobot-v1, corrected
        seeds: for each run, trained side by side
        iterations: of each run, 5,000 environment steps each
        only: names of runs, to make only these; default all
        out: folder of raw results, figures and summary; default studies/NAME
        json: print the summary as JSON
    """
    from imitax.experiment.study import CASES
    from imitax.experiment.study import study as run_study
    from imitax.experiment.terminal import live_bar, print_table

    path = out or Path("studies") / name
    summary = run_study(name, path, seeds, iterations, only, live_bar)
    if json:
        return _answer(summary, True)
    rows = []
    for key, entry in summary.items():
        sampled, low_high = entry["return_sampled"], entry["return_sampled"]["interval"]
        cells = [f"{sampled['interquartile_mean']:.1f}", "[{:.1f}, {:.1f}]".format(*low_high)]
        mode = f"{entry['return_deterministic']['interquartile_mean']:.1f}"
        rows.append([f"{key}: {CASES[key].label}", *cells, mode, f"{entry['seconds']:.0f}"])
    columns = ["run", "return, sampled (IQM)", "95 % interval", "deterministic (IQM)", "seconds"]
    print_table(f"Study {name}, {seeds} seeds", columns, rows)
    print(f"Figures in {path}/figures/")


@demos.command
def make(
    env: Env,
    trajectories: tuple[int, ...] = (1, 4, 7, 10),
    policy: Annotated[Path | None, arg(metavar="RUN")] = None,
    format: Literal["npz", "json", "minari"] = "npz",
    out: Annotated[Path, arg(metavar="DIR")] = Path("demos"),
    deterministic: bool = False,
    seed: int = 0,
    backend: Backend = "auto",
    time_limit: int | None = None,
    json: bool = False,
) -> None:
    """Record trajectories of an expert, one file for each number of them.

    Args:
        env: environment id
        trajectories: how many trajectories, one file for each number; smaller sets begin larger ones
        policy: run folder of the expert; default: train one on the true reward first
        format: of the files
        out: folder to write to; files in it are never replaced
        deterministic: take the most likely action instead of sampling, as the paper does
        seed: of the episodes
        backend: native (JAX), gymnasium, or auto: native where there is one
        time_limit: steps after which an episode is truncated; default the environment's own
        json: print what was written as JSON
    """
    from imitax import envs
    from imitax.experiment.demonstrate import make_demonstrations, new_files
    from imitax.experiment.runs import load_policy
    from imitax.experiment.runs import train as run_training
    from imitax.experiment.settings import check_seed
    from imitax.experiment.terminal import live_bar

    world = envs.make(env, backend, time_limit)
    new_files(world, trajectories, out, format)  # before an expert is trained in vain
    check_seed(seed)
    if policy is not None:
        chosen = load_policy(policy)
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
    _answer(listing, json, "\n".join(lines))


@demos.command
def inspect(path: Annotated[str, Positional, arg(metavar="PATH")], json: bool = False) -> None:
    """Say what demonstrations hold.

    Args:
        path: .npz, .json, a Minari folder or minari:ID, or a shipped set such as Acrobot-v1/7
        json: print it as JSON
    """
    from imitax.experiment.demonstrate import load_demonstrations

    demonstrations = load_demonstrations(path)
    described = demonstrations.describe() | {"fingerprint": demonstrations.fingerprint()}
    _answer(described, json, "\n".join(f"{key}: {_plain(value)}" for key, value in described.items()))


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
    from imitax.experiment.demonstrate import load_demonstrations

    spec = None if env is None else envs.make(env).spec
    demonstrations = load_demonstrations(source, spec)
    if spec is not None:
        demonstrations.validate(spec)
    formats.save(demonstrations, target, None if target.suffix else "minari", spec)
    _answer(
        {"file": str(target)} | demonstrations.describe(),
        json,
        f"{target}: {len(demonstrations)} trajectories, {demonstrations.pairs} pairs",
    )


app.command(name="demos")(demos)


def _plain(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(v)}" for key, v in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _answer(data, as_json: bool, text: str = "") -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False) if as_json else text)


def main() -> None:
    """Run a command; bad input ends with one sentence on stderr and exit code 2."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        print(f"imitax {version('imitax')}")
        return
    try:
        app.cli(
            prog="imitax", description="Imitation learning in JAX.", config=(tyro.conf.FlagCreatePairsOff,)
        )
    except ImitaxError as error:
        print(f"imitax: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe had enough
        sys.stderr.close()
    except OSError as error:  # no room, no permission, no such folder
        print(f"imitax: {error}.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("imitax: interrupted.", file=sys.stderr)
        sys.exit(130)
