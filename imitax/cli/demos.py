"""Commands about demonstrations: list, make, record, inspect, convert."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from imitax.cli.common import EnvId, Environment, answer
from imitax.errors import ImitaxError

if TYPE_CHECKING:
    from imitax.envs.base import Env
    from imitax.formats.minari_list import Dataset
    from imitax.policies.external import Expert
    from imitax.policies.policy import TrainedPolicy


@dataclass(frozen=True)
class List:
    """List the shipped demonstrations and Minari's datasets, as --demos takes them."""

    remote: bool = False
    """Include Minari's datasets to download (needs imitax[minari] and a connection)."""
    json: bool = False
    """Print the list as JSON."""

    def __call__(self) -> None:
        from imitax.data import shipped
        from imitax.formats import minari_list

        sets = {name: _describe_shipped(name) for name in shipped()}
        datasets = {"local": minari_list.local_datasets()}
        if self.remote:
            datasets["remote"] = minari_list.remote_datasets()
        folder = minari_list.datasets_folder()
        if self.json:
            listing = {"shipped": sets, "minari_folder": str(folder)}
            listing |= {origin: [d._asdict() for d in ds] for origin, ds in datasets.items()}
            return answer(listing, True)
        _print_shipped(sets)
        _print_datasets(f"Minari, in {folder}", datasets["local"])
        if self.remote:
            _print_datasets("Minari, to download: minari download ID", datasets["remote"])


@dataclass(frozen=True)
class ExpertOptions:
    """The expert; default: an exact solution where there is one, otherwise trained with PPO."""

    policy: Annotated[str | None, arg(metavar="EXPERT")] = None
    """Load a run folder, .safetensors, sb3:FILE.zip or python:module:function."""
    vec_normalize: Annotated[Path | None, arg(metavar="FILE.pkl")] = None
    """Load the VecNormalize statistics of a Stable-Baselines3 policy."""
    trust: bool = False
    """Trust the Stable-Baselines3 files: reading them can run any code."""
    temperature: float = 0.0
    """Set the entropy weight of an exact solution; 0 gives the best policy."""

    def load(self, env: "Env", deterministic: bool) -> "TrainedPolicy | Expert":
        """The expert, trained or solved if none is named."""
        from imitax.cli.terminal import live_bar
        from imitax.experts.exact import exact_expert
        from imitax.policies.external import function_of, stable_baselines3
        from imitax.runs.folder import load_policy
        from imitax.training.train import train

        kind, _, name = (self.policy or "").partition(":")
        if kind == "sb3":
            path, statistics = Path(name), self.vec_normalize
            return stable_baselines3(path, statistics, deterministic, self.trust, env.spec)
        if kind == "python":
            return function_of(name)
        if self.policy is not None:
            return load_policy(Path(self.policy))
        if env.model is not None:
            return exact_expert(env, self.temperature)
        with live_bar("expert") as callbacks:
            return train("rl", env, callbacks=callbacks).policy


@dataclass(frozen=True)
class Make:
    """Record trajectories of an expert, one file for each size of set."""

    environment: Environment
    trajectories: tuple[int, ...] = (1, 4, 7, 10)
    """Record sets of these sizes; the smaller sets begin the larger ones."""
    expert: OmitArgPrefixes[ExpertOptions] = ExpertOptions()
    deterministic: bool = False
    """Take the most likely action instead of sampling (the paper samples)."""
    seed: int = 0
    """Set the seed of the episodes."""
    format: Literal["npz", "json", "minari"] = "npz"
    """Select the format of the files."""
    out: Annotated[Path, arg(metavar="DIR")] = Path("demos")
    """Write to this folder; existing files are never overwritten."""
    json: bool = False
    """Print what was written as JSON."""

    def __call__(self) -> None:
        from imitax.experts.demonstrate import make_demonstrations, new_files
        from imitax.training.config import check_seed

        env = self.environment.make()
        new_files(env, self.trajectories, self.out, self.format)  # before an expert is trained
        check_seed(self.seed)
        files = make_demonstrations(
            self.expert.load(env, self.deterministic),
            env,
            self.trajectories,
            self.out,
            self.format,
            stochastic=not self.deterministic,
            seed=self.seed,
        )
        lines = [
            f"{path}: {len(d)} trajectories, {d.pairs} pairs, "
            f"return {d.returns.mean():.1f} ± {d.returns.std():.1f}"
            for path, d in files.items()
        ]
        answer({str(path): d.describe() for path, d in files.items()}, self.json, "\n".join(lines))


