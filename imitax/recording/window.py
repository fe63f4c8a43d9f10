"""The front end in a window."""

import os
import time
from types import ModuleType

import numpy as np

from imitax.errors import ImitaxError
from imitax.recording.game import has_display
from imitax.recording.session import Session, View

NO_WINDOW = "Cannot open a window ({}): play in the browser with --browser."
MIN_WIDTH, MIN_PICTURE, MARGIN, LINE = 640, 480, 14, 24  # pixels
PAPER, INK, FAINT, ACCENT, VEIL = "#16191f", "#eceef2", "#98a0ae", "#7ab8ff", "#16191fe0"
NAMES = {"return": "enter", "=": "+", "_": "-"}  # names of pygame -> ours
MAX_WAIT = 1 / 60  # seconds between two polls of the events
CONTROLS = "P pause    + − speed    Backspace give up    Esc finish"


def check() -> None:
    """`ImitaxError` where no window can open; call it before pygame starts."""
    if not has_display() and not os.environ.get("SDL_VIDEODRIVER"):
        raise ImitaxError(NO_WINDOW.format("no display"))


def play(session: Session) -> None:
    """Show `session` in a window until it is over or the window is closed."""
    import pygame

    try:
        pygame.display.init()
        window = Window(pygame, session)
    except pygame.error as error:
        raise ImitaxError(NO_WINDOW.format(error)) from error
    try:
        changes = -1  # as of the last frame
        while not session.over:
            for event in pygame.event.get():
                window.handle(event)
            session.advance(time.monotonic())
            if session.changes != changes:
                changes = session.changes
                window.draw()
            due = session.wait(time.monotonic())
            pygame.time.wait(round(1000 * min(MAX_WAIT, MAX_WAIT if due is None else due)))
    finally:
        pygame.quit()


