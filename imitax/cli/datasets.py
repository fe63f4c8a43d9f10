"""The command that lists demonstrations."""

from imitax.cli.common import answer, demos


@demos.command(name="list")
def list_demonstrations(remote: bool = False, json: bool = False) -> None:
    """List the shipped demonstrations and Minari's datasets; each can be given to --demos.

    Args:
        remote: Minari's datasets that can be downloaded, too (needs imitax[minari] and a connection)
        json: print the list as JSON
    """
    from imitax.data import shipped
    from imitax.formats import minari_list

    sets = {name: _shipped(name) for name in shipped()}
    found = {"local": minari_list.local_datasets()}
    if remote:
        found["remote"] = minari_list.remote_datasets()
    if json:
        listing = {kind: [dataset._asdict() for dataset in datasets] for kind, datasets in found.items()}
        return answer({"shipped": sets, "minari_folder": str(minari_list.datasets_folder())} | listing, True)
    _print(sets, found, minari_list.datasets_folder())


def _shipped(name: str) -> dict:
    from imitax.experts.demonstrate import load_demonstrations

    demonstrations = load_demonstrations(name)
    return {
        "env": demonstrations.env_id,
        "episodes": len(demonstrations),
        "steps": demonstrations.pairs,
        "mean_return": float(demonstrations.returns.mean()),
    }


def _print(sets: dict, found: dict, folder) -> None:
    from imitax.cli.terminal import print_table
    from imitax.stats.units import count, size

    rows = [
        [name, d["env"], str(d["episodes"]), count(d["steps"]), f"{d['mean_return']:.1f}"]
        for name, d in sets.items()
    ]
    print_table("Shipped", ["--demos", "environment", "episodes", "steps", "mean return"], rows)
    titles = {"local": f"Minari, in {folder}", "remote": "Minari, to download: minari download ID"}
    columns = ["--demos", "environment", "episodes", "steps", "size", "note"]
    for kind, datasets in found.items():
        rows = [
            [f"minari:{d.id}", d.env or "", *(_or_blank(form, n) for form, n in
             ((str, d.episodes), (count, d.steps), (size, d.bytes))), d.problem or ""]
            for d in datasets
        ]  # fmt: skip
        if rows:
            print_table(titles[kind], columns, rows)
        else:
            print(f"{titles[kind]}: none.")


def _or_blank(form, number) -> str:
    return "" if number is None else form(number)
