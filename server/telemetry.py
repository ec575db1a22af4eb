"""Count and log requests. Names and contents of uploaded files are never recorded."""

import errno
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

_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)  # seconds


class Metrics:
    """Prometheus metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "pocketgenre_requests", "Requests answered", ["path", "method", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "pocketgenre_request_seconds", "Duration of a request, including its upload", ["path"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.uploaded = Counter(
            "pocketgenre_uploaded_bytes", "Bytes of request bodies received", registry=self.registry
        )
        self.files = Counter(
            "pocketgenre_files", "Files by outcome: ok, or the code of a problem",
            ["outcome"], registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "pocketgenre_files_waiting", "Files waiting for a worker", registry=self.registry
        )
        self.busy = Gauge(
            "pocketgenre_workers_busy", "Workers processing a file", registry=self.registry
        )
        self.deaths = Gauge(
            "pocketgenre_worker_deaths", "Workers that crashed or were killed",
            registry=self.registry,
        )  # fmt: skip


class LogFormatter(logging.Formatter):
    """Format each record as a line: time, level, message, and extra fields as ``key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record, and its traceback on further lines."""
        pairs = [f"{key}={value}" for key, value in _fields(record).items()]
        line = " ".join([_time(record), record.levelname.lower(), record.getMessage(), *pairs])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, ...],
    ) -> str:
        """Format the traceback without the exception's text, which may contain a file name."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            number = f" {error_name(error)}" if isinstance(error, OSError) else ""
            name = f"{type(error).__name__}{number}"
            lines = [*traceback.format_tb(error.__traceback__), name, *lines]
            cause = None if error.__suppress_context__ else error.__context__
            error = error.__cause__ or cause
        return "\n".join(line.rstrip() for line in lines)


def error_name(error: OSError) -> str:
    """Return the symbol of a system error, for example ``ENOSPC``."""
    return errno.errorcode.get(error.errno or 0, f"errno {error.errno}")


def configure_logging() -> None:
    """Write the log of the server and the warnings of uvicorn to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter())
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
