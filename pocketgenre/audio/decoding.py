"""Any file that a phone plays to mono float32 blocks at one sample rate, streaming.

libsndfile (through soundfile) is asked first: it is twice as fast and, with soxr, gives
the samples that ``librosa.load`` gives. What it doesn't read (AAC, ALAC, WMA, video
containers) goes to FFmpeg's libraries through PyAV. The content decides, not the name.

Files are hostile until proven otherwise: FFmpeg gets an open file and a list of
containers, so that a playlist dressed up as a song can't make it open other files or
addresses.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from pocketgenre.errors import AudioError

FloatArray = NDArray[np.float32]
Mix = Callable[[FloatArray], FloatArray]
"""From (n, channels) to (n,)."""

SONG_SUFFIXES = frozenset(
    {
        *(
            ".aac",
            ".aif",
            ".aifc",
            ".aiff",
            ".flac",
            ".m4a",
            ".m4b",
            ".m4p",
            ".mka",
            ".mp3",
            ".mp4",
        ),
        *(".oga", ".ogg", ".opus", ".wav", ".webm", ".wma"),
    }
)
"""Endings by which a folder's songs are found; how a file is decoded doesn't depend on them."""

_CONTAINERS = "aac,ac3,amr,ape,asf,caf,eac3,flac,matroska,mov,mp3,ogg,tta,wav,wv"
# Of libsndfile's formats those that hold music; the reader of one of the others prints to stdout.
_LIBSNDFILE_FORMATS = {"AIFF", "CAF", "FLAC", "MP3", "OGG", "RF64", "W64", "WAV", "WAVEX"}
# What Apple's store sold until 2009, and common encryption: it would decode to noise.
_PROTECTED = ("drms", "enca")
# Samples times channels decoded at a time; as many are lost where a file breaks.
_BLOCK_VALUES = 1 << 15
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 1_536_000  # Hz


class UnreadableError(AudioError):
    """The file system doesn't give the file; another time it may."""


class NotAudioError(AudioError):
    """There is no sound in it, or none in a format that can be decoded."""


class DamagedAudioError(AudioError):
    """Decoding stopped in the middle; what was yielded before is good."""


def stream_mono(path: Path, sample_rate: int, to_mono: Mix | None = None) -> Iterator[FloatArray]:
    """Decode a file, mix its channels to their mean, and resample it (soxr HQ).

    Parameters
    ----------
    path : the file
    sample_rate : of the blocks [Hz]
    to_mono : what mixes the channels otherwise, to see what would come of it

    Yields
    ------
    float32 [shape=(n,)]
        consecutive blocks of the song at ``sample_rate``, of any length, never empty.
        Memory does not grow with the song's length.

    Raises
    ------
    AudioError
        the file can't be opened, or holds no audio that can be decoded.
    DamagedAudioError
        it broke in the middle; the blocks up to there have been yielded.
    """
    with open_song(path) as file:
        yield from _stream_file(file, sample_rate, to_mono or mix)


@contextmanager
def open_song(path: Path) -> Iterator["Source"]:
    """A file that may be a song, for :func:`open_libsndfile` and :func:`open_ffmpeg`.

    Raises
    ------
    UnreadableError
        it can't be opened, or not be read meanwhile.
    AudioError
        it is empty.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise UnreadableError("not a file, or a folder that cannot be read")
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise AudioError("the file is empty")
            yield Source(file)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error


class Source:
    """An open file for the C libraries, which report in their own way what they can't raise."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.tell = file.tell
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, or stay where a damaged file points to a place that can't be."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self._file.tell()


def _stream_file(file: Source, sample_rate: int, to_mono: Mix) -> Iterator[FloatArray]:
    try:
        source_rate, blocks = _decode_with_libsndfile(file, to_mono)
    except soundfile.LibsndfileError:
        file.seek(0)
        source_rate, blocks = _decode_with_ffmpeg(file, to_mono)
    check_rate(source_rate)
    with closing(blocks):  # type: ignore[type-var]
        yield from _resample(_finite(blocks), source_rate, sample_rate)


