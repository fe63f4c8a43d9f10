"""How MuJoCo can draw without a display: EGL or OSMesa, whichever works on this machine."""

import os
import subprocess
import sys
from functools import cache

_LIBRARIES = ("egl", "osmesa")  # the first draws on a GPU where there is one

# As the environments do it, in a process of its own: a library that does not work may end the process.
_ATTEMPT = """
import mujoco
from mujoco.{name} import GLContext
context = GLContext(64, 64)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100)
"""


@cache
def offscreen_library() -> str | None:
    """The value of MUJOCO_GL to draw with: the user's own, or the first that works; None without any."""
    if chosen := os.environ.get("MUJOCO_GL"):
        return chosen
    return next((name for name in _LIBRARIES if _works(name)), None)


def _works(name: str) -> bool:
    environment = os.environ | {"MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ATTEMPT.format(name=name)],
            env=environment, capture_output=True, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def is_mujoco(env) -> bool:
    """Whether a Gymnasium environment is one of MuJoCo, the user's own among them."""
    return any(kind.__name__ == "MujocoEnv" for kind in type(env.unwrapped).__mro__)
