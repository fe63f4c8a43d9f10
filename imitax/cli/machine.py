"""Commands about the package itself: cite, completion, doctor."""

from typing import Annotated, Literal

from tyro.conf import Positional, arg

from imitax.cli.common import answer, app, run

# tyro's script completes commands, options and their choices. These complete files where it has nothing to
# offer: run folders and demonstrations. In bash it then offers one empty word.
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


@app.command
def cite(name: Annotated[str, Positional, arg(metavar="METHOD")] = "imitax") -> None:
    """Print the BibTeX of a method or an agent.

    Args:
        name: gail, bc, fem, gtal, mce_irl, ppo, trpo, …; default imitax itself
    """
    from imitax.data.citations import cite as entries

    print(entries(name))


@app.command
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Positional, arg(metavar="SHELL")],
) -> None:
    """Print the script that completes commands and options in bash, zsh or fish.

    Args:
        shell: bash (source <(imitax completion bash) in ~/.bashrc), zsh (to a file _imitax in a folder of
            $fpath), fish (to ~/.config/fish/completions/imitax.fish)
    """
    try:
        run(["--tyro-write-completion", shell, "-"])
    except SystemExit as stop:  # tyro is done
        if stop.code:
            raise
    print(_FILES[shell])


@app.command
def doctor(json: bool = False) -> None:
    """Look whether training can run here (if not, exit code 1), and at what is known to hinder it.

    Args:
        json: print the findings as JSON
    """
    import sys

    from imitax.cli.terminal import print_findings
    from imitax.doctor.judge import examine

    found = examine()
    if json:
        answer(found, True)
    else:
        print_findings(found)
    if not found["works"]:
        sys.exit(1)
