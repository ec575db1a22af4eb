"""Mutated songs of every format cause no server error and leak neither memory nor files."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.server.mixed_library import write_mixed_library
from tests.server.servers import ServerProcess, serve_in_process

WARM_UP = 1_000  # uploads before memory is first measured, so that all decoders are loaded


@dataclass(frozen=True)
class Resources:
    """Resources that must not grow.

    Attributes
    ----------
    memory : resident memory of the largest process [bytes]
    files : number of open files of all processes
    """

    memory: int
    files: int


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Fifteen songs in fifteen formats."""
    library = write_mixed_library(tmp_path_factory.mktemp("originals"), seconds=3.5)
    return [path.read_bytes() for path in library]


def mutate(original: bytes, rng: random.Random) -> bytes:
    """Change, remove, repeat or cut off bytes of a song, mostly in its headers."""
    content = bytearray(original)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        limit = rng.choice([64, 512, 4_096, len(content)])
        start = rng.randrange(max(1, min(limit, len(content))))
        kind = rng.randrange(6)
        if kind == 0:
            content[start : start + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            content[start : start + 4] = rng.choice(
                [
                    b"\xff\xff\xff\xff",
                    b"\x7f\xff\xff\xff",
                    bytes(4),
                    b"\x80\0\0\0",
                    b"\xff\xff\xff\x7f",
                ]
            )
        elif kind == 2:
            del content[start : start + rng.choice([1, 4, 100, 10_000])]
        elif kind == 3:
            content[start:start] = content[start : start + rng.choice([1, 4, 100, 10_000])]
        elif kind == 4:
            content[start : start + 32] = rng.randbytes(32)
        else:
            del content[max(start, 16) :]
    return bytes(content)


def measure(server: ServerProcess) -> Resources:
    """Measure the server and its workers."""
    processes = [psutil.Process(server.process.pid), *server.workers()]
    return Resources(
        memory=max(process.memory_info().rss for process in processes),
        files=sum(process.num_fds() for process in processes),
    )


def fuzz(server: ServerProcess, originals: list[bytes], uploads: int) -> Counter[str]:
    """Send mutated songs from several clients; count the responses by status and code."""
    outcomes: Counter[str] = Counter()

    def send(number: int) -> str:
        rng = random.Random(number)
        content = mutate(rng.choice(originals), rng)
        path = rng.choice(
            ["/v1/classify", "/v1/classify/segments?outline=1", "/v1/features?count=1"]
        )
        with server.client() as client:
            response = client.post(path, files={"file": ("song", content)})
        assert response.status_code in (200, 413, 415, 422), (number, response.text)
        return str(response.status_code if response.is_success else response.json()["code"])

    def send_all(numbers: range) -> None:
        with ThreadPoolExecutor(4) as clients:
            outcomes.update(clients.map(send, numbers))

    send_all(range(min(WARM_UP, uploads // 2)))
    before = measure_when_idle(server)
    send_all(range(min(WARM_UP, uploads // 2), uploads))
    after = measure_when_idle(server)
    print(f"{uploads} uploads: {dict(outcomes)}; before {before}, after {after}")
    assert after.files <= before.files
    assert after.memory < before.memory + 48_000_000
    assert server.get("/readyz").status_code == 200
    assert outcomes.total() == uploads
    return outcomes


def measure_when_idle(server: ServerProcess) -> Resources:
    """Measure once the connections of the clients are closed."""
    current = measure(server)
    for _ in range(20):
        time.sleep(0.5)
        current, previous = measure(server), current
        if current.files == previous.files:
            break
    return current


@pytest.fixture
def running(tmp_path: Path):
    with serve_in_process(tmp_path / "log", "--workers", 2, TMPDIR=str(tmp_path)) as server:
        yield server
    assert {path.name for path in tmp_path.iterdir()} == {"log"}


def test_mutated_songs_cause_no_server_error(
    running: ServerProcess, originals: list[bytes]
) -> None:
    outcomes = fuzz(running, originals, 200)
    assert outcomes["200"] > 20, "some mutated songs should still be valid"
    assert outcomes.total() - outcomes["200"] > 40, "and others should not"


@pytest.mark.long
@pytest.mark.timeout(3_000)
def test_ten_thousand_mutated_songs_are_harmless(
    running: ServerProcess, originals: list[bytes]
) -> None:
    fuzz(running, originals, 10_000)
