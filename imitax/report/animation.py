"""Films of the expert and of the learnt policies: the frames of each in one image, for a
canvas.
"""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imitax.errors import ImitaxError, one_line
from imitax.policies.policy import load_policies
from imitax.rendering.watch import STATES, opened, play, replay
from imitax.runs.read import RunData

MAX_FRAMES = 100  # of an episode
WIDTH = 300  # pixels
COLUMNS = 10  # frames side by side in the image
MAX_POLICIES = 6
MAX_LOSSLESS = 400_000  # bytes: drawings stay below, photographs get lossy compression


class Reel:
    """Evenly spaced frames of an episode: when there are too many, every second one is dropped."""

    def __init__(self) -> None:
        self.frames: list[Image.Image] = []
        self.every = 1  # steps from one frame to the next
        self.steps = 0

    def add(self, step: int, render: Callable[[], np.ndarray]) -> None:
        """Renders step 0, 1, 2, … if its frame is kept."""
        self.steps = step
        if step % self.every == 0:
            self.frames.append(_small(render()))
            if len(self.frames) > MAX_FRAMES:
                self.frames = self.frames[::2]
                self.every *= 2


def films_of(runs: list[RunData]) -> dict[str, Any]:
    """Films for the page's script, and notes about what cannot be shown.

    The policy is that of a run's first seed with its most likely actions, from the expert's first
    state.
    """
    expert, note = _expert(runs)
    notes, reels, returns = [note] if note else [], {}, {}
    try:
        with opened(runs[0].run["env"], runs[0].run.get("time_limit")) as env:
            if expert is not None:
                reels["expert"] = Reel()
                for step in replay(env, expert):
                    reels["expert"].add(step, env.render)
            for index, run in enumerate(runs[:MAX_POLICIES]):
                try:
                    reels[index], returns[index] = _film(env, run.path, expert)
                except ImitaxError as error:
                    notes.append(f"The policy of '{run.path}' is not shown: {error}")
            fps = env.metadata.get("render_fps", 30)
    # renderers raise many types, and the report does not depend on them
    except Exception as error:
        return {"notes": [f"There is no animation: {one_line(error)}."]}
    if len(runs) > MAX_POLICIES:
        notes.append(f"Only the first {MAX_POLICIES} policies are shown.")
    if not reels:
        return {"notes": notes}
    films = {key: _pack(reel) | {"return": returns.get(key)} for key, reel in reels.items()}
    width, height = next(iter(reels.values())).frames[0].size
    return {
        "notes": notes,
        "size": [width, height, COLUMNS],
        "fps": fps,
        "expert": films.get("expert"),
        "runs": [films.get(index) for index in range(len(runs))],
    }


def _expert(runs: list[RunData]) -> tuple[np.ndarray | None, str | None]:
    """(observations of a complete demonstrated episode, None) or (None, why there is none to
    show).
    """
    env = runs[0].run["env"]
    episodes = [
        run.visits.episode for run in runs if run.visits is not None and len(run.visits.episode)
    ]
    if not episodes:
        return None, "The expert is not shown: no run kept a complete demonstrated episode."
    if env not in STATES:
        return (
            None,
            f"The expert is not shown: drawing {env} from its observations is not supported.",
        )
    return episodes[0], None


def _film(env, path: Path, expert: np.ndarray | None) -> tuple[Reel, float]:
    policy = load_policies(path / "policy.safetensors")[0]
    reel, total = Reel(), 0.0
    for step, reward in play(env, policy, 0, None if expert is None else expert[0]):
        total += reward
        reel.add(step, env.render)
    return reel, total


def _small(frame: np.ndarray) -> Image.Image:
    image = Image.fromarray(frame)
    return image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.BOX)


def _pack(reel: Reel) -> dict[str, Any]:
    """Frames row by row in one image, as a data URI."""
    width, height = reel.frames[0].size
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(reel.frames) // COLUMNS) * height))
    for i, frame in enumerate(reel.frames):
        sheet.paste(frame, (i % COLUMNS * width, i // COLUMNS * height))
    data = _webp(sheet, lossless=True, quality=50)
    if len(data) > MAX_LOSSLESS:
        data = _webp(sheet, quality=75)
    source = "data:image/webp;base64," + base64.b64encode(data).decode()
    return {"source": source, "frames": len(reel.frames), "every": reel.every, "steps": reel.steps}


def _webp(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=4, **options)
    return buffer.getvalue()
