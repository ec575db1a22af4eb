"""Each limit has its status, a hostile file harms nobody, and nothing is left behind."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.conftest import until, write_tone
from tests.server.serving import Serving, serving

MULTIPART = "multipart/form-data; boundary=edge"
HEAD = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="x.mp3"\r\n\r\n'


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with little patience: 2 MB, 1 minute, 3 files, 3 s to listen, 2 s to upload."""
    log = tmp_path_factory.mktemp("strict") / "log"
    limits = ("--max-mb", 2, "--max-minutes", 1, "--max-files", 3, "--max-seconds", 3)
    small = ("--upload-seconds", 2, "--queue", 1, "--workers", 1, "--model", "standard")
    with serving(log, *limits, *small) as running:
        yield running


def code_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_too_many_bytes(strict: Serving, tmp_path: Path) -> None:
    (tmp_path / "big.wav").write_bytes(bytes(2_100_000))
    assert code_of(strict.post("/v1/classify", tmp_path / "big.wav")) == (413, "too-large")


def test_too_many_bytes_without_saying_so(strict: Serving) -> None:
    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(1_000):
            yield bytes(65_536)

    refused = 'pocketgenre_requests_total{method="POST",path="/v1/classify",status="413"}'
    before = strict.metric(refused)
    with strict.client() as client:
        try:
            response = client.post(
                "/v1/classify", content=body(), headers={"Content-Type": MULTIPART}
            )
        except httpx.WriteError:  # the server has hung up on the rest
            pass
        else:
            assert code_of(response) == (413, "too-large")
    assert strict.metric(refused) == before + 1
    assert strict.get("/healthz").json() == {"status": "ok"}


def test_too_long_a_song(strict: Serving, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "long.flac", 61.0, 8_000)
    assert song.stat().st_size < 1_900_000
    assert code_of(strict.post("/v1/classify", song)) == (413, "too-long")


def test_too_many_files(strict: Serving, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.flac", 3.0)
    assert code_of(strict.post("/v1/classify", *[song] * 4)) == (413, "too-many-files")
    assert strict.post("/v1/classify", *[song] * 3).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "audio/mpeg"}, {}, {"Content-Type": "application/json"}]
)
def test_a_body_that_is_no_form(strict: Serving, headers: dict) -> None:
    with strict.client() as client:
        response = client.post("/v1/classify", content=b"ID3", headers=headers)
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
def test_a_form_without_the_right_parts(strict: Serving, body: bytes) -> None:
    with strict.client() as client:
        response = client.post("/v1/classify", content=body, headers={"Content-Type": MULTIPART})
    assert code_of(response) == (422, "invalid-request")


@pytest.mark.parametrize(
    "query", ["vote=loud", "min_confidence=2", "min_margin=nan", "min_margin="]
)
def test_a_wrong_parameter(strict: Serving, tmp_path: Path, query: str) -> None:
    song = write_tone(tmp_path / "song.flac", 3.0)
    assert code_of(strict.post(f"/v1/classify?{query}", song)) == (422, "invalid-request")


def test_a_body_that_does_not_arrive(strict: Serving) -> None:
    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(100):
            time.sleep(0.3)
            yield b"x"

    started = time.monotonic()
    with strict.client() as client:
        try:
            response = client.post(
                "/v1/classify", content=body(), headers={"Content-Type": MULTIPART}
            )
        except httpx.WriteError:
            pytest.fail("the server hung up without a word")
    assert code_of(response) == (408, "slow-upload")
    assert time.monotonic() - started < 20


