"""Who doesn't take an answer holds nothing up; who takes it slowly gets all of it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.staticfiles import StaticFiles

from pocketgenre.server.timeouts import PatientProtocol
from tests.conftest import until

FILE_BYTES = 4_000_000
MOST_CONNECTIONS = 4
SMALL = 16_384  # a socket's buffer, so that the server is left with most of the file


@contextmanager
def patient(folder: Path, size: int) -> Iterator[tuple[str, int]]:
    """A server of one file, in a thread; its address."""
    (folder / "file").write_bytes(bytes(size))
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    server = uvicorn.Server(
        uvicorn.Config(
            StaticFiles(directory=folder),
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def asking(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A client that has asked, and reads nothing by itself."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        client.settimeout(60)
        client.connect(address)
        client.sendall(b"GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        yield client


def status(client: socket.socket) -> bytes:
    return client.recv(12)[-3:]


def is_answered(address: tuple[str, int], expected: bytes) -> bool:
    with asking(address) as client:
        return status(client) == expected


@pytest.mark.parametrize("size", [FILE_BYTES, 60_000])
def test_clients_that_take_nothing_do_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("pocketgenre.server.timeouts.ANSWER_SECONDS", 4)
    with patient(tmp_path, size) as address, ExitStack() as clients:
        for _ in range(MOST_CONNECTIONS - 1):
            assert status(clients.enter_context(asking(address))) == b"200"
        until(lambda: is_answered(address, b"503"))
        until(lambda: is_answered(address, b"200"))


def test_who_takes_it_slowly_gets_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgenre.server.timeouts.ANSWER_SECONDS", 4)
    slow_until = time.monotonic() + 5
    with patient(tmp_path, FILE_BYTES) as address, asking(address) as client:
        answer = bytearray()
        while piece := client.recv(SMALL):
            answer += piece
            if time.monotonic() < slow_until:
                time.sleep(0.05)
    assert time.monotonic() > slow_until
    assert len(answer.partition(b"\r\n\r\n")[2]) == FILE_BYTES