@dataclass(frozen=True)
class Record:
    """Play episodes yourself, in a window or in the browser, and keep the good ones."""

    env: EnvId
    """Name the environment by its id (see `imitax envs`)."""
    out: Annotated[Path | None, arg(metavar="FILE.npz")] = None
    """Append to this file, or create it; default: demos/ENV-by-hand.npz."""
    browser: bool = False
    """Play in a web page that only this machine can reach, instead of a window."""
    keys: Annotated[Path | None, arg(metavar="FILE.toml")] = None
    """Load the mapping of keys (and axes) to actions; default: a built-in one."""
    show_keys: bool = False
    """Print the mapping, as a file to start from, and stop."""
    episodes: int | None = None
    """Stop after keeping this many episodes; default: when you finish or press Ctrl-C."""
    fps: float | None = None
    """Start at this many steps per second; default: the mapping's or the environment's."""
    seed: int = 0
    """Set the seed of the initial states."""
    time_limit: int | None = None
    """Truncate episodes after this many steps; default: the environment's own limit."""
    port: int = 0
    """Serve the page on this port; 0 takes a free one."""
    no_open: bool = False
    """Print the address of the page instead of opening it."""
    json: bool = False
    """Print the result, or the mapping, as JSON."""

    def __call__(self) -> None:
        from imitax import envs, recording

        if self.show_keys:
            spec = envs.make(self.env, "gymnasium", self.time_limit).spec
            keymap = recording.mapping_for(spec, self.keys)
            text = recording.to_toml(keymap, f"Keys of {self.env}")
            return answer(asdict(keymap), self.json, text)
        if not self.browser and (self.port or self.no_open):
            option = "port" if self.port else "no-open"
            raise ImitaxError(f"Option {option} is for the browser: expected --browser with it.")
        result = recording.record(
            self.env,
            self.out,
            page=recording.Page(self.port, not self.no_open) if self.browser else None,
            keys=self.keys,
            episodes=self.episodes,
            seed=self.seed,
            time_limit=self.time_limit,
            fps=self.fps,
            tell=lambda text: print(text, file=sys.stderr, flush=True),
        )
        text = "No episode was kept."
        if result["kept"]:
            text = f"Kept {result['kept']} episode(s), {result['pairs']} pairs: "
            text += f"{result['file']} holds {result['episodes']}."
        answer(result, self.json, text)


@dataclass(frozen=True)
class Inspect:
    """Describe a set of demonstrations."""

    path: Annotated[str, Positional, arg(metavar="PATH")]
    """Name .npz, .json, a Minari folder, minari:ID, or a shipped set such as Acrobot-v1/7."""
    json: bool = False
    """Print the description as JSON."""

    def __call__(self) -> None:
        from imitax.experts.demonstrate import load_demonstrations

        demonstrations = load_demonstrations(self.path)
        description = demonstrations.describe()
        description["fingerprint"] = demonstrations.fingerprint()
        lines = [f"{key}: {_plain(value)}" for key, value in description.items()]
        answer(description, self.json, "\n".join(lines))


@dataclass(frozen=True)
class Convert:
    """Convert demonstrations to the format of the target's suffix (none: Minari)."""

    source: Annotated[str, Positional, arg(metavar="IN")]
    """Name .npz, .json, a Minari folder, minari:ID, or a shipped set such as Acrobot-v1/7."""
    target: Annotated[Path, Positional, arg(metavar="OUT")]
    """Write this new .npz or .json file, or Minari folder."""
    env: str | None = None
    """Name the environment, for the exact spaces and for time limits the source lacks."""
    json: bool = False
    """Print what was written as JSON."""

    def __call__(self) -> None:
        from imitax import envs, formats
        from imitax.experts.demonstrate import load_demonstrations

        spec = None if self.env is None else envs.make(self.env).spec
        demonstrations = load_demonstrations(self.source, spec)
        if spec is not None:
            demonstrations.validate(spec)
        formats.save(demonstrations, self.target, None if self.target.suffix else "minari", spec)
        text = f"{self.target}: {len(demonstrations)} trajectories, {demonstrations.pairs} pairs"
        answer({"file": str(self.target)} | demonstrations.describe(), self.json, text)


def _describe_shipped(name: str) -> dict[str, Any]:
    from imitax.experts.demonstrate import load_demonstrations

    demonstrations = load_demonstrations(name)
    return {
        "env": demonstrations.env_id,
        "episodes": len(demonstrations),
        "steps": demonstrations.pairs,
        "mean_return": float(demonstrations.returns.mean()),
    }


def _print_shipped(sets: dict[str, dict[str, Any]]) -> None:
    from imitax.cli.terminal import print_table
    from imitax.stats.units import count

    rows = [
        [name, d["env"], str(d["episodes"]), count(d["steps"]), f"{d['mean_return']:.1f}"]
        for name, d in sets.items()
    ]
    columns = ["--demos", "environment", "episodes", "steps", "mean return"]
    print_table("Shipped", columns, rows)


def _print_datasets(title: str, datasets: "list[Dataset]") -> None:
    from imitax.cli.terminal import print_table
    from imitax.stats.units import count, size

    def blank_if_unknown(form, number) -> str:
        return "" if number is None else form(number)

    if not datasets:
        return print(f"{title}: none.")
    rows = [
        [
            f"minari:{dataset.id}",
            dataset.env or "",
            blank_if_unknown(str, dataset.episodes),
            blank_if_unknown(count, dataset.steps),
            blank_if_unknown(size, dataset.bytes),
            dataset.problem or "",
        ]
        for dataset in datasets
    ]
    print_table(title, ["--demos", "environment", "episodes", "steps", "size", "note"], rows)


def _plain(value: Any) -> str:
    """A value of a description in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(v)}" for key, v in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
