"""Start servers for the tests: in a thread of the tests' process, or in a separate process."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import uvicorn
from starlette.types import ASGIApp

from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.server.app import create_app
from pocketgenre.server.model_registry import open_registry
from pocketgenre.server.service import Service
from pocketgenre.server.settings import Settings
from pocketgenre.server.telemetry import LogFormatter, Metrics, log
from pocketgenre.server.timeouts import TimeoutProtocol
from pocketgenre.text import printable
from tests.conftest import REPOSITORY, until

_URL = re.compile(r"Serving \S+ at (http://\S+) with")


@dataclass
class Server:
    """A running server.

    Attributes
    ----------
    url : base URL
    log : file that the server logs to
    """

    url: str
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=600, trust_env=False, **options)

    def post(self, path: str, *files: Path, part: str = "file", **options) -> httpx.Response:
        parts = [(part, (printable(file.name), file.read_bytes())) for file in files]
        with self.client() as client:
            return client.post(path, files=parts, **options)

    def post_body(self, path: str, content, content_type: str | None = None) -> httpx.Response:
        headers = {"Content-Type": content_type} if content_type else {}
        with self.client() as client:
            return client.post(path, content=content, headers=headers)

    def get(self, path: str, **options) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **options)

    def get_raw(self, path: str) -> bytes:
        """Request a path that an HTTP client would normalise; return the response with its head."""
        with socket.create_connection(self.address, timeout=120) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def metric(self, sample: str) -> float:
        """Return the value of a metric, 0 if it has none yet."""
        match = re.search(rf"^{re.escape(sample)} (\S+)$", self.get("/metrics").text, re.M)
        return float(match[1]) if match else 0.0


def log_entries(server: Server) -> list[dict[str, str]]:
    """Return the fields of each line of a server's log."""
    lines = server.log.read_text().splitlines()
    return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in lines]


@dataclass
class ServerProcess(Server):
    """A running server in a separate process."""

    process: subprocess.Popen

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def open_files(self) -> list[str]:
        """Return the targets of the process's file descriptors, except for sockets."""
        return open_files(self.process.pid)


def open_files(process_id: int) -> list[str]:
    """Return the targets of a process's file descriptors, except for sockets."""
    targets = []
    for descriptor in Path(f"/proc/{process_id}/fd").iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except OSError:  # closed meanwhile
            continue
    return [target for target in targets if not target.startswith("socket:")]


def build_app(pool: WorkerPool, settings: Settings | None = None, model: str = "best") -> ASGIApp:
    service = Service(settings or Settings(workers=2), open_registry(model, None), pool, Metrics())
    return create_app(service)


@contextmanager
def serve_in_thread(
    app: ASGIApp, log_file: Path, send_buffer: int | None = None, **config
) -> Iterator[Server]:
    """Serve an application on a free port. Its pool is neither started nor closed."""
    handler = logging.FileHandler(log_file)
    handler.setFormatter(LogFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    options = {"http": TimeoutProtocol, "loop": "asyncio", "ws": "none", "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, **(options | config)))
    server_socket = socket.create_server(("127.0.0.1", 0))
    if send_buffer:
        server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    thread = threading.Thread(target=server.run, args=([server_socket],))
    thread.start()
    until(lambda: server.started)
    try:
        yield Server(f"http://127.0.0.1:{server_socket.getsockname()[1]}", log_file)
    finally:
        server.should_exit = True
        thread.join()
        server_socket.close()
        log.removeHandler(handler)
        handler.close()


@contextmanager
def serve_in_process(log_file: Path, *options: object, **variables: str) -> Iterator[ServerProcess]:
    """Run ``serve-classifier`` on a free port; stop it with Ctrl-C."""
    command = [sys.executable, "-m", "pocketgenre.server.cli", "--port", "0", *map(str, options)]
    with open(log_file, "w") as file:
        process = subprocess.Popen(
            command, stderr=file, cwd=REPOSITORY, env=os.environ | variables, process_group=0
        )
    try:
        yield ServerProcess(_wait_for_url(process, log_file), log_file, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _wait_for_url(process: subprocess.Popen, log_file: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if match := _URL.search(log_file.read_text()):
            return match[1]
        assert process.poll() is None, log_file.read_text()
        time.sleep(0.05)
    raise AssertionError("the server did not start")
