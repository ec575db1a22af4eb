"""Close connections whose client is too slow, and limit what one client delays for others."""

import asyncio
import socket
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_HEAD_SECONDS = 20
"""Time for a request's line and headers to arrive [s]. uvicorn has no limit for it."""

WRITE_SECONDS = 60
"""Time for a client to receive written data: a response, or 64 KiB of a large file [s]."""

READ_BYTES = 65_536
"""Bytes that are read from a connection at once; asyncio's default is 256 KiB."""

MAX_EVENTS = 512
"""Chunks and requests that one read may contain. Each takes 50 µs to parse, in which the server
answers no one else. Clients that stream a file send chunks of thousands of bytes."""


class _LimitedConnection(h11.Connection):
    """h11's parser, which gives up where chunks are tiny."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        super().__init__(h11.SERVER)
        self._events = 0
        self._give_up = give_up

    def receive_data(self, data: bytes) -> None:
        self._events = 0
        super().receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        self._events += 1
        if self._events > MAX_EVENTS:
            self._give_up()
            return h11.NEED_DATA
        return super().next_event()


class TimeoutProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with limits on the time and the processor time of a client."""

    _write_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request."""
        super().connection_made(transport)
        self.conn = _LimitedConnection(self._refuse_tiny_chunks)
        # Nagle's algorithm would delay each response by 40 ms. asyncio disables it only on sockets
        # whose protocol number is set.
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
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

    def _refuse_tiny_chunks(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.send_400_response("The chunks are too small: send the length, or larger chunks.")
        else:
            self.transport.abort()

    def _stop_write_timeout(self) -> None:
        if self._write_timeout:
            self._write_timeout.cancel()

    def _start_head_timeout(self) -> None:
        self.loop.call_later(REQUEST_HEAD_SECONDS, self._close_if_idle, self.cycle)

    def _close_if_idle(self, cycle: object) -> None:
        if self.cycle is cycle and not self.transport.is_closing():
            self.transport.close()
