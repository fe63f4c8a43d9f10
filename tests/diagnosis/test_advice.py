"""Advice can be followed: every setting that it names exists, and takes the value that it
gives.
"""

import ast
import re
from pathlib import Path

import pytest

from imitax.errors import ImitaxError
from imitax.training.config import make_config

ROOT = Path(__file__).parents[2]
SOURCES = (
    *sorted((ROOT / "imitax/diagnosis").glob("*.py")),
    *sorted((ROOT / "imitax/doctor").glob("*.py")),
    ROOT / "docs/diagnosis.md",
)
SETTING = re.compile(r"\b((?:loop|agent|reward|bc|mce_irl)\.[a-z]\w*)(?:=([\w.]+\w))?")
METHODS = (
    ("gail", "CartPole-v1", "ppo"),
    ("gail", "CartPole-v1", "trpo"),
    ("bc", "CartPole-v1", None),
)


def texts(path):
    """The text of a page, or of all strings in a program."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [content]
    nodes = ast.walk(ast.parse(content))
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def named(path):
    """(setting, value or "") for each that is named."""
    return {match for text in texts(path) for match in SETTING.findall(text)}


ADVISED = sorted({(path.name, *setting) for path in SOURCES for setting in named(path)})


def accepts(key, value, method, env, agent):
    config = make_config(method, env, agent=agent)
    group, name = key.split(".")
    if not hasattr(config.settings.get(group), name):
        return False
    if value:
        try:
            make_config(method, env, agent=agent, overrides={key: value})
        except ImitaxError:
            return False
    return True


def test_there_is_advice_to_check():
    settings = {setting for _, setting, _ in ADVISED}
    assert {"reward.updates", "agent.damping", "bc.hidden", "loop.max_envs"} <= settings and len(
        settings
    ) > 10


@pytest.mark.parametrize("source, setting, value", ADVISED)
def test_settings_that_advice_names_exist(source, setting, value):
    assert any(accepts(setting, value, *method) for method in METHODS)
