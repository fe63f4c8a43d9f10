"""Commands that look: evaluate, watch, transfer, report, methods, envs."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from imitax.cli.common import Env, RunFolder, answer, app


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
    from imitax.cli.terminal import evaluation_cells, print_table
    from imitax.runs.folder import load_run
    from imitax.stats.estimates import describe_returns
    from imitax.training.evaluation import evaluate as play

    found = load_run(run)
    result = play(found.policies, found.env(), episodes, stochastic, seed)
    described = describe_returns(result.returns)
    if json:
        return answer(
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
    save: Annotated[Path | None, arg(metavar="FILE")] = None,
    episodes: int = 1,
    stochastic: bool = False,
    policy: int = 0,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Watch a policy play, with Gymnasium's own renderer, in a window or in a file.

    Args:
        run: run folder
        save: new .gif or .mp4 file; default: a window, until it is closed or Escape is pressed
        episodes: one after the other
        stochastic: sample actions instead of taking the most likely
        policy: which of the run's seeds, from 0
        seed: of the first episode; each next one has the next
        json: print the episodes' returns and lengths as JSON
    """
    from imitax.rendering.watch import watch as show
    from imitax.runs.folder import load_policy

    played = show(load_policy(run, policy), save, stochastic, seed, episodes)
    pairs = zip(played["returns"], played["lengths"], strict=True)
    lines = [f"Return {total:.1f} in {length} steps." for total, length in pairs]
    if save:
        lines[-1] += f" Written to {save}"
    answer(played, json, "\n".join(lines))


@app.command
def transfer(run: RunFolder, env: Env, time_limit: int | None = None, json: bool = False) -> None:
    """Plan in another tabular environment with the reward that an mce_irl run has learnt.

    Args:
        run: run folder of mce_irl
        env: environment id (see `imitax envs`)
        time_limit: steps after which an episode is truncated; for an environment that has none of its own
        json: print the result as JSON
    """
    from imitax import envs
    from imitax.cli.terminal import print_table
    from imitax.runs.folder import load_run
    from imitax.training.planning import transfer as plan_again

    found = plan_again(load_run(run), envs.make(env, time_limit=time_limit))
    if json:
        return answer(found, True)
    rows = [
        [label, f"{sum(values) / len(values):.4g}"]
        for label, values in (
            ("planned anew with the learnt reward", found["return_planned_anew"]),
            ("the run's own policy", found["return_old_policy"] or [float("nan")]),
            ("best", [found["return_best"]]),
            ("random", [found["return_random"]]),
        )
    ]
    title = f"Discounted return in {found['to']}, reward learnt in {found['from']}"
    print_table(title, ["policy", "return"], rows)


@app.command
def report(
    runs: Annotated[tuple[Path, ...], Positional, arg(metavar="RUN ...")],
    out: Annotated[Path, arg(metavar="FILE.html")] = Path("report.html"),
    still: bool = False,
    json: bool = False,
) -> None:
    """Write one HTML file about one or several runs: results, curves, where the policy goes, how it moves.

    Args:
        runs: run folders of one environment (required); the first imitating method is the headline
        out: new .html file; it opens without a network
        still: leave out the animation (needs neither JAX nor a renderer then, so it is quick)
        json: print the file and its size as JSON
    """
    from imitax.diagnosis.run import sentences
    from imitax.report.write import write_report

    written = write_report(list(runs), out, still, sentences)
    answer(written, json, f"Written to {written['file']} ({written['bytes'] / 1e6:.1f} MB)")


@app.command
def methods(json: bool = False) -> None:
    """List methods and agents with their settings and defaults.

    Args:
        json: print the list as JSON
    """
    from imitax.cli.terminal import print_table
    from imitax.methods.adversarial import LoopConfig
    from imitax.methods.registry import AGENTS, METHODS
    from imitax.training.config import describe_settings, preset_names

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
        return answer(listing | {"presets": preset_names()}, True)
    for title, entry in listing.items():
        rows = [[key, str(s["default"]), s["meaning"]] for key, s in entry["settings"].items()]
        print_table(
            f"{title}: {entry['summary']}", ["--set", "default", "meaning"], rows or [["none", "", ""]]
        )
    print(f"Presets: {', '.join(preset_names())}")


@app.command
def envs(json: bool = False) -> None:
    """List native and tabular environments, Gymnasium's, and the demonstrations that ship with the package.

    Args:
        json: print the list as JSON
    """
    from imitax.data import shipped
    from imitax.envs import host, native, tabular
    from imitax.tabular.worlds import TOY_TEXTS

    in_tables = [*tabular.IDS, *TOY_TEXTS]
    listing = {
        "native": list(native.IDS),
        "tabular": in_tables,
        "gymnasium": host.ids(),
        "demonstrations": list(shipped()),
    }
    lines = [f"{name}: {', '.join(values)}" for name, values in listing.items()]
    answer(listing, json, "\n".join(lines))
