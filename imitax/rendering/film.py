"""Frames of episodes as a file: a GIF, or a video (.mp4). The only place that imports av."""

import os
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from imitax.errors import ImitaxError


@runtime_checkable
class Film(Protocol):
    """Takes frames [H, W, 3] of uint8, then writes them."""

    def add(self, frame: np.ndarray) -> None:
        """Append a frame."""

    def save(self, path: Path, fps: float) -> None:
        """Write the file, whole or not at all."""


def film(path: Path) -> Film:
    """An empty film for `path`; `ImitaxError` unless that ends in .gif, or .mp4 with an encoder there."""
    kind = path.suffix.lower()
    if kind not in (".gif", ".mp4"):
        raise ImitaxError(f"File '{path}' has the ending '{path.suffix}': expected .gif or .mp4.")
    if kind == ".gif":
        return _Gif()
    try:
        import av
    except ImportError as error:
        raise ImitaxError(
            f"File '{path}' needs a video encoder, which is not installed: pip install 'imitax[video]', or "
            "write a .gif."
        ) from error
    return _Video(av)


class _Gif:
    """Frames with one palette for all, so that colours do not flicker and an hour fits into memory."""

    def __init__(self):
        self._frames: list = []
        self._palette = None

    def add(self, frame: np.ndarray) -> None:
        from PIL import Image

        image = Image.fromarray(frame)
        if self._palette is None:
            self._palette = image.quantize(64)
        self._frames.append(image.quantize(palette=self._palette, dither=Image.Dither.NONE))

    def save(self, path: Path, fps: float) -> None:
        partial = _partial(path)
        try:
            self._frames[0].save(
                partial, format="GIF", save_all=True, append_images=self._frames[1:],
                duration=round(1000 / fps), loop=0,
            )  # fmt: skip
            os.rename(partial, path)
        finally:
            partial.unlink(missing_ok=True)


class _Video:
    """H.264 in MP4, as every browser plays it; a few hundred kilobytes for a minute of MuJoCo."""

    def __init__(self, av):
        self._av, self._frames = av, []

    def add(self, frame: np.ndarray) -> None:
        # The encoder halves the resolution of colours: even sides. YUV takes half the memory of RGB, too.
        even = np.ascontiguousarray(frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2])
        self._frames.append(self._av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p"))

    def save(self, path: Path, fps: float) -> None:
        partial = _partial(path)
        try:
            with self._av.open(str(partial), "w", format="mp4") as container:
                stream = container.add_stream("libx264", rate=max(1, round(fps)))
                stream.width, stream.height = self._frames[0].width, self._frames[0].height
                stream.pix_fmt = "yuv420p"
                for number, frame in enumerate(self._frames):
                    frame.pts = number
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
            os.rename(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
