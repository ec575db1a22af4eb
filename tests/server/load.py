"""Many clients at once, with little work of their own: it is the server that is measured."""

import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

_EDGE = "0123456789abcdef"
_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_EDGE}"}


@dataclass
class Load:
    """What clients saw.

    Attributes
    ----------
    statuses : of each answer, in no order
    seconds : that each song took that was judged, its client's waiting for a place left out
    health : seconds that ``/healthz`` took, each time
    lasted : seconds in all
    """

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def judged(self) -> int:
        return self.statuses.count(200)

    @property
    def pace(self) -> float:
        """Songs a second."""
        return self.judged / self.lasted

    def health_at(self, share: float) -> float:
        """So large a share of the answers on health came within this many seconds."""
        return sorted(self.health)[int(share * (len(self.health) - 1))]


def form_of(song: Path) -> bytes:
    head = f'--{_EDGE}\r\nContent-Disposition: form-data; name="file"; filename="song"\r\n\r\n'
    return head.encode() + song.read_bytes() + f"\r\n--{_EDGE}--\r\n".encode()


def press(url: str, songs: list[Path], clients: int, going_on: Callable[[int], bool]) -> Load:
    """Post songs in turn from many clients, each coming again when it is told to.

    Parameters
    ----------
    going_on : asked with the number of songs that were begun, whether there is to be another
    """
    host = url.removeprefix("http://")
    forms = [form_of(song) for song in songs]
    load = Load()
    begun = iter(range(1_000_000_000))
    ended = False

    def client() -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        while going_on(number := next(begun)):
            while True:
                started = time.monotonic()
                connection.request("POST", "/v1/classify", forms[number % len(forms)], _HEADERS)
                response = connection.getresponse()
                response.read()
                load.statuses.append(response.status)
                if response.status != 429:
                    load.seconds.append(time.monotonic() - started)
                    break
                time.sleep(int(response.headers["Retry-After"]))
        connection.close()

    def nurse() -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        while not ended:
            started = time.monotonic()
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"status":"ok"}'
            load.health.append(time.monotonic() - started)
            time.sleep(0.02)

    started = time.monotonic()
    with ThreadPoolExecutor(clients + 1) as threads:
        watching = threads.submit(nurse)
        for done in [threads.submit(client) for _ in range(clients)]:
            done.result()
        load.lasted = time.monotonic() - started
        ended = True
        watching.result()
    return load
