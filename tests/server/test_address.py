"""Show the address of a server to other machines."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

import pytest
import segno

from pocketgenre.server.address import reachable_url

SHADES = {" ": (1, 1), "▄": (1, 0), "▀": (0, 1), "█": (0, 0)}
"""By character of a drawn code: the upper and the lower module, 1 for dark."""


def start(stderr: int, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pocketgenre.server.cli", "--port", "0", "--workers", "1"]
    environment = {**os.environ, "POCKETGENRE_TOKEN": "a-token-that-is-long-enough-for-the-server"}
    return subprocess.Popen([*command, *options], stderr=stderr, env=environment)


def read_until(source: int, ending: bytes, server: subprocess.Popen[bytes]) -> str:
    """Read a server's messages up to an ending, and stop the server."""
    shown = b""
    while ending not in shown and (part := os.read(source, 4096)):
        shown += part
    server.send_signal(signal.SIGTERM)
    server.wait()
    return shown.decode().replace("\r", "")


def drawn_modules(text: str) -> list[list[int]]:
    rows: list[list[int]] = []
    for line in re.findall(r"\x1b\[38;5;231;48;5;16m(.*?)\x1b\[0m", text):
        rows += [[SHADES[character][half] for character in line] for half in (0, 1)]
    return rows


def matrix(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    return [list(row) for row in rows]


def test_terminal_shows_code_of_reachable_address() -> None:
    terminal, stderr = pty.openpty()
    server = start(stderr, "--host", "0.0.0.0")
    os.close(stderr)
    text = read_until(terminal, b"stop with Ctrl-C.", server)
    os.close(terminal)
    (url,) = re.findall(r"reach it at (http://\S+:\d+)", text)
    assert "0.0.0.0" not in url
    code = matrix(segno.make_qr(url, error="l").matrix_iter(border=4))
    assert drawn_modules(text)[: len(code)] == code


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_log_has_no_code(host: str) -> None:
    source, stderr = os.pipe()
    server = start(stderr, "--host", host)
    os.close(stderr)
    text = read_until(source, b"stop with Ctrl-C.", server)
    os.close(source)
    assert ("reach it at http://" in text) == (host == "0.0.0.0")
    assert "█" not in text


def test_address_of_loopback_is_not_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        assert reachable_url(bound) is None
