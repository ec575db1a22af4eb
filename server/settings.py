"""Define the settings of the server, and check them."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from pocketgenre.errors import PocketGenreError

TOKEN_VARIABLE = "POCKETGENRE_TOKEN"  # noqa: S105  # the variable's name
"""Environment variable of the token, which keeps it out of the command line."""

_MIN_TOKEN_LENGTH = 16


@dataclass(frozen=True)
class Limits:
    """Limits of a request.

    Attributes
    ----------
    upload_bytes : largest request body [bytes]
    upload_seconds : longest time for the body to arrive [s]
    files : largest number of files in a request
    audio_seconds : longest song [s]
    job_seconds : longest time for a worker to process a file [s]
    queue : number of files that may wait for a worker
    """

    upload_bytes: int = 64_000_000
    upload_seconds: float = 60.0
    files: int = 16
    audio_seconds: float = 1_800.0
    job_seconds: float = 60.0
    queue: int = 32


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes
    ----------
    host : address to bind to
    port : port to bind to; 0 for any free one
    workers : number of worker processes
    token : token required for requests for data, or None
    origins : origins of other pages that may send requests, e.g. ``http://localhost:5173``
    limits : limits of a request
    phone : folder of a built phone page, or None

    Raises
    ------
    PocketGenreError
        if other machines could reach the server without a token, the token is too short, or an
        origin is malformed.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    token: str | None = None
    origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    phone: Path | None = None

    def __post_init__(self) -> None:
        if not self.is_local and not self.token:
            raise PocketGenreError(
                f"At {self.host} other machines can reach the server: set a --token or"
                f" {TOKEN_VARIABLE}."
            )
        if self.token is not None and not _is_valid_token(self.token):
            raise PocketGenreError(
                f"The token needs at least {_MIN_TOKEN_LENGTH} printable ASCII characters and no"
                " spaces; create one with `openssl rand -hex 16`."
            )
        for origin in self.origins:
            scheme, separator, host = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not host or "/" in host:
                raise PocketGenreError(
                    f"{origin} is not a valid origin; use a form such as http://localhost:5173."
                )

    @property
    def is_local(self) -> bool:
        """True if only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # not an IP address
            return False


def _is_valid_token(token: str) -> bool:
    return len(token) >= _MIN_TOKEN_LENGTH and all("!" <= character <= "~" for character in token)
