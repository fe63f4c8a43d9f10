"""The parser: one subcommand for each command, and the names that only the registries know."""

from collections.abc import Callable, Iterable, Mapping

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from imitax.cli.common import AgentName, MethodName, PresetName

Command = Callable[[], None]  # an instance of one of the dataclasses

app = tyro.extras.SubcommandApp()
_COMPLETION = "--tyro-write-completion"


def add(commands: Mapping[str, type], group: tyro.extras.SubcommandApp = app) -> None:
    """Register commands by name."""
    for name, command in commands.items():
        group.command(command, name=name)


def add_group(name: str, help: str, commands: Mapping[str, type]) -> None:
    """Register commands below a name of their own."""
    group = tyro.extras.SubcommandApp()
    group.__doc__ = help  # where tyro looks for it
    add(commands, group)
    app.command(group, name=name)


def parse(arguments: list[str] | None = None) -> Command:
    """The command of a command line, by default this process's; `SystemExit` if there is none."""
    return _parse(arguments, lambda kind: None)


def write_completion(shell: str) -> None:
    """Print tyro's completion script, which offers the names in the registries too."""
    try:
        _parse([_COMPLETION, shell, "-"], _registered)
    except SystemExit as end:  # how tyro returns
        if end.code:
            raise


def _parse(arguments: list[str] | None, choices: Callable[[type], Iterable[str] | None]) -> Command:
    """Parse with `choices` of names: listing them imports JAX, so only completion asks for
    them.
    """
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def name(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[str] | None:
        if info.type not in (MethodName, AgentName, PresetName):
            return None
        names = choices(info.type)
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=info.type.__name__.removesuffix("Name").upper(),
            instance_from_str=lambda texts: info.type(texts[0]),
            is_instance=lambda value: isinstance(value, info.type),
            str_from_instance=lambda value: [value],
            choices=None if names is None else tuple(names),
        )

    return app.cli(
        prog="imitax",
        description="Imitation learning in JAX.",
        config=(tyro.conf.FlagCreatePairsOff,),
        args=arguments,
        registry=registry,
    )


def _registered(kind: type) -> Iterable[str]:
    from imitax.methods.registry import AGENTS, METHODS
    from imitax.training.config import preset_names

    return {MethodName: METHODS, AgentName: AGENTS, PresetName: preset_names()}[kind]
