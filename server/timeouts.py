"""HTTP with an end to waiting: who brings no whole request or takes no answer is hung up on."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 20
"""In which a request's line and headers have to arrive. uvicorn itself would wait for ever."""

ANSWER_SECONDS = 60
"""In which a client has to take what was written to it: an answer, or 64 KiB of a file."""


class PatientProtocol(H11Protocol):
    """uvicorn's, with a deadline for the head of each request, and one for what is sent."""

    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        # Writing is paused by whatever the client leaves, an answer's last bytes included.
        transport.set_write_buffer_limits(high=0)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or was hung up on."""
        super().connection_lost(exc)
        self._stop_giving_up()

    def pause_writing(self) -> None:
        """There is something that the client has not taken yet."""
        super().pause_writing()
        self._giving_up = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken all of it."""
        super().resume_writing()
        self._stop_giving_up()

    def on_response_complete(self) -> None:
        """A response was sent; the next request may come."""
        answered = self.cycle
        super().on_response_complete()
        if self.cycle is answered:  # else the next request was here already
            self._expect_request()

    def _stop_giving_up(self) -> None:
        if self._giving_up:
            self._giving_up.cancel()

    def _expect_request(self) -> None:
        self.loop.call_later(REQUEST_SECONDS, self._close_unless_after, self.cycle)

    def _close_unless_after(self, cycle: object) -> None:
        if self.cycle is cycle and not self.transport.is_closing():
            self.transport.close()
