"""Commands about the installation: methods, envs, cite, completion, doctor."""

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from imitax.cli.app import write_completion
from imitax.cli.common import answer

# tyro's scripts complete commands, options and their choices. These add files where it has nothing
# to offer: run folders and demonstrations. In bash it offers one empty word there.
_FILES = {
    "bash": """\
_imitax() {
  _tyro_imitax "$@"
  if [[ -z "${COMPREPLY[0]}" ]]; then COMPREPLY=(); fi
  if [[ -e "${COMPREPLY[0]}" ]]; then compopt -o filenames; fi
}
complete -o default -F _imitax imitax""",
    "zsh": "(( compstate[nmatches] )) || _files",
    "fish": """\
function _imitax_takes_files
  set -l words (commandline -opc)
  test (count $words) -ge 2; and not string match --quiet -- '-*' $words[-1]
end
complete --command imitax --condition _imitax_takes_files --force-files""",
}


@dataclass(frozen=True)
class Methods:
    """List methods, agents and presets, with every setting and its default."""

    json: bool = False
    """Print the list as JSON."""

    def __call__(self) -> None:
        from imitax.cli.terminal import print_table
        from imitax.training.config import preset_names

        listing = _describe_methods()
        if self.json:
            return answer(listing | {"presets": preset_names()}, True)
        for title, entry in listing.items():
            settings = entry["settings"].items()
            rows = [[key, str(s["default"]), s["meaning"]] for key, s in settings]
            columns = ["--set", "default", "meaning"]
            print_table(f"{title}: {entry['summary']}", columns, rows or [["none", "", ""]])
        print(f"Presets: {', '.join(preset_names())}")


@dataclass(frozen=True)
class Envs:
    """List the environments, and the demonstrations that ship with the package."""

    json: bool = False
    """Print the list as JSON."""

    def __call__(self) -> None:
        from imitax.data import shipped
        from imitax.envs import host, native, tabular
        from imitax.tabular.worlds import TOY_TEXTS

        listing = {
            "native": list(native.IDS),
            "tabular": [*tabular.IDS, *TOY_TEXTS],
            "gymnasium": host.ids(),
            "demonstrations": list(shipped()),
        }
        lines = [f"{name}: {', '.join(values)}" for name, values in listing.items()]
        answer(listing, self.json, "\n".join(lines))


@dataclass(frozen=True)
class Cite:
    """Print the BibTeX entries of a method, of an agent, or of imitax."""

    name: Annotated[str, Positional, arg(metavar="METHOD")] = "imitax"
    """Name the method or agent; default: imitax itself."""

    def __call__(self) -> None:
        from imitax.data.citations import cite

        print(cite(self.name))


@dataclass(frozen=True)
class Completion:
    """Print the script that completes commands and options in a shell."""

    shell: Annotated[Literal["bash", "zsh", "fish"], Positional, arg(metavar="SHELL")]
    """Select the shell, and let it read the script:
    bash: source <(imitax completion bash) in ~/.bashrc
    zsh: as a file _imitax in a folder of $fpath
    fish: as ~/.config/fish/completions/imitax.fish"""

    def __call__(self) -> None:
        write_completion(self.shell)
        print(_FILES[self.shell])


@dataclass(frozen=True)
class Doctor:
    """Check that training works on this machine; exit with code 1 if it does not."""

    json: bool = False
    """Print the findings as JSON."""

    def __call__(self) -> None:
        from imitax.cli.terminal import print_findings
        from imitax.doctor.judge import examine

        report = examine()
        if self.json:
            answer(report, True)
        else:
            print_findings(report)
        if not report["works"]:
            sys.exit(1)


def _describe_methods() -> dict[str, dict[str, Any]]:
    """Title -> summary and settings of each method, each agent and the loop."""
    from imitax.methods.adversarial import LoopConfig
    from imitax.methods.registry import AGENTS, METHODS
    from imitax.training.config import describe_settings

    groups = {}
    for name, entry in METHODS.items():
        groups[f"method {name}"] = entry.summary, "reward" if entry.loop else name, entry.config
    for name, entry in AGENTS.items():
        groups[f"agent {name}"] = entry.summary, "agent", entry.config
    groups["loop"] = "iterations of collecting and updating", "loop", LoopConfig
    listing = {}
    for title, (summary, group, config) in groups.items():
        described = describe_settings(config).items()
        settings = {f"{group}.{name}": setting for name, setting in described}
        listing[title] = {"summary": summary, "settings": settings}
    return listing
