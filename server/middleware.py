"""ASGI middleware that checks, limits and records every request.

It wraps the whole application because the framework reads a request's body before it calls a
route.
"""

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from math import ceil, inf
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pocketgenre.server.pages import DOCS_PATH, PHONE_PATH
from pocketgenre.server.problems import INTERNAL_DETAIL, Problem
from pocketgenre.server.settings import Limits, Settings
from pocketgenre.server.telemetry import Metrics, log

_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_PUBLIC_PATHS = {"/", "/healthz", "/readyz", DOCS_PATH}
_PUBLIC_FOLDERS = {"page", PHONE_PATH.strip("/")}
_METHODS_WITHOUT_BODY = {"GET", "HEAD", "OPTIONS"}
_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_MAX_RETRY_SECONDS = 60
# Where slots are short, an upload slower than this after this time loses its slot to a new one.
_STALLED_SPEED = 10_000  # bytes per second
_STALL_SECONDS = 2.0
_CLIENT_DISCONNECTED = 499  # nginx's status for a client that closes the connection
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DEFAULT_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _CONTENT_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class LimitedBody:
    """Receive a request's body within the limits on size and time.

    Parameters
    ----------
    receive : ASGI callable of the request
    limits : limits of a request
    """

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self.bytes = 0
        self.is_complete = False
        self._receive, self._limits = receive, limits
        self._began = asyncio.get_running_loop().time()
        self._deadline = self._began + limits.upload_seconds
        self._timeout: asyncio.Timeout | None = None

    async def __call__(self) -> Message:
        """Receive the next message.

        Raises
        ------
        Problem
            if the body is too large or too slow.
        """
        if self.is_complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline) as self._timeout:
                message = await self._receive()
        except TimeoutError:
            raise Problem(
                "slow-upload",
                f"The body did not arrive within {self._limits.upload_seconds:g} s, or made other"
                " requests wait.",
                {"Connection": "close"},
            ) from None
        finally:
            self._timeout = None
        self.bytes += len(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)
        check_size(self.bytes, self._limits)
        return message

    @property
    def speed(self) -> float:
        """Bytes per second; infinite at the start and after the end."""
        seconds = asyncio.get_running_loop().time() - self._began
        return inf if self.is_complete or seconds < _STALL_SECONDS else self.bytes / seconds

    def cut_off(self) -> None:
        """End the upload as too slow."""
        self._deadline = self._began
        if self._timeout:
            self._timeout.reschedule(self._deadline)


class UploadSlots:
    """Limit the files that are being received, waiting for a worker or processed.

    Parameters
    ----------
    count : number of slots, one for each file
    queue_seconds : function that estimates how long the queued jobs will take [s]
    """

    def __init__(self, count: int, queue_seconds: Callable[[], float]) -> None:
        self._count = count
        self._queue_seconds = queue_seconds
        self._files: dict[LimitedBody, int] = {}

    def acquire(self, body: LimitedBody) -> None:
        """Take a slot for an upload, if necessary from one that has stalled.

        Raises
        ------
        Problem
            if no slot is free; it has a Retry-After header.
        """
        if sum(self._files.values()) >= self._count:
            slowest = min(self._files, key=lambda upload: upload.speed)
            if slowest.speed > _STALLED_SPEED:
                raise self._overloaded()
            slowest.cut_off()
            self.release(slowest)
        self._files[body] = 1

    def extend(self, body: LimitedBody, files: int) -> None:
        """Take a slot for each file of an upload that has been received.

        An upload with more files than there are slots needs all slots.

        Raises
        ------
        Problem
            if too few slots are free; it has a Retry-After header.
        """
        # An upload that was cut off may have ended just then; it has no slot.
        others = sum(self._files.values()) - self._files.get(body, 0)
        if others + min(files, self._count) > self._count:
            raise self._overloaded()
        self._files[body] = files

    def release(self, body: LimitedBody) -> None:
        """Give the slots of an upload back."""
        self._files.pop(body, None)

    def _overloaded(self) -> Problem:
        # After half of the estimated time, half of the slots are free.
        wait = self._queue_seconds() / 2
        if not all(upload.is_complete for upload in self._files):
            wait = max(wait, _STALL_SECONDS)
        seconds = min(_MAX_RETRY_SECONDS, max(1, ceil(wait)))
        return Problem(
            "overloaded",
            f"Too few of the {self._count} slots for files are free; try again in {seconds} s.",
            {"Retry-After": str(seconds)},
        )


