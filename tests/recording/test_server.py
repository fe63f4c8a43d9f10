"""The page's server: who may ask, and what is answered."""

import re
import socket

import pytest

from imitax.errors import ImitaxError
from imitax.recording.server import LOOPBACK, OWN_NAMES, Server

# Who may ask


def test_it_is_bound_to_the_loopback_address_only(server):
    assert server._server.socket.getsockname()[0] == "127.0.0.1"
    assert server.address.startswith("http://127.0.0.1:")
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in (others | {"127.0.0.2"}) - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, server.port), 2)


def test_tokens_are_long_and_new_each_time(link):
    tokens = set()
    for _ in range(5):
        with Server(link) as running:
            tokens.add(running.token)
    assert len(tokens) == 5 and min(map(len, tokens)) >= 20


@pytest.mark.parametrize("name", ["", "events?page=x", "style.css", "play.js", "input"])
@pytest.mark.parametrize("token", [None, "", "wrong", "TOKEN", "t%6Fken"])
def test_requests_without_the_token_are_refused(ask, server, name, token):
    paths = {None: f"/{name}", "TOKEN": f"/{server.token.swapcase()}/{name}"}
    path = paths.get(token, f"/{token}/{name}")
    for method in ("GET", "POST"):
        status, headers, body = ask(server, method, path, {})
        assert status == 403 and headers["Content-Type"].startswith("text/plain")
        assert server.token.encode() not in body and b"token" in body


def test_the_token_alone_is_not_enough_of_an_address(ask, server):
    assert ask(server, path=f"/{server.token}")[0] == 403
    assert ask(server, path=f"/?token={server.token}")[0] == 403


OTHER_HOSTS = (
    *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"),
    *("evil.example@x", "127.0.0.1@evil.example", "0.0.0.0", "192.168.1.5:8000", "127.0.0.2"),
    *("[::1", "", None),
)


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_other_hosts_are_refused(ask, server, host):
    for method, path in (("GET", ""), ("GET", "events?page=x"), ("POST", "input")):
        body = {"page": "x", "acknowledged": 0}
        status, _, text = ask(server, method, f"/{server.token}/{path}", body, Host=host)
        assert status == 403 and b"machine" in text


def test_a_second_host_is_refused(server):
    with socket.create_connection((LOOPBACK, server.port), 20) as connection:
        request = f"GET /{server.token}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("name", OWN_NAMES)
def test_own_names_pass_on_any_port(ask, server, name):
    name = f"[{name}]" if ":" in name else name
    # a tunnel may end at another port
    for host in (name, f"{name}:{server.port}", f"{name}:9000"):
        assert ask(server, Host=host)[0] == 200


ORIGINS = {
    "http://evil.example": 403,
    "http://127.0.0.1.evil.example": 403,
    "null": 403,
    "http://localhost:9000": 204,
    "http://127.0.0.1:1": 204,
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_scripts_of_other_sites_are_refused(ask, server, origin):
    body = {"page": "x", "acknowledged": 0}
    assert ask(server, "POST", f"/{server.token}/input", body, Origin=origin)[0] == ORIGINS[origin]


# What is answered


PARTS = {
    "": ("text/html", b"<canvas"),
    "style.css": ("text/css", b"prefers-color-scheme"),
    "play.js": ("text/javascript", b"EventSource"),
}


def test_the_page_and_its_parts(ask, server):
    for name, (kind, words) in PARTS.items():
        status, headers, body = ask(server, path=f"/{server.token}/{name}")
        assert status == 200 and headers["Content-Type"].startswith(kind) and words in body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert (
            headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
        )
        assert "Python" not in headers["Server"]
    text = ask(server)[2].decode()
    # nothing comes from elsewhere
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert " style=" not in text and " on" + "click" not in text


@pytest.mark.parametrize(
    "name", ["nothing", "../server.py", "events", "events?page=", "page/play.js"]
)
def test_other_names_are_not_found(ask, server, name):
    assert ask(server, path=f"/{server.token}/{name}")[0] == 404


@pytest.mark.parametrize("length", [None, "", "-1", "x", "1e3", str(1 << 20), "9" * 5000])
def test_bodies_of_unknown_or_great_length_are_refused(ask, server, length):
    assert (
        ask(server, "POST", f"/{server.token}/input", b"", **{"Content-Length": length})[0] == 413
    )


def test_a_port_that_is_taken_is_named(server, link):
    with pytest.raises(ImitaxError, match=rf"Port {server.port} .*--port"):
        Server(link, server.port)
