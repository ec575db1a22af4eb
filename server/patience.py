"""HTTP with an end to waiting: a connection that doesn't bring a whole request is closed."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 20
"""In which a request's line and headers have to arrive. uvicorn itself would wait for ever."""


class PatientProtocol(H11Protocol):
    """uvicorn's, with a deadline for the head of each request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        """A response was sent; the next request may come."""
        answered = self.cycle
        super().on_response_complete()
        if self.cycle is answered:  # else the next request was here already
            self._expect_request()

    def _expect_request(self) -> None:
        self.loop.call_later(REQUEST_SECONDS, self._close_unless_after, self.cycle)

    def _close_unless_after(self, cycle: object) -> None:
        if self.cycle is cycle and not self.transport.is_closing():
            self.transport.close()
