"""Limit requests, replace crashed workers, and delete the files of disconnected clients."""

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.server.settings import Limits, Settings
from pocketgenre.server.tasks import Refusal
from tests.conftest import until, write_tone
from tests.server.servers import (
    Server,
    ServerProcess,
    build_app,
    open_files,
    serve_in_process,
    serve_in_thread,
)

MULTIPART = "multipart/form-data; boundary=edge"
HEAD = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="x.mp3"\r\n\r\n'


@pytest.fixture(scope="module")
def strict(pool: WorkerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in this process with low limits."""
    limits = Limits(upload_bytes=2_000_000, upload_seconds=1, files=3, audio_seconds=60)
    app = build_app(pool, Settings(workers=2, limits=limits), "standard")
    with serve_in_thread(app, tmp_path_factory.mktemp("strict") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server in a process of its own with one worker, one place in the queue and low limits."""
    log = tmp_path_factory.mktemp("process") / "log"
    limits = ("--max-mb", 2, "--max-minutes", 1, "--max-files", 3, "--upload-seconds", 2)
    workers = ("--max-seconds", 3, "--queue", 1, "--workers", 1, "--model", "standard")
    with serve_in_process(log, *limits, *workers) as running:
        yield running


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone(tmp_path_factory.mktemp("song") / "song.flac", 3.0)


def code_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_announced_size_is_limited(strict: Server, tmp_path: Path) -> None:
    (tmp_path / "big.wav").write_bytes(bytes(2_100_000))
    assert code_of(strict.post("/v1/classify", tmp_path / "big.wav")) == (413, "too-large")


def test_unannounced_size_is_limited(strict: Server) -> None:
    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(1_000):
            yield bytes(65_536)

    refused = 'pocketgenre_requests_total{method="POST",path="/v1/classify",status="413"}'
    before = strict.metric(refused)
    try:
        response = strict.post_body("/v1/classify", body(), MULTIPART)
    except httpx.WriteError:  # the server closed the connection without reading the rest
        pass
    else:
        assert code_of(response) == (413, "too-large")
    assert strict.metric(refused) == before + 1
    assert strict.get("/healthz").json() == {"status": "ok"}


def test_song_length_is_limited(strict: Server, tmp_path: Path) -> None:
    long = write_tone(tmp_path / "long.flac", 61.0, 8_000)
    assert long.stat().st_size < 1_900_000
    assert code_of(strict.post("/v1/classify", long)) == (413, "too-long")


def test_file_count_is_limited(strict: Server, song: Path) -> None:
    assert code_of(strict.post("/v1/classify", *[song] * 4)) == (413, "too-many-files")
    assert strict.post("/v1/classify", *[song] * 3).status_code == 200


@pytest.mark.parametrize("content_type", ["audio/mpeg", None, "application/json"])
def test_body_must_be_multipart(strict: Server, content_type: str | None) -> None:
    response = strict.post_body("/v1/classify", b"ID3", content_type)
    assert code_of(response) == (415, "not-multipart")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--edge--\r\n",
        HEAD.replace(b'"file"', b'"song"') + b"x\r\n--edge--\r\n",
        HEAD.replace(b'; filename="x.mp3"', b"") + b"x\r\n--edge--\r\n",
        HEAD.replace(b'; name="file"', b"") + b"x\r\n--edge--\r\n",
        b"--edge\r\n" + b"x" * 100_000,
        b"no boundary at all",
        HEAD + b"x",  # it ends too early
    ],
)
def test_wrong_parts_are_refused(strict: Server, body: bytes) -> None:
    response = strict.post_body("/v1/classify", body, MULTIPART)
    assert code_of(response) == (422, "invalid-request")


@pytest.mark.parametrize(
    "query", ["vote=loud", "min_confidence=2", "min_margin=nan", "min_margin="]
)
def test_wrong_parameter_is_refused(strict: Server, song: Path, query: str) -> None:
    assert code_of(strict.post(f"/v1/classify?{query}", song)) == (422, "invalid-request")


def test_upload_time_is_limited(strict: Server) -> None:
    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(100):
            time.sleep(0.3)
            yield b"x"

    started = time.monotonic()
    try:
        response = strict.post_body("/v1/classify", body(), MULTIPART)
    except httpx.WriteError:
        pytest.fail("the server closed the connection without a response")
    assert code_of(response) == (408, "slow-upload")
    assert time.monotonic() - started < 20


def test_command_sets_limits(process: ServerProcess, song: Path, tmp_path: Path) -> None:
    def slow_body() -> Iterator[bytes]:
        yield HEAD
        time.sleep(3)
        yield b"x"

    (tmp_path / "big.wav").write_bytes(bytes(2_100_000))
    long = write_tone(tmp_path / "long.flac", 61.0, 8_000)
    assert code_of(process.post("/v1/classify", tmp_path / "big.wav")) == (413, "too-large")
    assert code_of(process.post("/v1/classify", long)) == (413, "too-long")
    assert code_of(process.post("/v1/classify", *[song] * 4)) == (413, "too-many-files")
    response = process.post_body("/v1/classify", slow_body(), MULTIPART)
    assert code_of(response) == (408, "slow-upload")


