"""Open songs for the decoders: paths, and binary file objects.

A path is opened as a file descriptor, which libsndfile and FFmpeg read without calling Python. In a
callback from C, an exception (also one that a signal handler raises, such as KeyboardInterrupt)
would be lost and the song would end early. Only files above 256 MiB are read through Python
(``FileWindow``), which limits how many bytes of a damaged file the libraries read.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pocketgenre.audio.errors import UnreadableError
from pocketgenre.audio.limits import max_bytes
from pocketgenre.errors import AudioError

_READ_BYTES = 1 << 20
# Limit on the search for headers, chunks and frames, so that its duration does not depend on the
# size of a file. A smaller read counts as _MIN_SEARCHED_BYTES, which limits the number of reads.
_SEARCHED_BYTES = 1 << 30
_MIN_SEARCHED_BYTES = 1 << 14
_LARGE_BYTES = 1 << 28  # larger files are read through a FileWindow
_BLOCK_BYTES = 1 << 26  # read through a FileWindow for one block
_NOT_READABLE = "a song is a path, or a binary file opened for reading (mode 'rb')"


class SongFile:
    """A readable file of known size.

    Attributes
    ----------
    size : size of the file [bytes]
    descriptor : file descriptor for the C libraries; None if the source is a file object
    is_large : True if the C libraries must read the file through a window
    window : window through which FFmpeg reads a large file
    """

    def __init__(self, file: IO[bytes], *, has_descriptor: bool) -> None:
        self._file = file
        self.descriptor = file.fileno() if has_descriptor else None
        file.seek(0, os.SEEK_END)
        self.size = file.tell()
        self.is_large = self.size > _LARGE_BYTES
        self.window: FileWindow | None = None
        self._copy: tuple[int, IO[bytes]] | None = None
        self._searched_bytes = 0

    def search_at(self, offset: int, count: int) -> bytes:
        """Read up to ``count`` bytes of headers; fewer only at the end of the file.

        After 1 GiB or 65,536 reads, the result is empty, as at the end, so that each search ends.
        """
        if self._searched_bytes >= _SEARCHED_BYTES:
            return b""
        self._searched_bytes += max(count, _MIN_SEARCHED_BYTES)
        return self.read_at(offset, count)

    def read_at(self, offset: int, count: int) -> bytes:
        """Read up to ``count`` bytes at an offset; fewer only at the end of the file."""
        if offset >= self.size:
            return b""
        self._file.seek(offset)
        content = self._file.read(count)
        while content and len(content) < count:
            rest = self._file.read(count - len(content))
            if not rest:
                break
            content += rest
        return content

    def open_descriptor(self, start: int = 0) -> int:
        """Return a file descriptor whose first byte is the byte at ``start``, positioned at 0.

        The content is copied to a temporary file if the source has no descriptor, or for
        ``start`` > 0.
        """
        if self.descriptor is not None and not start:
            self._file.seek(0)
            return self.descriptor
        import tempfile  # takes 10 ms, and a path does not need it

        if self._copy is None or self._copy[0] != start:
            self.close()
            copy = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
            self._copy = start, copy
            self._file.seek(start)
            copied = 0
            while copied < max_bytes() and (content := self._file.read(_READ_BYTES)):
                copied += copy.write(content)
            copy.flush()
        descriptor = self._copy[1].fileno()
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def descriptor_position(self) -> int:
        """Return the position to which a C library has read the descriptor; 0 without one."""
        return 0 if self.descriptor is None else os.lseek(self.descriptor, 0, os.SEEK_CUR)

    def allow_packet(self) -> None:
        """Allow FFmpeg to read another packet of a large file."""
        if self.window is not None:
            self.window.allow_block()

    def check_readable(self, offset: int) -> None:
        """Read at an offset where a decoder stopped, to distinguish read errors from damage.

        Raises
        ------
        OSError
            if the file can't be read.
        """
        self.read_at(max(0, min(offset, self.size) - 1), 1 << 16)

    def is_zero(self, start: int, end: int) -> bool:
        """Check whether all bytes from ``start`` to ``end`` are zero."""
        while start < end:
            content = self.search_at(start, min(_READ_BYTES, end - start))
            if content.strip(b"\0"):
                return False
            if not content:
                return True
            start += len(content)
        return True

    def close(self) -> None:
        """Close the temporary copy. The source stays open."""
        if self._copy is not None:
            self._copy[1].close()
            self._copy = None


class FileWindow:
    """Part of a file for the callbacks of the C libraries, from an offset to an end.

    Between two blocks, at most 64 MiB are read, after which the file seems to end: a library
    searches all of a damaged file for the next frame, and some collect what they have searched.

    Parameters
    ----------
    file : file to read
    start, end : part of the file [bytes]
    replaced : offset and content of bytes that are read instead of those in the file

    Attributes
    ----------
    position : offset from the start of the window [bytes]
    error : first exception in a callback, which libsndfile can't pass on
    """

    def __init__(
        self,
        file: SongFile,
        start: int,
        end: int | None = None,
        replaced: tuple[int, bytes] | None = None,
    ) -> None:
        self._file, self.start = file, start
        self._replaced = replaced or (0, b"")
        self.size = min(file.size if end is None else end, start + max_bytes()) - start
        self.position = 0
        self.error: BaseException | None = None
        self.allow_block()

    def allow_block(self) -> None:
        """Allow the bytes of another block to be read."""
        self._bytes_left = _BLOCK_BYTES

    def keep_error(self, _type: object, error: BaseException, _traceback: object) -> None:
        """Keep the first exception."""
        self.error = self.error or error

    def read(self, count: int) -> bytes:
        """Read up to ``count`` bytes; fewer only at the end."""
        count = min(count, self.size - self.position, self._bytes_left)
        content = self._file.read_at(self.start + self.position, count) if count > 0 else b""
        content = self._with_replaced(content)
        self.position += len(content)
        self._bytes_left -= len(content)
        return content

    def _with_replaced(self, content: bytes) -> bytes:
        offset, replacement = self._replaced
        begin, end = offset - self.position, offset - self.position + len(replacement)
        if not replacement or end <= 0 or begin >= len(content):
            return content
        kept = replacement[max(0, -begin) : len(replacement) - max(0, end - len(content))]
        return content[: max(0, begin)] + kept + content[max(0, end) :]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset; an impossible one, which a damaged file may request, is ignored."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        if base + offset >= 0:
            self.position = base + offset
        return self.position

    def tell(self) -> int:
        """Return the offset from the start of the window [bytes]."""
        return self.position


@contextmanager
def open_song(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[SongFile]:
    """Open a file for the decoders.

    A file object is read from its start, and left open.

    Raises
    ------
    UnreadableError
        if the file can't be opened or read, also later in the ``with`` block.
    AudioError
        if the file is empty, its path is impossible, or a file object is closed or can't seek.
    TypeError
        if the source is neither a path nor a binary file opened for reading.
    """
    try:
        if isinstance(source, str | os.PathLike):
            with _open_path(source) as file:
                yield from _opened(SongFile(file, has_descriptor=True))
        else:
            _check_file_object(source)
            yield from _opened(SongFile(source, has_descriptor=False))
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error


def _opened(file: SongFile) -> Iterator[SongFile]:
    if not file.size:
        raise AudioError("the file is empty")
    try:
        yield file
    finally:
        file.close()


def _open_path(source: str | os.PathLike[str]) -> IO[bytes]:
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except ValueError as error:  # a null character or an unpaired surrogate
        raise AudioError("its path contains a character that no path can contain") from error
    if not stat.S_ISREG(mode):  # opening a pipe would block
        raise UnreadableError("not a file, or a folder that cannot be read")
    return open(path, "rb", buffering=0)


def _check_file_object(source: Any) -> None:
    if not all(callable(getattr(source, name, None)) for name in ("read", "seek", "tell")):
        raise TypeError(
            "a song is a path, a binary file or (samples, sample_rate),"
            f" not {type(source).__name__}"
        )
    try:
        _check_methods(source)
    except ValueError as error:
        if isinstance(error, OSError):  # io.UnsupportedOperation is both
            raise TypeError(_NOT_READABLE) from error
        raise AudioError("the file object is closed; pass an open one") from error


def _check_methods(source: Any) -> None:
    is_seekable = getattr(source, "seekable", None)
    if is_seekable is not None and not is_seekable():
        raise AudioError("the file object cannot seek; read it into io.BytesIO first")
    is_readable = getattr(source, "readable", None)
    if is_readable is not None and not is_readable():
        raise TypeError(_NOT_READABLE)
    source.seek(0)
    if isinstance(source, io.TextIOBase) or not isinstance(source.read(1), bytes):
        raise TypeError("a song is a path, or a binary file (mode 'rb'), not a file of text")
