"""What is counted and what is logged: never a file's name or content."""

import json
import logging
import sys
import time
import traceback
from types import TracebackType
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

log = logging.getLogger("pocketgenre.server")

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "pocketgenre_requests", "Requests answered", ["path", "method", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "pocketgenre_request_seconds", "Time of a request, its upload included", ["path"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.uploaded = Counter(
            "pocketgenre_uploaded_bytes", "Bytes of bodies received", registry=self.registry
        )
        self.files = Counter(
            "pocketgenre_files", "Files by what came of them: ok, or the problem's code",
            ["outcome"], registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "pocketgenre_files_waiting", "Files that no worker has begun", registry=self.registry
        )
        self.busy = Gauge("pocketgenre_workers_busy", "Workers at a file", registry=self.registry)
        self.deaths = Gauge(
            "pocketgenre_worker_deaths", "Workers that a file or the system has ended",
            registry=self.registry,
        )  # fmt: skip


class _Lines(logging.Formatter):
    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, ...],
    ) -> str:
        """Where a fault was raised and of what type, without its text: that may be a name."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            lines = [*traceback.format_tb(error.__traceback__), type(error).__name__, *lines]
            cause = None if error.__suppress_context__ else error.__context__
            error = error.__cause__ or cause
        return "\n".join(line.rstrip() for line in lines)


class JsonLines(_Lines):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's message and the fields that came with it."""
        fields = {"time": _time(record), "level": record.levelname.lower()}
        fields["message"] = record.getMessage()
        fields |= _fields(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class PlainLines(_Lines):
    """A line to read."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's message, and the fields as ``key=value``."""
        pairs = [f"{key}={value}" for key, value in _fields(record).items()]
        line = " ".join([_time(record), record.levelname.lower(), record.getMessage(), *pairs])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(form: str) -> None:
    """Log to standard error, as ``json`` or ``plain`` lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    for name in ("pocketgenre.server", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "pocketgenre.server" else logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{record.msecs:03.0f}Z"
