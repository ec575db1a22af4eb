"""Read songs with libsndfile, through soundfile."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from pocketgenre.audio.containers import (
    audio_end,
    audio_start,
    find_sample_chunk,
    has_mpeg_frames,
    unknown_rf64_sizes,
)
from pocketgenre.audio.errors import DamagedAudioError, NotAudioError
from pocketgenre.audio.source import FileWindow, SongFile

FloatArray = NDArray[np.float32]

# Formats of libsndfile that hold music. One of its other readers prints to stdout.
_FORMATS = {"AIFF", "CAF", "FLAC", "MP3", "OGG", "RF64", "W64", "WAV", "WAVEX"}
_BYTES = {"PCM_U8": 1, "PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4,
          "DOUBLE": 8, "ALAW": 1, "ULAW": 1}  # fmt: skip
"""Bytes in a sample, by subtype of uncompressed files."""
# Samples times channels in a block. Damage may cost one block of the samples before it.
BLOCK_VALUES = 1 << 15
_IGNORED_SECONDS = 0.25  # shorter remainders are padding


class Sound(soundfile.SoundFile):  # type: ignore[misc]
    """Sound file that raises the exceptions of its callbacks.

    Parameters
    ----------
    file : file to read
    start, end : part of the file to read [bytes]
    replaced : offset and content of bytes to read instead of those in the file
    options : for headerless samples, as for :class:`soundfile.SoundFile`
    """

    def __init__(
        self,
        file: SongFile,
        start: int = 0,
        end: int | None = None,
        replaced: tuple[int, bytes] | None = None,
        **options: Any,
    ) -> None:
        self._song = file
        self._window: FileWindow | None = None
        is_whole = not start and end is None and replaced is None
        if file.descriptor is not None and is_whole and not file.is_large:
            super().__init__(file.open_descriptor(), closefd=False, **options)
            return
        self._window = window = FileWindow(file, start, end, replaced)
        try:
            super().__init__(window, "r", **options)
        finally:
            self.raise_error()

    def _init_virtual_io(self, file: FileWindow) -> Any:
        """Define the callbacks as soundfile does, but with a handler for exceptions."""
        ffi = soundfile._ffi

        def callback(name: str, function: Callable[..., int], result: int = -1) -> Any:
            return ffi.callback(f"sf_vio_{name}", function, error=result, onerror=file.keep_error)

        def read(pointer: object, count: int, _data: object) -> int:
            content = file.read(count)
            ffi.buffer(pointer, len(content))[:] = content
            return len(content)

        self._virtual_io = {  # keeps the callbacks alive
            "get_filelen": callback("get_filelen", lambda _data: file.size),
            "seek": callback("seek", lambda offset, whence, _data: file.seek(offset, whence)),
            "read": callback("read", read, 0),
            "tell": callback("tell", lambda _data: file.tell()),
        }
        return ffi.new("SF_VIRTUAL_IO*", self._virtual_io)

    def raise_error(self) -> None:
        """Raise the exception that a callback has raised, if any."""
        if self._window is not None and self._window.error is not None:
            raise self._window.error

    def read_block(self, frames: int) -> FloatArray:
        """Read up to ``frames`` samples of each channel.

        Returns
        -------
        float32 [shape=(n, channels)]
            empty at the end

        Raises
        ------
        DamagedAudioError
            if the samples can't be decoded.
        OSError
            if the file can't be read.
        """
        if self._window is not None:
            self._window.allow_block()
        try:
            block: FloatArray = self.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            self.raise_error()
            self._song.check_readable(self.end_position)
            raise DamagedAudioError(f"damaged: {error.error_string}") from error
        self.raise_error()
        return block

    @property
    def end_position(self) -> int:
        """Offset up to which the file has been read [bytes].

        It is valid until ``SongFile.read_at`` is called.
        """
        if self._window is not None:
            return self._window.start + self._window.position
        return self._song.descriptor_position()


class SequentialSound(Sound):
    """Sound file that is read from start to end.

    soundfile seeks to the current position after each block. A frame of an MP3 depends on
    earlier frames, so that the first tenth of a second after a seek is wrong.
    """

    def seekable(self) -> bool:
        """Return False, so that soundfile does not seek."""
        return False


def open_libsndfile(file: SongFile, reader: type[Sound] = Sound, start: int = 0) -> Sound:
    """Open a file with libsndfile.

    Raises
    ------
    soundfile.LibsndfileError
        if libsndfile can't read the format.
    NotAudioError
        if it is not a format of music files.
    OSError
        if the file can't be read.
    """
    try:
        sound = reader(file, start)
    except soundfile.LibsndfileError:
        file.check_readable(0)
        sizes = None if start else unknown_rf64_sizes(file)
        if sizes is None:
            raise
        sound = reader(file, replaced=sizes)
    if sound.format not in _FORMATS:
        sound.close()
        raise NotAudioError("not audio in a format that can be decoded")
    return sound


def read_blocks(sound: Sound) -> Iterator[FloatArray]:
    """Yield the samples in blocks [shape=(n, channels)]. Errors are those of ``read_block``."""
    frames = max(1, BLOCK_VALUES // sound.channels)
    while len(block := sound.read_block(frames)):
        yield block


def has_more_frames(file: SongFile, sound: Sound, position: int, seconds: float) -> bool:
    """Check whether audio follows in an MP3 or FLAC file where libsndfile ended.

    libsndfile decodes as many frames as the header of an MP3 states, or as the bit rate of its
    first frame implies, and gives up after 1 KiB of other data between the frames. Tags, zeros and
    unknown data at the end are not audio.

    Parameters
    ----------
    file, sound : file and its reader
    position : offset at which libsndfile ended [bytes]
    seconds : duration that has been decoded
    """
    start, end = audio_start(file, position), audio_end(file)
    if end - start < max(1, _IGNORED_SECONDS * position / max(seconds, 1.0)):
        return False
    if sound.format == "MP3":
        return has_mpeg_frames(file, start, end)
    return not file.is_zero(start, end)


def bytes_per_frame(sound: Sound) -> int:
    """Return the bytes in a sample of all channels; 0 for compressed files."""
    return _BYTES.get(sound.subtype, 0) * int(sound.channels)


def open_unclaimed_samples(file: SongFile, sound: Sound, frames: int) -> SequentialSound | None:
    """Open the samples of an uncompressed file that its header leaves out.

    Programs that write to a pipe, or that crash, leave a wrong size in the header.

    Parameters
    ----------
    file, sound : file and its reader
    frames : number of samples of each channel that have been read

    Returns
    -------
    SequentialSound or None
        None if the samples end where the header states.
    """
    chunk, size = find_sample_chunk(file), bytes_per_frame(sound)
    if chunk is None or not size:
        return None
    start = chunk.start + frames * size
    end = chunk.end - (chunk.end - start) % size
    if end - start < _IGNORED_SECONDS * sound.samplerate * size or file.is_zero(start, end):
        return None
    big = sound.format in ("AIFF", "CAF") and sound.endian == "FILE"
    return SequentialSound(
        file,
        start,
        end,
        format="RAW",
        samplerate=sound.samplerate,
        channels=sound.channels,
        subtype=sound.subtype,
        endian="BIG" if big or sound.endian == "BIG" else "LITTLE",
    )
