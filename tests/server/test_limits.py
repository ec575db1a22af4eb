"""Limit requests, replace crashed workers, and delete the files of disconnected clients."""

import asyncio
import os
import re
import select
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.types import Message

from pocketgenre.demo.synthetic import write_audio
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.server.middleware import LimitedBody, UploadSlots
from pocketgenre.server.problems import Problem
from pocketgenre.server.settings import Limits, Settings
from pocketgenre.server.tasks import AudioUpload, Refusal, TooLongError
from tests.conftest import tone, until, write_tone
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


@pytest.mark.parametrize("suffix", ["mp3", "flac"])
def test_length_is_limited_before_classification(tmp_path: Path, suffix: str) -> None:
    song = write_tone(tmp_path / "long.flac", 65.0)
    if suffix == "mp3":  # without its first frame, which states the length
        write_audio(song, tone(440.0, 65.0, 44_100), 44_100, "MP3", "MPEG_LAYER_III")
        content = song.read_bytes()
        start = re.search(rb"Xing|Info", content).end()
        song.write_bytes(content[content.index(b"\xff\xfb", start) :])
    upload = AudioUpload(str(song), "song", 60.0)
    with pytest.raises(TooLongError), upload.open(MFCC_CONFIG):
        pytest.fail("the song was opened")


def test_file_count_is_limited(strict: Server, song: Path) -> None:
    assert code_of(strict.post("/v1/classify", *[song] * 4)) == (413, "too-many-files")
    assert strict.post("/v1/classify", *[song] * 3).status_code == 200


@pytest.mark.parametrize("content_type", ["audio/mpeg", None, "application/json"])
def test_parity_needs_multipart(strict: Server, content_type: str | None) -> None:
    response = strict.post_body("/v1/parity", b"ID3", content_type)
    assert code_of(response) == (415, "not-multipart")


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_body_may_be_the_song(strict: Server, song: Path, method: str) -> None:
    content = song.read_bytes()
    with strict.client() as client:
        response = client.request(method, "/v1/classify?name=a%22b.flac", content=content)
        segments = client.request(method, "/v1/classify/segments", content=content)
        features = client.request(method, "/v1/features", content=content)
    expected = strict.post("/v1/classify", song).json()["songs"][0]
    assert response.json()["songs"] == [expected | {"name": 'a"b.flac'}]
    assert segments.json()["song"]["votes"] == expected["votes"]
    assert features.json()["shape"][0] == expected["segments"]


def test_body_that_is_no_song_is_refused(strict: Server) -> None:
    assert code_of(strict.post_body("/v1/classify", b"Dear diary")) == (415, "not-audio")
    assert code_of(strict.post_body("/v1/classify", b"")) == (422, "invalid-request")
    assert code_of(strict.post_body("/v1/classify", bytes(2_100_000))) == (413, "too-large")


@pytest.mark.parametrize("sent", [rb"a\"b.flac", rb"a%22b.flac"], ids=["curl", "browser"])
def test_quote_in_name_is_kept(strict: Server, song: Path, sent: bytes) -> None:
    body = HEAD.replace(b"x.mp3", sent) + song.read_bytes() + b"\r\n--edge--\r\n"
    response = strict.post_body("/v1/classify", body, MULTIPART)
    assert response.json()["songs"][0]["name"] == 'a"b.flac'


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
    """A pool without workers, which holds its jobs until the test releases them."""

    is_ready = True
    queued = busy = crashes = 0
    seconds_per_job = 1.0

    def __init__(self) -> None:
        self.futures: list[Future] = []
        self._is_held = True

    def submit(self, job: object) -> Future:
        future: Future = Future()
        self.futures.append(future)
        if not self._is_held:
            self.finish(future)
        return future

    def finish(self, future: Future) -> None:
        """Refuse a job."""
        if not future.done():
            future.set_result(Refusal("not-audio", "Not audio."))

    def release(self) -> None:
        """Refuse all jobs, also those to come."""
        self._is_held = False
        for future in list(self.futures):
            self.finish(future)