class HeldPool:
    """A pool without workers, whose jobs finish when the test sets their results."""

    is_ready = True
    estimated_wait = 0.0

    def __init__(self) -> None:
        self.futures: list[Future] = []

    def submit(self, job: object) -> Future:
        self.futures.append(Future())
        return self.futures[-1]


def test_uploads_have_no_name_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = write_tone(tmp_path / "song.wav", 60.0, 44_100)  # more than is kept in memory
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def uploaded_files() -> list[str]:
        return [file for file in open_files(os.getpid()) if file.startswith(str(folder))]

    pool = HeldPool()
    with (
        serve_in_thread(build_app(pool), tmp_path / "log") as server,
        ThreadPoolExecutor(1) as clients,
    ):
        response = clients.submit(server.post, "/v1/classify", song)
        until(lambda: pool.futures)
        assert uploaded_files()
        assert not list(folder.iterdir())
        pool.futures[0].set_result(Refusal("not-audio", "Not audio."))
        assert code_of(response.result()) == (415, "not-audio")
        assert not uploaded_files()
    assert not list(folder.iterdir())


def test_hanging_worker_is_replaced(process: ServerProcess, song: Path) -> None:
    worker = process.workers()[0]
    worker.send_signal(signal.SIGSTOP)  # the same as an endless loop in a decoder
    started = time.monotonic()
    response = process.post("/v1/classify", song)
    assert code_of(response) == (504, "out-of-time")
    assert 3 <= time.monotonic() - started < 40
    assert process.post("/v1/classify", song).status_code == 200
    assert process.workers()[0].pid != worker.pid


def test_killed_worker_is_replaced(process: ServerProcess, song: Path) -> None:
    worker = process.workers()[0]
    worker.kill()
    assert process.post("/v1/classify", song).status_code == 200
    assert process.get("/readyz").status_code == 200
    assert process.workers()[0].pid != worker.pid


def test_crashed_worker_is_replaced(process: ServerProcess, song: Path) -> None:
    worker = process.workers()[0]
    worker.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as clients:
        pending = clients.submit(process.post, "/v1/classify", song)
        until(lambda: process.metric("pocketgenre_workers_busy") == 1)
        worker.send_signal(signal.SIGSEGV)
        worker.send_signal(signal.SIGCONT)
        response = pending.result()
    assert code_of(response) == (422, "crashed")
    assert "SIGSEGV" in response.json()["detail"]
    assert process.post("/v1/classify", song).status_code == 200


def test_overload_gives_retry_after(process: ServerProcess, song: Path) -> None:
    worker = process.workers()[0]
    worker.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as clients:
            pending = [clients.submit(process.post, "/v1/classify", song) for _ in range(8)]
            until(lambda: sum(future.done() for future in pending) == 6)
            assert process.get("/healthz").json() == {"status": "ok"}
            assert process.metric("pocketgenre_workers_busy") == 1
            worker.send_signal(signal.SIGCONT)
            responses = [future.result() for future in pending]
    finally:
        worker.send_signal(signal.SIGCONT)
    assert sorted(response.status_code for response in responses) == [200] * 2 + [429] * 6
    for response in responses:
        if response.status_code == 429:
            assert code_of(response) == (429, "overloaded")
            assert 1 <= int(response.headers["retry-after"]) <= 60


def test_disconnected_client_leaves_no_files(process: ServerProcess, tmp_path: Path) -> None:
    long = write_tone(tmp_path / "long.flac", 20.0)
    body = HEAD + long.read_bytes() + b"\r\n--edge--\r\n"
    before = process.open_files()
    for sent in (0, 10, 70_000, len(body)):
        with socket.create_connection(process.address) as connection:
            connection.sendall(
                f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
            )
            connection.sendall(body[:sent])
    until(lambda: sorted(process.open_files()) == sorted(before))
    assert process.post("/v1/classify", long).status_code == 200


def test_shutdown_finishes_running_requests(tmp_path: Path, song: Path) -> None:
    options = ("--workers", 1, "--model", "standard")
    with serve_in_process(tmp_path / "log", *options) as running:
        workers = running.workers()
        workers[0].send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(3) as clients:
            pending = [clients.submit(running.post, "/v1/classify", song) for _ in range(3)]
            until(lambda: running.metric("pocketgenre_files_waiting") == 2)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            workers[0].send_signal(signal.SIGCONT)
            assert [future.result().status_code for future in pending] == [200] * 3
        running.process.wait(timeout=20)
        assert not any(worker.is_running() for worker in workers)


@pytest.mark.long
def test_incomplete_request_is_disconnected(process: ServerProcess) -> None:
    started = time.monotonic()
    with socket.create_connection(process.address, timeout=40) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        threading.Timer(10, client.sendall, [b"very "]).start()
        assert client.recv(100) == b""
    assert 15 < time.monotonic() - started < 30


def test_workers_end_with_killed_server(tmp_path: Path) -> None:
    options = ("--workers", 2, "--model", "standard")
    with serve_in_process(tmp_path / "log", *options) as running:
        workers = running.workers()
        running.process.kill()
        running.process.wait()
        until(lambda: not any(worker.is_running() for worker in workers))
