"""Mutated songs of every format: none is the server's fault, and none leaves anything behind."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.server.serving import Serving, serving, write_mixed_library

SETTLING = 1_000  # uploads after which memory is looked at first: all decoders are loaded by then


@dataclass(frozen=True)
class State:
    """What may not grow."""

    memory: int
    files: int


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Fifteen songs in as many forms."""
    library = write_mixed_library(tmp_path_factory.mktemp("originals"), seconds=3.5)
    return [path.read_bytes() for path in library]


def mutated(original: bytes, chance: random.Random) -> bytes:
    """A song with bytes changed, left out, doubled or cut off; mostly where its headers are."""
    content = bytearray(original)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        reach = chance.choice([64, 512, 4_096, len(content)])
        at = chance.randrange(max(1, min(reach, len(content))))
        kind = chance.randrange(6)
        if kind == 0:
            content[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            content[at : at + 4] = chance.choice(
                [
                    b"\xff\xff\xff\xff",
                    b"\x7f\xff\xff\xff",
                    bytes(4),
                    b"\x80\0\0\0",
                    b"\xff\xff\xff\x7f",
                ]
            )
        elif kind == 2:
            del content[at : at + chance.choice([1, 4, 100, 10_000])]
        elif kind == 3:
            content[at:at] = content[at : at + chance.choice([1, 4, 100, 10_000])]
        elif kind == 4:
            content[at : at + 32] = chance.randbytes(32)
        else:
            del content[max(at, 16) :]
    return bytes(content)


def state_of(server: Serving) -> State:
    """Of the server and its workers, when nothing is being done."""
    processes = [psutil.Process(server.process.pid), *server.workers()]
    return State(
        memory=max(process.memory_info().rss for process in processes),
        files=sum(process.num_fds() for process in processes),
    )


def fuzz(server: Serving, originals: list[bytes], uploads: int) -> Counter[str]:
    """Send mutated songs by several clients; what came of them, by status and code."""
    outcomes: Counter[str] = Counter()

    def send(number: int) -> str:
        chance = random.Random(number)
        content = mutated(chance.choice(originals), chance)
        path = chance.choice(
            ["/v1/classify", "/v1/classify/segments?outline=1", "/v1/features?count=1"]
        )
        with server.client() as client:
            response = client.post(path, files={"file": ("song", content)})
        assert response.status_code in (200, 413, 415, 422), (number, response.text)
        return str(response.status_code if response.is_success else response.json()["code"])

    def some(numbers: range) -> None:
        with ThreadPoolExecutor(4) as clients:
            outcomes.update(clients.map(send, numbers))

    some(range(min(SETTLING, uploads // 2)))
    before = settled(server)
    some(range(min(SETTLING, uploads // 2), uploads))
    after = settled(server)
    print(f"{uploads} uploads: {dict(outcomes)}; before {before}, after {after}")
    assert after.files <= before.files
    assert after.memory < before.memory + 48_000_000
    assert server.get("/readyz").status_code == 200
    assert outcomes.total() == uploads
    return outcomes


def settled(server: Serving) -> State:
    """Once the connections of the clients are closed."""
    state = state_of(server)
    for _ in range(20):
        time.sleep(0.5)
        state, last = state_of(server), state
        if state.files == last.files:
            break
    return state


@pytest.fixture
def victim(tmp_path: Path):
    with serving(tmp_path / "log", "--workers", 2, TMPDIR=str(tmp_path)) as running:
        yield running
    assert {path.name for path in tmp_path.iterdir()} == {"log"}


def test_mutated_songs_harm_nobody(victim: Serving, originals: list[bytes]) -> None:
    outcomes = fuzz(victim, originals, 200)
    assert outcomes["200"] > 20, "mutations should leave some songs whole"
    assert outcomes.total() - outcomes["200"] > 40, "and break others"


@pytest.mark.long
@pytest.mark.timeout(3_000)
def test_ten_thousand_mutated_songs_harm_nobody(victim: Serving, originals: list[bytes]) -> None:
    fuzz(victim, originals, 10_000)