@contextmanager
def serve_held(
    log: Path, settings: Settings | None = None
) -> Iterator[tuple[Server, HeldPool, ThreadPoolExecutor]]:
    """Serve with a pool that holds its jobs, and provide threads for clients."""
    pool = HeldPool()
    with (
        serve_in_thread(build_app(pool, settings), log) as running,
        ThreadPoolExecutor(8) as clients,
    ):
        try:
            yield running, pool, clients
        finally:
            pool.release()


def test_uploads_have_no_name_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = write_tone(tmp_path / "song.wav", 60.0, 44_100)  # more than is kept in memory
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def uploaded_files() -> list[str]:
        return [file for file in open_files(os.getpid()) if file.startswith(str(folder))]

    with serve_held(tmp_path / "log") as (server, pool, clients):
        response = clients.submit(server.post, "/v1/classify", song)
        until(lambda: pool.futures)
        assert uploaded_files()
        assert not list(folder.iterdir())
        pool.release()
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


def start_upload(server: Server, sent: bytes = HEAD) -> socket.socket:
    """Send the start of an upload of a megabyte."""
    connection = socket.create_connection(server.address, timeout=60)
    connection.sendall(
        f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\n"
        f"Content-Length: 1000000\r\n\r\n".encode()
        + sent
    )
    return connection


def with_limits(**limits: float) -> Settings:
    return Settings(limits=Limits(**limits))


def test_stalled_uploads_give_way(tmp_path: Path, song: Path) -> None:
    settings = with_limits(queue=2, upload_seconds=600)
    with serve_held(tmp_path / "log", settings) as (server, pool, clients), ExitStack() as stack:
        stalled = [stack.enter_context(start_upload(server)) for _ in range(3)]
        refused = server.post("/v1/classify", song)
        assert code_of(refused) == (429, "overloaded")
        time.sleep(int(refused.headers["retry-after"]))
        accepted = clients.submit(server.post, "/v1/classify", song)
        until(lambda: pool.futures)
        pool.release()
        assert code_of(accepted.result()) == (415, "not-audio")
        ended, _, _ = select.select(stalled, [], [], 60)
        assert [connection.recv(12) for connection in ended] == [b"HTTP/1.1 408"]


def test_queue_counts_files(tmp_path: Path, song: Path) -> None:
    with serve_held(tmp_path / "log", with_limits(queue=5)) as (server, pool, clients):
        four = clients.submit(server.post, "/v1/classify", *[song] * 4)
        until(lambda: pool.futures)
        refused = server.post("/v1/classify", *[song] * 3)
        assert code_of(refused) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        two = clients.submit(server.post, "/v1/classify", *[song] * 2)
        until(lambda: server.metric("pocketgenre_files_waiting") == 4)
        pool.release()
        assert code_of(four.result()) == code_of(two.result()) == (415, "not-audio")
        assert server.metric("pocketgenre_files_waiting") == 0


def test_features_take_no_slot(tmp_path: Path, song: Path) -> None:
    with serve_held(tmp_path / "log", with_limits(queue=1)) as (server, pool, clients):
        first = clients.submit(server.post, "/v1/classify", song)
        until(lambda: pool.futures)
        files = {"file": song.read_bytes(), "features": b"[[0.5]]"}
        with server.client() as client:
            second = clients.submit(client.post, "/v1/parity", files=files)
            until(lambda: len(pool.futures) == 2)
            pool.release()
            assert code_of(first.result()) == code_of(second.result()) == (415, "not-audio")


def test_upload_cut_off_at_its_end_competes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgenre.server.middleware._STALL_SECONDS", 0.0)

    async def receive_two() -> None:
        slots = UploadSlots(1, lambda: 0.0)
        stalled, other = (LimitedBody(no_message, Limits()) for _ in range(2))
        slots.acquire(stalled)
        slots.acquire(other)  # in place of the first
        with pytest.raises(Problem, match="Too few"):
            slots.extend(stalled, 1)
        slots.release(other)
        slots.extend(stalled, 1)

    async def no_message() -> Message:
        raise NotImplementedError

    asyncio.run(receive_two())


