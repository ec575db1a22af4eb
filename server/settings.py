"""What a server is told at its start."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from pocketgenre.errors import PocketGenreError

TOKEN_VARIABLE = "POCKETGENRE_TOKEN"  # noqa: S105  # the variable's name
"""Environment variable with the token, so that it needn't stand in a command line."""

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes
    ----------
    upload_bytes : of a request's body
    upload_seconds : in which it has to arrive
    files : of a request
    audio_seconds : of a song
    work_seconds : that a worker may take for a file
    waiting : requests that wait for a worker, beside those that have one
    """

    upload_bytes: int = 64_000_000
    upload_seconds: float = 60.0
    files: int = 16
    audio_seconds: float = 1_800.0
    work_seconds: float = 60.0
    waiting: int = 32


@dataclass(frozen=True)
class Settings:
    """How a server is run.

    Attributes
    ----------
    host, port : that it binds to
    workers : processes that decode and judge
    token : that every request for data has to bear, or None
    origins : of other pages that may ask, ``http://localhost:5173`` for example
    limits : what a request may cost
    phone : folder of a built phone page, or None

    Raises
    ------
    PocketGenreError
        it would be open to others without a token, or the token can be guessed.
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
                f"At {self.host} others could reach the server: give it a --token, or set"
                f" {TOKEN_VARIABLE}."
            )
        if self.token is not None and not _is_token(self.token):
            raise PocketGenreError(
                f"A token has at least {_SHORTEST_TOKEN} letters, digits or signs and no space;"
                " `openssl rand -hex 16` makes one."
            )
        for origin in self.origins:
            scheme, separator, host = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not host or "/" in host:
                raise PocketGenreError(
                    f"{origin} is not the origin of a page; one looks like http://localhost:5173."
                )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # another name
            return False


def _is_token(token: str) -> bool:
    return len(token) >= _SHORTEST_TOKEN and all("!" <= sign <= "~" for sign in token)
