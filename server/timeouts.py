"""Close connections whose client is too slow."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_HEAD_SECONDS = 20
"""Time for a request's line and headers to arrive [s]. uvicorn has no limit for it."""

WRITE_SECONDS = 60
"""Time for a client to receive written data: a response, or 64 KiB of a large file [s]."""


class TimeoutProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with a timeout for request heads and one for writes."""

    _write_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request."""
        super().connection_made(transport)
        # Writing pauses while any byte is unsent, so that the timeout also covers the last bytes.
        transport.set_write_buffer_limits(high=0)
        self._start_head_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the write timeout."""
        super().connection_lost(exc)
        self._stop_write_timeout()

    def pause_writing(self) -> None:
        """Start the write timeout, since the client has not received all data."""
        super().pause_writing()
        self._write_timeout = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the write timeout, since the client has received all data."""
        super().resume_writing()
        self._stop_write_timeout()

    def on_response_complete(self) -> None:
        """Start the timeout of the next request."""
        completed = self.cycle
        super().on_response_complete()
        if self.cycle is completed:  # otherwise the next request has already arrived
            self._start_head_timeout()

    def _stop_write_timeout(self) -> None:
        if self._write_timeout:
            self._write_timeout.cancel()

    def _start_head_timeout(self) -> None:
        self.loop.call_later(REQUEST_HEAD_SECONDS, self._close_if_idle, self.cycle)

    def _close_if_idle(self, cycle: object) -> None:
        if self.cycle is cycle and not self.transport.is_closing():
            self.transport.close()