def test_more_files_than_slots_are_accepted(tmp_path: Path, song: Path) -> None:
    with serve_held(tmp_path / "log", with_limits(queue=0)) as (server, pool, clients):
        four = clients.submit(server.post, "/v1/classify", *[song] * 4)
        until(lambda: pool.futures)
        pool.release()
        assert code_of(four.result()) == (415, "not-audio")


def test_requests_take_turns(tmp_path: Path, song: Path) -> None:
    with serve_held(tmp_path / "log", with_limits(queue=64)) as (server, pool, clients):
        many = [clients.submit(server.post, "/v1/classify", *[song] * 16) for _ in range(2)]
        until(lambda: server.metric("pocketgenre_files_waiting") == 30)
        one = clients.submit(server.post, "/v1/classify", song)
        until(lambda: server.metric("pocketgenre_files_waiting") == 31)
        finished = 0
        while not one.done():
            pool.finish(pool.futures[finished])
            finished += 1
            # Another file is submitted, or the one song was the last to be finished.
            until(partial(submitted_or_done, pool, finished + 2, one))
        assert finished <= 6  # two were submitted, then each request had a turn
        assert not any(future.done() for future in many)


def submitted_or_done(pool: HeldPool, number: int, future: Future) -> bool:
    return future.done() or len(pool.futures) >= number


def test_full_disk_has_its_own_code(tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.wav", 120.0, 22_050)
    options = ("--workers", 1, "--model", "standard")
    with serve_in_process(tmp_path / "log", *options) as running:
        before = running.open_files()
        # No file of the server may grow beyond this, as on a disk without space.
        psutil.Process(running.process.pid).rlimit(psutil.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        response = running.post("/v1/classify", song)
        assert code_of(response) == (507, "no-space")
        assert response.json()["detail"] == "The request body cannot be stored: File too large."
        with running.client() as client:
            assert code_of(client.put("/v1/classify", content=song.read_bytes()))[0] == 507
        assert "upload not stored" in running.log.read_text()
        assert "error=EFBIG" in running.log.read_text()
        assert running.get("/readyz").status_code == 200
        assert running.open_files() == before


def test_stop_answers_songs_that_have_begun(tmp_path: Path, song: Path) -> None:
    options = ("--workers", 2, "--model", "standard")
    with serve_in_process(tmp_path / "log", *options) as running:
        workers = running.workers()
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(20) as clients:
            pending = [clients.submit(running.post, "/v1/classify", song) for _ in range(20)]
            until(lambda: running.metric("pocketgenre_files_waiting") == 18)
            # As systemd does, and a terminal that is closed.
            for number in (signal.SIGTERM, signal.SIGHUP):
                for process in (running.process, *workers):
                    process.send_signal(number)
            for worker in workers:
                worker.send_signal(signal.SIGCONT)
            assert [future.result().status_code for future in pending] == [200] * 20
        assert running.process.wait(timeout=60) == 0
        until(lambda: not any(worker.is_running() for worker in workers))
        assert "warning" not in running.log.read_text()


def test_second_interruption_stops_at_once(tmp_path: Path, song: Path) -> None:
    options = ("--workers", 2, "--model", "standard")
    with serve_in_process(tmp_path / "log", *options) as running:
        workers = running.workers()
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(5) as clients:
            for _ in range(5):
                clients.submit(running.post, "/v1/classify", song)
            until(lambda: running.metric("pocketgenre_files_waiting") == 3)
            lines = len(running.log.read_text().splitlines())
            running.process.send_signal(signal.SIGINT)
            until(lambda: not is_listening(running))
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(timeout=60) == 130
        until(lambda: not any(worker.is_running() for worker in workers))
        added = running.log.read_text().splitlines()[lines:]
        assert "Traceback" not in "".join(added)
        assert len(added) <= 5  # one for each request


def is_listening(server: Server) -> bool:
    with suppress(OSError), socket.create_connection(server.address, timeout=5):
        return True
    return False


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