class Window:
    """The picture, and below it a panel with numbers, keys and controls."""

    def __init__(self, pygame: ModuleType, session: Session):
        self._pygame, self._session = pygame, session
        pygame.font.init()
        pygame.joystick.init()
        self._font, self._large = pygame.font.Font(None, 22), pygame.font.Font(None, 34)
        self._sticks = {}  # id -> gamepad; pygame sends events only of those that are referenced
        height, width, _ = session.picture.shape
        scale = max(1.0, MIN_PICTURE / width)
        width, height = max(round(width * scale), MIN_WIDTH), round(height * scale)
        self._keys = self._wrap([f"{b.name}: {b.label}" for b in session.keymap.bindings], width)
        self._keys += self._wrap(
            [f"{a.name}: dimension {a.dimension}" for a in session.keymap.axes], width
        )
        self._panel = LINE * (2 + len(self._keys)) + 2 * MARGIN
        self.screen = pygame.display.set_mode((width, height + self._panel), pygame.RESIZABLE)
        pygame.display.set_caption(f"imitax: {session.spec.id}")

    def handle(self, event) -> None:
        """Translate an event into calls of the session."""
        pygame, session = self._pygame, self._session
        if event.type == pygame.QUIT:
            session.stop()
        elif event.type == pygame.KEYDOWN:
            session.press(key_name(pygame.key.name(event.key)))
        elif event.type == pygame.KEYUP:
            session.release(key_name(pygame.key.name(event.key)))
        elif event.type == pygame.WINDOWFOCUSLOST:
            session.release_all()
        elif event.type in (pygame.WINDOWSIZECHANGED, pygame.WINDOWEXPOSED):
            self.screen = pygame.display.get_surface()
            self.draw()
        elif event.type == pygame.MOUSEMOTION:
            self._point(event.pos)
        elif event.type == pygame.WINDOWLEAVE:
            self._point(None)
        elif event.type == pygame.JOYDEVICEADDED:
            stick = pygame.joystick.Joystick(event.device_index)
            self._sticks[stick.get_instance_id()] = stick
        elif event.type == pygame.JOYDEVICEREMOVED:
            self._sticks.pop(event.instance_id, None)
            session.release_all()
        elif event.type == pygame.JOYAXISMOTION:
            session.move(f"gamepad-{event.axis}", event.value)
        elif event.type == pygame.JOYBUTTONDOWN:
            session.press(f"button-{event.button}")
        elif event.type == pygame.JOYBUTTONUP:
            session.release(f"button-{event.button}")

    def draw(self) -> None:
        """Draw the current view."""
        pygame, view, place = self._pygame, self._session.view(), self._place()
        self.screen.fill(PAPER)
        picture = pygame.surfarray.make_surface(np.swapaxes(self._session.picture, 0, 1))
        if picture.get_size() != place.size:
            picture = pygame.transform.smoothscale(picture, place.size)
        self.screen.blit(picture, place)
        self._draw_panel(view, self.screen.get_height() - self._panel + MARGIN)
        if view.phase in ("paused", "deciding"):
            self._draw_notice(view, place)
        pygame.display.flip()

    def _draw_panel(self, view: View, y: int) -> None:
        facts = [
            f"return {view.total:.5g}",
            f"{view.steps} steps",
            f"{view.fps:g} steps/s",
            f"episode {view.episode}",
            f"kept {view.kept}",
            view.action,
        ]
        lines = [("     ".join(filter(None, facts)), INK)]
        lines += [*((line, ACCENT) for line in self._keys), (CONTROLS, FAINT)]
        for index, (line, colour) in enumerate(lines):
            self.screen.blit(self._font.render(line, True, colour), (MARGIN, y + index * LINE))

    def _draw_notice(self, view: View, place) -> None:
        """Draw a box over the upper edge of the picture, where it hides least."""
        pygame = self._pygame
        title, *lines = _words(view)
        lines = [
            part for line in lines for part in self._wrap(line.split(" "), place.width - 40, " ")
        ]
        texts = [self._large.render(title, True, INK)]
        texts += [self._font.render(line, True, ACCENT) for line in lines]
        width = max(text.get_width() for text in texts) + 4 * MARGIN
        height = sum(text.get_height() + 6 for text in texts) + 2 * MARGIN
        box = pygame.Surface((width, height), pygame.SRCALPHA)
        pygame.draw.rect(box, VEIL, box.get_rect(), border_radius=10)
        y = MARGIN
        for text in texts:
            box.blit(text, ((width - text.get_width()) // 2, y))
            y += text.get_height() + 6
        self.screen.blit(box, box.get_rect(midtop=(place.centerx, place.top + MARGIN)))

    def _place(self):
        """The rectangle of the picture: as large as fits above the panel, undistorted."""
        height, width, _ = self._session.picture.shape
        room_x, room_y = self.screen.get_width(), max(1, self.screen.get_height() - self._panel)
        scale = min(room_x / width, room_y / height)
        place = self._pygame.Rect(0, 0, max(1, round(width * scale)), max(1, round(height * scale)))
        place.center = room_x // 2, room_y // 2
        return place

    def _point(self, at: tuple[int, int] | None) -> None:
        """Report the mouse at a pixel; None: outside the window."""
        place = self._place()
        for index, axis in enumerate(("mouse-x", "mouse-y")):
            position = None
            if at is not None and place.collidepoint(at):
                position = 2 * (at[index] - place.topleft[index]) / place.size[index] - 1
            self._session.move(axis, position)

    def _wrap(self, parts: list[str], width: int, gap: str = "     ") -> list[str]:
        lines = []
        for part in parts:
            longer = gap.join([lines[-1], part]) if lines else part
            if lines and self._font.size(longer)[0] <= width - 2 * MARGIN:
                lines[-1] = longer
            else:
                lines.append(part)
        return lines


def key_name(name: str) -> str:
    """Our name for pygame's name of a key; the number pad has the same names as the main keys."""
    name = name.lower()
    if len(name) == 3 and name[0] == "[" and name[2] == "]":
        name = name[1]
    return NAMES.get(name, name)


def _words(view: View) -> list[str]:
    """A title and the lines below it, for a paused game or a choice."""
    notice = [view.notice] if view.notice else []
    if view.phase == "deciding":
        how = "The task" if view.ended == "terminated" else "The time limit"
        title = f"Return {view.total:.5g} in {view.steps} steps"
        return [
            title,
            f"{how} ended the episode.",
            "Enter: keep it          Backspace: discard it",
            *notice,
        ]
    title = "Paused" if view.steps else f"Episode {view.episode}"
    return [title, *(notice or ["Press P or one of the keys below to play."])]
