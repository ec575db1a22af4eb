"""Disconnect clients that read nothing, but not clients that read slowly."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from starlette.staticfiles import StaticFiles

from tests.conftest import until
from tests.server.servers import Server, serve_in_process, serve_in_thread

FILE_BYTES = 4_000_000
MAX_CONNECTIONS = 4
CHUNKED = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
SMALL = 16_384  # bytes of a socket's buffer: most of the file stays in the server


@contextmanager
def serve_file(folder: Path, size: int) -> Iterator[Server]:
    """Serve one file with small send buffers and few connections."""
    (folder / "file").write_bytes(bytes(size))
    options = {"limit_concurrency": MAX_CONNECTIONS, "timeout_graceful_shutdown": 1}
    with serve_in_thread(
        StaticFiles(directory=folder), folder / "log", send_buffer=SMALL, **options
    ) as running:
        yield running


@contextmanager
def request_file(server: Server) -> Iterator[socket.socket]:
    """Send a request on a connection that reads only when the test does."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        client.settimeout(60)
        client.connect(server.address)
        client.sendall(b"GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        yield client


def status(client: socket.socket) -> bytes:
    return client.recv(12)[-3:]


def has_status(server: Server, expected: bytes) -> bool:
    with request_file(server) as client:
        return status(client) == expected


@pytest.mark.parametrize("size", [FILE_BYTES, 60_000])
def test_client_that_reads_nothing_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("pocketgenre.server.timeouts.WRITE_SECONDS", 2)
    with serve_file(tmp_path, size) as server, ExitStack() as clients:
        for _ in range(MAX_CONNECTIONS - 1):
            assert status(clients.enter_context(request_file(server))) == b"200"
        until(lambda: has_status(server, b"503"))
        until(lambda: has_status(server, b"200"))


def test_client_that_reads_slowly_gets_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgenre.server.timeouts.WRITE_SECONDS", 2)
    slow_until = time.monotonic() + 3
    with serve_file(tmp_path, FILE_BYTES) as server, request_file(server) as client:
        response = bytearray()
        while chunk := client.recv(SMALL):
            response += chunk
            if time.monotonic() < slow_until:
                time.sleep(0.05)
    assert time.monotonic() > slow_until
    assert len(response.partition(b"\r\n\r\n")[2]) == FILE_BYTES


def test_incomplete_request_head_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgenre.server.timeouts.REQUEST_HEAD_SECONDS", 1)
    with (
        serve_file(tmp_path, 1) as server,
        socket.create_connection(server.address, timeout=40) as client,
    ):
        started = time.monotonic()
        client.sendall(b"GET /file HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        threading.Timer(0.5, client.sendall, [b"very "]).start()
        assert client.recv(100) == b""
    assert 0.9 < time.monotonic() - started < 20


def server_end(client: socket.socket) -> socket.socket:
    """Return the other end of a connection to a server in this process."""
    for file in Path("/proc/self/fd").iterdir():
        if file.is_socket():
            connection = socket.socket(fileno=os.dup(int(file.name)))
            with suppress(OSError):  # it is not connected
                if connection.getpeername() == client.getsockname():
                    return connection
            connection.close()
    raise AssertionError("the server has no such connection")


def test_responses_are_sent_without_delay(tmp_path: Path) -> None:
    with serve_file(tmp_path, FILE_BYTES) as server, request_file(server) as client:
        assert status(client) == b"200"  # the rest of the file keeps the connection open
        with server_end(client) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_uvloop_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise RuntimeError")
    options = ("--workers", 1, "--model", "standard")
    path = str(tmp_path)
    with serve_in_process(tmp_path / "log", *options, PYTHONPATH=path) as running:
        assert running.get("/healthz").status_code == 200


def test_tiny_chunks_are_refused(server: Server) -> None:
    with socket.create_connection(server.address, timeout=60) as client:
        client.sendall(CHUNKED + b"1\r\nx\r\n" * 2_000)
        assert b"400 Bad Request" in client.recv(1_000)


@pytest.mark.parametrize("size", [200, 100_000])
def test_chunks_of_usual_sizes_are_accepted(server: Server, size: int) -> None:
    with socket.create_connection(server.address, timeout=60) as client:
        chunk = b"%x\r\n%s\r\n" % (size, bytes(size))
        client.sendall(CHUNKED + chunk * (200_000 // size) + b"0\r\n\r\n")
        assert b"415 Unsupported Media Type" in client.recv(1_000)
