"""Writes frames of episodes to a file: a GIF, or a video (.mp4)."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from imitax.errors import ImitaxError
from imitax.files.write import new_file, replacing


@runtime_checkable
class Film(Protocol):
    """Collects frames, then writes them to a file."""

    def add(self, frame: np.ndarray) -> None:
        """Append a frame, uint8 [H, W, 3]."""
        ...

    def save(self, path: Path, fps: float) -> None:
        """Write the complete file, or none if that fails."""
        ...


def film(path: Path) -> Film:
    """An empty film for the new file `path`: .gif, or .mp4 if an encoder is installed, else
    `ImitaxError`.
    """
    if new_file(path, ".gif", ".mp4").suffix.lower() == ".gif":
        return _Gif()
    try:
        import av
    except ImportError as error:
        raise ImitaxError(
            f"File '{path}' needs a video encoder, which is not installed: pip install "
            "'imitax[video]', or write a .gif."
        ) from error
    return _Video(av)


class _Gif:
    """Frames with a shared palette: no flicker, and an hour fits into memory."""

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
        rest, milliseconds = self._frames[1:], round(1000 / fps)
        with replacing(path) as partial:
            self._frames[0].save(
                partial,
                format="GIF",
                save_all=True,
                append_images=rest,
                duration=milliseconds,
                loop=0,
            )


class _Video:
    """H.264 in MP4, which every browser plays; a few hundred kilobytes per minute of MuJoCo."""

    def __init__(self, av):
        self._av, self._frames = av, []

    def add(self, frame: np.ndarray) -> None:
        # The encoder halves the resolution of colours, so sides must be even. YUV halves the
        # memory of RGB.
        even = np.ascontiguousarray(frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2])
        self._frames.append(
            self._av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
        )

    def save(self, path: Path, fps: float) -> None:
        with (
            replacing(path) as partial,
            self._av.open(str(partial), "w", format="mp4") as container,
        ):
            stream = container.add_stream("libx264", rate=max(1, round(fps)))
            stream.width, stream.height = self._frames[0].width, self._frames[0].height
            stream.pix_fmt = "yuv420p"
            for number, frame in enumerate(self._frames):
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