def check_rate(rate: int) -> None:
    """Refuse a sample rate that a resampler would choke on.

    Raises
    ------
    AudioError
        it is out of range.
    """
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise AudioError(f"its sample rate of {rate} Hz is not one of music")


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A file read from start to end.

    soundfile seeks to where it is after each block. For an MP3 that means to decode the
    next frames without those before them, on which they build: a tenth of a second of
    wrong samples after each block.
    """

    def seekable(self) -> bool:
        return False


def open_libsndfile(file: Source, reader: type = soundfile.SoundFile) -> Any:
    """Open a file with libsndfile.

    Raises
    ------
    soundfile.LibsndfileError
        it is nothing that libsndfile reads.
    AudioError
        it is something that isn't music.
    """
    sound = reader(file)
    if sound.format not in _LIBSNDFILE_FORMATS:
        sound.close()
        raise NotAudioError("not audio in a format that can be decoded")
    return sound


def _decode_with_libsndfile(file: Source, to_mono: Mix) -> tuple[int, Iterator[FloatArray]]:
    sound = open_libsndfile(file, _Sequential)

    def blocks() -> Iterator[FloatArray]:
        frames = max(1, _BLOCK_VALUES // sound.channels)
        with sound:
            while True:
                try:
                    block = sound.read(frames, dtype="float32", always_2d=True)
                except soundfile.LibsndfileError as error:
                    raise DamagedAudioError(f"damaged: {error.error_string}") from error
                if not len(block):
                    return
                yield to_mono(block)

    return sound.samplerate, blocks()


def open_ffmpeg(file: Source) -> tuple[Any, Any]:
    """Open a file with FFmpeg; its container, to be closed, and its first stream of audio.

    Raises
    ------
    AudioError
        it holds nothing that FFmpeg decodes.
    """
    import av  # a tenth of a second that a library of MP3s need not pay

    av.logging.set_level(av.logging.PANIC)
    try:
        container = av.open(
            file, "r", options={"format_whitelist": _CONTAINERS}, metadata_errors="replace"
        )
    except Exception as error:  # whatever a damaged file makes of foreign code
        raise NotAudioError("not audio in a format that can be decoded") from error
    if not container.streams.audio:
        container.close()
        raise NotAudioError("there is no sound in it")
    stream = container.streams.audio[0]
    if stream.codec_context is None or not stream.rate:
        container.close()
        raise NotAudioError("its audio is in a format that can't be decoded (protected, perhaps)")
    if stream.codec_context.codec_tag in _PROTECTED:
        container.close()
        raise NotAudioError("it is protected against copying, so it cannot be decoded")
    return container, stream


def _decode_with_ffmpeg(file: Source, to_mono: Mix) -> tuple[int, Iterator[FloatArray]]:
    import av

    container, stream = open_ffmpeg(file)
    rate: int = stream.rate

    def blocks() -> Iterator[FloatArray]:
        # Converts the sample format alone; layout and rate stay those of the first frame.
        planar = av.AudioResampler(format="fltp", rate=rate)
        with container:
            try:
                for frame in container.decode(stream):
                    for converted in planar.resample(frame):
                        planes = converted.to_ndarray().T.astype(np.float32, copy=False)
                        yield to_mono(planes)
            except Exception as error:  # whatever a damaged file makes of foreign code
                raise DamagedAudioError("damaged: it cannot be decoded to its end") from error

    return rate, blocks()


def mix(block: FloatArray) -> FloatArray:
    """Mean over channels, as ``librosa.to_mono``: (n, channels) to (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):  # found out by _finite
        return _mean(block)


def _mean(block: FloatArray) -> FloatArray:
    if block.shape[1] == 1:
        return block[:, 0]
    if block.shape[1] == 2:  # four times as fast as mean() over so short an axis
        mono: FloatArray = block[:, 0] + block[:, 1]
        mono *= np.float32(0.5)
        return mono
    mean: FloatArray = block.mean(axis=1, dtype=np.float32)
    return mean


def _finite(blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
    for block in blocks:
        if not np.isfinite(block).all():
            raise DamagedAudioError("damaged: some samples are not numbers")
        yield block


def _resample(
    blocks: Iterator[FloatArray], source_rate: int, target_rate: int
) -> Iterator[FloatArray]:
    if source_rate == target_rate:
        yield from (block for block in blocks if len(block))
        return
    stream = soxr.ResampleStream(source_rate, target_rate, num_channels=1, quality="HQ")
    damage: DamagedAudioError | None = None
    try:
        for block in blocks:
            resampled = stream.resample_chunk(np.ascontiguousarray(block))
            if len(resampled):
                yield resampled
    except DamagedAudioError as error:
        damage = error
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)
    if len(rest):
        yield rest
    if damage:
        raise damage
