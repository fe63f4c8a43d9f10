"""Renders episodes of policies: in a window, as GIF or video, as frames."""
