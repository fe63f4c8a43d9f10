"""The web server of the page: loopback only, for clients that present the token."""

import json
import re
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from itertools import chain
from socketserver import TCPServer
from urllib.parse import parse_qs, urlsplit

from imitax.errors import ImitaxError
from imitax.recording.link import Link

LOOPBACK = "127.0.0.1"
OWN_NAMES = (LOOPBACK, "localhost", "::1")  # with any port: an SSH tunnel may end at another one
MAX_BODY = 1 << 16  # bytes
STATIC = {
    "": ("index.html", "text/html; charset=utf-8"),
    "style.css": ("style.css", "text/css; charset=utf-8"),
    "play.js": ("play.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors http://127.0.0.1:* http://localhost:*",  # a notebook may frame the page
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server:
    """Serves one `link` in its own threads, in a `with` block; `ImitaxError` if `port` is
    taken.
    """

    def __init__(self, link: Link, port: int = 0):
        self.token = secrets.token_urlsafe(16)
        try:
            self._server = _Loopback(port, link, self.token)
        except OSError as error:
            raise ImitaxError(
                f"Port {port} of {LOOPBACK} is not available ({error.strerror}): choose another "
                "with --port, or leave --port out."
            ) from error
        self.port = self._server.server_address[1]
        self.address = f"http://{LOOPBACK}:{self.port}/{self.token}/"

    def __enter__(self) -> "Server":
        # The interval between checks for shutdown, which closing waits for; the default is 0.5 s.
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Loopback(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, link: Link, token: str):
        pages = files("imitax.recording").joinpath("page")
        self.link, self.token = link, token
        self.static = {
            name: (pages.joinpath(file).read_bytes(), kind) for name, (file, kind) in STATIC.items()
        }
        super().__init__((LOOPBACK, port), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks a name server for this machine's name
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address) -> None:
        """Ignore connections that broke off; anything else is a bug and is reported."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "imitax", ""
    timeout = 60  # seconds for a request to arrive, or for a write to be accepted
    disable_nagle_algorithm = True  # send small messages at once
    server: _Loopback

    def do_GET(self) -> None:
        if (name := self._permitted()) is None:
            return
        path, _, query = name.partition("?")
        if path == "events" and (page := parse_qs(query).get("page")):
            self._stream(page[0])
        elif path in self.server.static:
            self._answer(200, *self.server.static[path])
        else:
            self._refuse(404, "No such page.")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
            return self._refuse(413, f"Expected a body of at most {MAX_BODY} bytes.")
        body = self.rfile.read(int(length))  # even to refuse: unread bytes reset connections
        if (name := self._permitted()) is None:
            return
        if name != "input":
            return self._refuse(404, "No such page.")
        try:
            page, number = self._receive(json.loads(body))
        except (ValueError, TypeError, KeyError, RecursionError):
            return self._refuse(400, "This is not what the page sends.")
        self._answer(204, b"", "")
        if number is not None:  # after the answer: the last one ends the program
            self.server.link.acknowledge(page, number)

    def log_message(self, format, *args) -> None:
        """Log nothing: the terminal is for the player."""

    def _permitted(self) -> str | None:
        """The requested path below the token, or None after a refusal.

        A Host that does not name this machine belongs to another site whose name points here (DNS
        rebinding); such an Origin, to another site's script.
        """
        hosts = self.headers.get_all("Host", [])
        origins = self.headers.get_all("Origin", [])
        if len(hosts) != 1 or not _is_own(f"//{hosts[0]}") or not all(map(_is_own, origins)):
            self._refuse(403, "This page is only for the machine that it runs on.")
            return None
        token, slash, name = self.path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(
                403, "The address lacks its token: copy the full address from the terminal."
            )
            return None
        return name

    def _receive(self, post: dict) -> tuple[str, int | None]:
        """Pass the acts of a post on; returns (page, number of the acknowledged message or
        None).
        """
        page, part, acknowledged = post["page"], post.get("part"), post.get("acknowledged")
        numbers = [number for number in (part, acknowledged) if number is not None]
        if not numbers or any(type(number) is not int for number in numbers):
            raise ValueError("neither a part nor an acknowledgement")
        if part is not None:
            self.server.link.receive(page, part, [list(act) for act in post["acts"]])
        return page, acknowledged

    def _stream(self, page: str) -> None:
        messages = self.server.link.messages(page)
        try:
            first = next(messages)  # registers the page before the answer, after which it may post
            self.close_connection = True
            self._head(200, "text/event-stream")
            for message in chain([first], messages):
                text = ":" if message is None else f"data: {json.dumps(message)}"
                self.wfile.write(f"{text}\n\n".encode())
        finally:
            messages.close()

    def _refuse(self, status: int, sentence: str) -> None:
        self.close_connection = True  # the rest of the request stays unread
        self._answer(status, f"{sentence}\n".encode(), "text/plain; charset=utf-8")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self._head(status, kind, len(body))
        self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", kind)
            if length is not None:
                self.send_header("Content-Length", str(length))
        if length is None or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _is_own(address: str) -> bool:
    """Whether an address names this machine."""
    try:
        return urlsplit(address).hostname in OWN_NAMES
    except ValueError:
        return False