class RequestRecord:
    """Log entry and metrics of one request.

    Parameters
    ----------
    scope : ASGI scope of the request
    method : method of the request
    request_id : id of the request
    body : body of the request
    metrics : counters to update
    """

    def __init__(
        self, scope: Scope, method: str, request_id: str, body: LimitedBody, metrics: Metrics
    ) -> None:
        self.status = 0
        self._scope, self._request_id, self._body = scope, request_id, body
        # Unknown paths and methods are not recorded: they could contain anything.
        self._method = method if method in _METHODS else "-"
        self._metrics = metrics
        self._started = time.monotonic()
        self._is_written = False

    def wrap(self, send: Send) -> Send:
        """Return a ``send`` that completes the response's headers, and writes the record."""

        async def send_response(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                response = MutableHeaders(scope=message)
                response["X-Request-ID"] = self._request_id
                for name, value in _DEFAULT_HEADERS.items():
                    response.setdefault(name, value)
                if "location" in response:
                    response["location"] = _without_host(response["location"])
            elif not message.get("more_body", False):
                self.write()  # before sending: the client finds its own request in the metrics
            await send(message)

        return send_response

    def write(self) -> None:
        """Write the record, unless this has been done."""
        if self._is_written:
            return
        self._is_written = True
        seconds = time.monotonic() - self._started
        path = getattr(self._scope.get("route"), "path", "-")
        self._metrics.requests.labels(path, self._method, self.status).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        self._metrics.uploaded.inc(self._body.bytes)
        fields: Mapping[str, object] = {
            "request": self._request_id,
            "method": self._method,
            "path": path,
            "status": self.status,
            "bytes": self._body.bytes,
            "seconds": round(seconds, 4),
        }
        log.info("request", extra={"fields": fields})


class RequestGuard:
    """Check the host, origin, token and size of requests, and log and count responses.

    Parameters
    ----------
    app : the ASGI application
    settings : settings of the server
    metrics : counters to update
    slots : limit on concurrent uploads
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, slots: UploadSlots
    ) -> None:
        self._app, self._settings = app, settings
        self._metrics, self._slots = metrics, slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, or respond with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        # Routes for GET answer HEAD as well: uvicorn, which knows the method, sends no body.
        scope = {**scope, "method": "GET" if method == "HEAD" else method, "state": {}}
        headers = Headers(scope=scope)
        given_id = headers.get("x-request-id", "")
        request_id = given_id if _REQUEST_ID.fullmatch(given_id) else secrets.token_hex(8)
        scope["state"]["request_id"] = request_id
        body = LimitedBody(receive, self._settings.limits)
        record = RequestRecord(scope, method, request_id, body, self._metrics)

        send_response = record.wrap(send)
        try:
            await self._check_and_call(scope, headers, body, send_response)
        except ClientDisconnect:
            record.status = record.status or _CLIENT_DISCONNECTED
        except Problem as problem:
            await problem.response(request_id)(scope, receive, send_response)
        except Exception:
            log.exception("internal error", extra={"fields": {"request": request_id}})
            if not record.status:
                problem_response = Problem("internal", INTERNAL_DETAIL).response(request_id)
                await problem_response(scope, receive, send_response)
        finally:
            record.write()

    async def _check_and_call(
        self, scope: Scope, headers: Headers, body: LimitedBody, send: Send
    ) -> None:
        if self._settings.is_local:
            _check_host(headers, _LOCAL_NAMES | {self._settings.host})
        _check_origin(headers, self._settings.origins)
        if self._settings.token and not is_public(scope["path"]):
            _check_token(headers, self._settings.token)
        if scope["method"] in _METHODS_WITHOUT_BODY:
            await self._app(scope, body, send)
            return
        length = headers.get("content-length", "0")
        check_size(int(length) if length.isdecimal() else 0, self._settings.limits)
        self._slots.acquire(body)
        scope["state"]["take_slots"] = partial(self._slots.extend, body)
        try:
            await self._app(scope, body, send)
        finally:
            self._slots.release(body)


def check_size(size: int, limits: Limits) -> None:
    """Check the size of a body.

    Parameters
    ----------
    size : bytes received or announced
    limits : limits of a request

    Raises
    ------
    Problem
        if the body is too large.
    """
    if size > limits.upload_bytes:
        raise Problem(
            "too-large",
            f"The body is larger than the limit of {limits.upload_bytes / 1e6:g} MB.",
            {"Connection": "close"},
        )


def is_public(path: str) -> bool:
    """Check whether a path needs no token: pages, without any data, and health checks."""
    return path in _PUBLIC_PATHS or path.removeprefix("/").partition("/")[0] in _PUBLIC_FOLDERS


def _check_host(headers: Headers, names: set[str]) -> None:
    # DNS rebinding: a page whose host name resolves to 127.0.0.1 would share our origin.
    if _split(f"//{headers.get('host', '')}").hostname not in names:
        raise Problem("wrong-host", "This server only accepts the host localhost or 127.0.0.1.")


def _check_origin(headers: Headers, allowed: tuple[str, ...]) -> None:
    # A form on any page could send a request, even though the page cannot read the response.
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return
    if not _split(origin).netloc or _split(origin).netloc != headers.get("host"):
        raise Problem("foreign-origin", "Allow pages of this origin with --allow-origin.")


def _without_host(location: str) -> str:
    # Starlette redirects to the request's Host, which may be anything if other machines can send
    # requests. Two slashes at the start would be a host again.
    parts = urlsplit(location)
    return parts._replace(scheme="", netloc="", path=f"/{parts.path.lstrip('/')}").geturl()


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _check_token(headers: Headers, token: str) -> None:
    scheme, _, given_token = headers.get("authorization", "").partition(" ")
    is_equal = hmac.compare_digest(given_token.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not is_equal:
        detail = "Send the header Authorization: Bearer TOKEN."
        if given_token:
            detail = "The token is wrong."
        raise Problem("token-needed", detail, {"WWW-Authenticate": "Bearer"})
