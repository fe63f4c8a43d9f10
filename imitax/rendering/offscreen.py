"""Finds a library with which MuJoCo renders without a display: EGL or OSMesa."""

import os
import subprocess
import sys
from functools import cache
from typing import Any

_LIBRARIES = ("egl", "osmesa")  # the first uses a GPU if there is one

# As the environments do, but in another process: a broken library may crash it.
_ATTEMPT = """
import mujoco
from mujoco.{name} import GLContext
context = GLContext(64, 64)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100)
"""


@cache
def offscreen_library() -> str | None:
    """The value for MUJOCO_GL: the user's own, or the first library that works, or None."""
    if chosen := os.environ.get("MUJOCO_GL"):
        return chosen
    return next((name for name in _LIBRARIES if _works(name)), None)


def _works(name: str) -> bool:
    environment = os.environ | {"MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
    try:
        command = [sys.executable, "-c", _ATTEMPT.format(name=name)]
        process = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return process.returncode == 0


def is_mujoco(env: Any) -> bool:
    """Whether a Gymnasium environment is a MuJoCo one, including the user's own."""
    return any(kind.__name__ == "MujocoEnv" for kind in type(env.unwrapped).__mro__)
