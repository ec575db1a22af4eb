"""The gate that every request passes: who may ask, how much, and what is written down of it.

It stands before the routes, since a framework reads a body before it calls anything of ours.
"""

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from math import ceil
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pocketgenre.server.phone_page import PATH as PHONE_PATH
from pocketgenre.server.problems import Problem
from pocketgenre.server.settings import Limits, Settings
from pocketgenre.server.telemetry import Metrics, log

_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_OPEN_PATHS = ("/healthz", "/readyz", "/", "/page/", PHONE_PATH)
_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_LONGEST_WAIT = 60  # seconds that a client is told to wait
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_UNLESS_SAID = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class UploadSlots:
    """UploadSlots for uploads that are being received, wait or are worked at.

    Parameters
    ----------
    count : of the places
    wait : how long what is waiting now will take, in seconds
    """

    def __init__(self, count: int, wait: Callable[[], float]) -> None:
        self._free = self._count = count
        self._wait = wait

    def take(self) -> None:
        """Take a place.

        Raises
        ------
        Problem
            there is none; it says when to come again.
        """
        if not self._free:
            wait = min(_LONGEST_WAIT, max(1, ceil(self._wait() / 2)))  # half of them are free then
            raise Problem(
                "overloaded",
                f"All {self._count} places are taken; come again in {wait} s.",
                {"Retry-After": str(wait)},
            )
        self._free -= 1

    def leave(self) -> None:
        """Give it back."""
        self._free += 1


class Body:
    """A request's body, of bounded size and in bounded time."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self.bytes = 0
        self._receive, self._limits = receive, limits
        self._deadline = time.monotonic() + limits.upload_seconds
        self._ended = False

    async def __call__(self) -> Message:
        """The next message.

        Raises
        ------
        Problem
            it is too large or too slow.
        """
        if self._ended:
            return await self._receive()
        left = self._deadline - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.0))
        except TimeoutError:
            raise Problem(
                "slow-upload",
                f"The body has not arrived within {self._limits.upload_seconds:g} s.",
                {"Connection": "close"},
            ) from None
        self.bytes += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        check_size(self.bytes, self._limits)
        return message


class Gate:
    """ASGI middleware around the whole server."""

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, places: UploadSlots
    ) -> None:
        self._app, self._settings = app, settings
        self._metrics, self._places = metrics, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        body = Body(receive, self._settings.limits)
        status = 0
        written = False

        def write_down() -> None:
            nonlocal written
            if not written:
                written = True
                seconds = time.monotonic() - started
                self._write_down(scope, request_id, status, body.bytes, seconds)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                response = MutableHeaders(scope=message)
                response["X-Request-ID"] = request_id
                for name, value in _UNLESS_SAID.items():
                    response.setdefault(name, value)
            elif not message.get("more_body", False):
                write_down()  # before: who has the answer finds it counted
            await send(message)

        try:
            await self._admit(scope, headers, body, answer)
        except ClientDisconnect:
            status = status or 499
        except Problem as problem:
            await problem.response(request_id)(scope, receive, answer)
        except Exception:
            log.exception("fault", extra={"fields": {"request": request_id}})
            if not status:
                fault = Problem("internal", "The log has more under the request's id.")
                await fault.response(request_id)(scope, receive, answer)
        finally:
            write_down()

    async def _admit(self, scope: Scope, headers: Headers, body: Body, send: Send) -> None:
        if self._settings.is_local:
            _check_host(headers, _LOCAL_NAMES | {self._settings.host})
        _check_origin(headers, self._settings.origins)
        path: str = scope["path"]
        closed = not any(path == p or (p != "/" and path.startswith(p)) for p in _OPEN_PATHS)
        if self._settings.token and closed:
            _check_token(headers, self._settings.token)
        if scope["method"] != "POST":
            await self._app(scope, body, send)
            return
        length = headers.get("content-length", "0")
        check_size(int(length) if length.isdecimal() else 0, self._settings.limits)
        self._places.take()
        try:
            await self._app(scope, body, send)
        finally:
            self._places.leave()

    def _write_down(
        self, scope: Scope, request_id: str, status: int, received: int, seconds: float
    ) -> None:
        # A path that is none of ours could hold anything.
        path = getattr(scope.get("route"), "path", "-")
        method = scope["method"] if scope["method"] in _METHODS else "-"  # the same holds for it
        self._metrics.requests.labels(path, method, status).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        self._metrics.uploaded.inc(received)
        fields: Mapping[str, object] = {
            "request": request_id,
            "method": method,
            "path": path,
            "status": status,
            "bytes": received,
            "seconds": round(seconds, 4),
        }
        log.info("request", extra={"fields": fields})


def check_size(size: int, limits: Limits) -> None:
    """Refuse a body of so many bytes.

    Raises
    ------
    Problem
        it is too large.
    """
    if size > limits.upload_bytes:
        raise Problem(
            "too-large",
            f"The body has more than the {limits.upload_bytes / 1e6:g} MB that are allowed.",
            {"Connection": "close"},
        )


def _check_host(headers: Headers, names: set[str]) -> None:
    # A page whose name its owner lets point to 127.0.0.1 would else be of one origin with us.
    if _split(f"//{headers.get('host', '')}").hostname not in names:
        raise Problem("wrong-host", "This server answers as localhost or 127.0.0.1 alone.")


def _check_origin(headers: Headers, allowed: tuple[str, ...]) -> None:
    # A form on any page could post here, though it could not read the answer.
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return
    if not _split(origin).netloc or _split(origin).netloc != headers.get("host"):
        raise Problem("foreign-origin", "Pages of this origin need an --allow-origin.")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _check_token(headers: Headers, token: str) -> None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.encode(), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise Problem(
            "token-needed",
            "Send the header Authorization: Bearer and the token.",
            {"WWW-Authenticate": "Bearer"},
        )
