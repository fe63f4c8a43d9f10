"""Rendering an episode with Gymnasium's own renderer, in a window or to a GIF."""

import os
from pathlib import Path

import numpy as np

from imitax.envs.host import encoder
from imitax.errors import ImitaxError
from imitax.experiment.policy import Policy
from imitax.experiment.settings import check_seed


def watch(policy: Policy, path: Path | None = None, stochastic: bool = False, seed: int = 0) -> dict:
    """Play one episode and show it, or write it to `path` (.gif); returns its length and return."""
    import gymnasium

    if path is not None and path.suffix.lower() != ".gif":
        raise ImitaxError(f"File '{path}' has the ending '{path.suffix}': expected .gif.")
    if path is not None and path.exists():
        raise ImitaxError(f"File '{path}' exists: choose another, nothing was written.")
    check_seed(seed)
    mode = "human" if path is None else "rgb_array"
    # No episode has sound, and a machine without a sound card would be complained about.
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        env = gymnasium.make(policy.spec.id, render_mode=mode, max_episode_steps=policy.spec.time_limit)
    except (gymnasium.error.Error, ImportError) as error:
        raise ImitaxError(f"Environment '{policy.spec.id}' cannot be rendered: {error}") from error
    act = policy.sampler(seed) if stochastic else policy
    encode = encoder(env.observation_space)
    frames, total, length = [], 0.0, 0
    try:
        obs, _ = env.reset(seed=seed)
        over = False
        while not over:
            if path is not None:
                frames.append(env.render())
            action = act(encode([obs])[0])
            if not isinstance(action, int):
                action = action.reshape(env.action_space.shape).astype(env.action_space.dtype)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, length, over = total + float(reward), length + 1, terminated or truncated
        if path is not None:
            frames.append(env.render())
            _write_gif(path, frames, env.metadata.get("render_fps", 30))
    except gymnasium.error.DependencyNotInstalled as error:
        raise ImitaxError(f"Environment '{policy.spec.id}' cannot be rendered: {error}") from error
    finally:
        env.close()
    return {"return": total, "length": length, "file": None if path is None else str(path)}


def _write_gif(path: Path, frames: list[np.ndarray], fps: float) -> None:
    from PIL import Image

    # One palette for all frames, so that colours do not flicker and the file stays small.
    palette = Image.fromarray(frames[0]).quantize(64)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0)