def test_a_worker_that_hangs_is_given_up_and_replaced(strict: Serving, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.flac", 3.0)
    worker = strict.workers()[0]
    worker.send_signal(signal.SIGSTOP)  # as good as a decoder's endless loop, and quicker made
    started = time.monotonic()
    response = strict.post("/v1/classify", song)
    assert code_of(response) == (504, "out-of-time")
    assert 3 <= time.monotonic() - started < 40
    assert strict.post("/v1/classify", song).status_code == 200
    assert strict.workers()[0].pid != worker.pid


def test_a_worker_that_is_killed_is_replaced_and_its_song_heard_by_the_next(
    strict: Serving, tmp_path: Path
) -> None:
    song = write_tone(tmp_path / "song.flac", 3.0)
    worker = strict.workers()[0]
    worker.kill()
    assert strict.post("/v1/classify", song).status_code == 200
    assert strict.get("/readyz").status_code == 200
    assert strict.workers()[0].pid != worker.pid


def test_a_worker_that_dies_of_a_file_is_replaced(strict: Serving, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.flac", 3.0)
    worker = strict.workers()[0]
    worker.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(strict.post, "/v1/classify", song)
        until(lambda: strict.metric("pocketgenre_workers_busy") == 1)
        worker.send_signal(signal.SIGSEGV)
        worker.send_signal(signal.SIGCONT)
        response = answer.result()
    assert code_of(response) == (422, "crashed")
    assert "SIGSEGV" in response.json()["detail"]
    assert strict.post("/v1/classify", song).status_code == 200


def test_with_too_much_to_do_it_says_when_to_come_again_and_health_stays_quick(
    strict: Serving, tmp_path: Path
) -> None:
    song = write_tone(tmp_path / "song.flac", 3.0)
    worker = strict.workers()[0]
    worker.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as clients:
            waiting = [clients.submit(strict.post, "/v1/classify", song) for _ in range(8)]
            until(lambda: sum(answer.done() for answer in waiting) == 6)
            assert strict.get("/healthz").json() == {"status": "ok"}
            assert strict.metric("pocketgenre_workers_busy") == 1
            worker.send_signal(signal.SIGCONT)
            answers = [answer.result() for answer in waiting]
    finally:
        worker.send_signal(signal.SIGCONT)
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 6
    for answer in answers:
        if answer.status_code == 429:
            assert code_of(answer) == (429, "overloaded")
            assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_a_client_that_leaves_leaves_nothing_behind(strict: Serving, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.flac", 20.0)
    content = song.read_bytes()
    host, port = strict.url.removeprefix("http://").split(":")
    before = strict.open_files()
    for sent in (0, 10, 70_000, len(content)):
        with socket.create_connection((host, int(port))) as connection:
            length = len(HEAD) + len(content) + len(b"\r\n--edge--\r\n")
            connection.sendall(
                f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\n"
                f"Content-Length: {length}\r\n\r\n".encode()
            )
            body = HEAD + content + b"\r\n--edge--\r\n"
            connection.sendall(body[: sent if sent < len(content) else length])
    until(lambda: sorted(strict.open_files()) == sorted(before))
    assert strict.post("/v1/classify", song).status_code == 200


def test_uploads_have_no_name_on_the_disk(tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.wav", 60.0, 44_100)  # more than is kept in memory
    place = tmp_path / "temporary"
    place.mkdir()
    with serving(tmp_path / "log", "--workers", 1, TMPDIR=str(place)) as running:
        worker = running.workers()[0]
        worker.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as clients:
            answer = clients.submit(running.post, "/v1/classify", song)
            until(lambda: any(f.startswith(str(place)) for f in running.open_files()))
            assert not list(place.iterdir())
            worker.send_signal(signal.SIGCONT)
            assert answer.result().status_code == 200
    assert not list(place.iterdir())


def test_what_has_begun_is_finished_when_it_is_ended(tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.flac", 60.0)
    with serving(tmp_path / "log", "--workers", 1) as running:
        workers = running.workers()
        workers[0].send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(3) as clients:
            answers = [clients.submit(running.post, "/v1/classify", song) for _ in range(3)]
            until(lambda: running.metric("pocketgenre_files_waiting") == 2)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            workers[0].send_signal(signal.SIGCONT)
            assert [answer.result().status_code for answer in answers] == [200] * 3
        running.process.wait(timeout=20)
        assert not any(worker.is_running() for worker in workers)


@pytest.mark.long
def test_a_connection_that_asks_nothing_is_closed(strict: Serving) -> None:
    host, port = strict.url.removeprefix("http://").split(":")
    started = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=40) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        threading.Timer(10, slow.sendall, [b"very "]).start()
        assert slow.recv(100) == b""
    assert 15 < time.monotonic() - started < 30


def test_workers_do_not_outlive_a_server_that_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--workers", 2, "--model", "standard") as running:
        workers = running.workers()
        running.process.kill()
        running.process.wait()
        until(lambda: not any(worker.is_running() for worker in workers))
