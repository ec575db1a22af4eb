"""Send songs from many concurrent clients and measure the server."""

import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

_BOUNDARY = "0123456789abcdef"
_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


@dataclass
class LoadResult:
    """Measurements of the clients.

    Attributes
    ----------
    statuses : status of each response, in no particular order
    seconds : time for each accepted song, without waiting for a free slot [s]
    health : time for each request to ``/healthz`` [s]
    duration : total time [s]
    """

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    duration: float = 0.0

    @property
    def classified(self) -> int:
        return self.statuses.count(200)

    @property
    def songs_per_second(self) -> float:
        return self.classified / self.duration

    def health_quantile(self, share: float) -> float:
        """Return the time within which this share of the health checks was answered [s]."""
        return sorted(self.health)[int(share * (len(self.health) - 1))]


def multipart_body(song: Path) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="song"\r\n\r\n'
    return head.encode() + song.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()


def generate_load(
    url: str, songs: list[Path], clients: int, is_active: Callable[[int], bool]
) -> LoadResult:
    """Post songs in turn from many clients; each retries after status 429.

    Parameters
    ----------
    is_active : function of the number of songs sent so far; returns False to stop the clients
    """
    host = url.removeprefix("http://")
    bodies = [multipart_body(song) for song in songs]
    result = LoadResult()
    numbers = iter(range(1_000_000_000))
    is_finished = False

    def send_songs() -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        while is_active(number := next(numbers)):
            while True:
                started = time.monotonic()
                body = bodies[number % len(bodies)]
                connection.request("POST", "/v1/classify", body, _HEADERS)
                response = connection.getresponse()
                response.read()
                result.statuses.append(response.status)
                if response.status != 429:
                    result.seconds.append(time.monotonic() - started)
                    break
                time.sleep(int(response.headers["Retry-After"]))
        connection.close()

    def check_health() -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        while not is_finished:
            started = time.monotonic()
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"status":"ok"}'
            result.health.append(time.monotonic() - started)
            time.sleep(0.02)

    started = time.monotonic()
    with ThreadPoolExecutor(clients + 1) as threads:
        health = threads.submit(check_health)
        for client in [threads.submit(send_songs) for _ in range(clients)]:
            client.result()
        result.duration = time.monotonic() - started
        is_finished = True
        health.result()
    return result
