"""Decode songs to mono float32 blocks at one sample rate, streaming.

libsndfile (through soundfile) is tried first: it is twice as fast and, with soxr, returns the
samples that ``librosa.load`` returns. Other formats (AAC, ALAC, WMA, video containers) are decoded
by FFmpeg's libraries through PyAV. The format is detected from the content, not from the name.

Files are untrusted: FFmpeg receives an open file and a list of containers, so that a playlist
disguised as a song can't make it open other files or URLs.
"""

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from pocketgenre.constants import PROTECTED_CODECS
from pocketgenre.errors import AudioError

FloatArray = NDArray[np.float32]
ToMono = Callable[[FloatArray], FloatArray]
"""From samples [shape=(n, channels)] to samples [shape=(n,)]."""

AudioSource = str | os.PathLike[str] | IO[bytes] | tuple[NDArray[Any], float]
"""A path, a seekable binary file, or samples [shape=(n,) or (n, channels)] with their rate [Hz]."""

_CONTAINERS = "aac,ac3,amr,ape,asf,caf,eac3,flac,matroska,mov,mp3,ogg,tta,wav,wv"
# Formats of libsndfile that hold music. One of its other readers prints to stdout.
_LIBSNDFILE_FORMATS = {"AIFF", "CAF", "FLAC", "MP3", "OGG", "RF64", "W64", "WAV", "WAVEX"}
# Samples times channels in a block. Damage may cost one block of the samples before it.
_BLOCK_VALUES = 1 << 15
_MOST_CHANNELS = 64  # wider arrays of so few rows are the transpose of what is expected
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 1_536_000  # Hz


class UnreadableError(AudioError):
    """The file cannot be read; another attempt may succeed."""


class NotAudioError(AudioError):
    """The file contains no audio in a format that can be decoded."""


class DamagedAudioError(AudioError):
    """Decoding failed in the middle. Blocks yielded before the error are valid."""


def stream_mono(
    source: AudioSource, sample_rate: int, to_mono: ToMono | None = None
) -> Iterator[FloatArray]:
    """Decode a song, average its channels, and resample it (soxr HQ).

    Parameters
    ----------
    source : path, seekable binary file, or (samples, rate)
    sample_rate : sample rate of the blocks [Hz]
    to_mono : function that mixes the channels; their mean by default

    Yields
    ------
    float32 [shape=(n,)]
        consecutive blocks of the song, of any length, never empty. Memory does not grow with the
        length of the song.

    Raises
    ------
    AudioError
        if the file can't be opened, or holds no audio that can be decoded.
    DamagedAudioError
        if decoding fails in the middle. The blocks before have been yielded.
    TypeError
        if the source is of another type.
    """
    to_mono = to_mono or mix_to_mono
    if isinstance(source, tuple):
        samples, rate = source
        yield from _stream_samples(samples, rate, sample_rate, to_mono)
        return
    with open_song(source) as file:
        yield from _stream_file(file, sample_rate, to_mono)


def _stream_samples(
    samples: NDArray[Any], rate: float, sample_rate: int, to_mono: ToMono
) -> Iterator[FloatArray]:
    samples = np.asarray(samples)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or 0 in samples.shape[1:]:
        raise TypeError(
            "samples must be floats in [-1, 1] of shape (n,) or (n, channels), not"
            f" {samples.dtype} {samples.shape}"
        )
    if samples.ndim == 2 and samples.shape[0] <= _MOST_CHANNELS < samples.shape[1]:
        raise TypeError(
            f"samples of shape {samples.shape} look like (channels, n); pass samples.T, which is"
            " (n, channels)"
        )
    check_rate(rate)
    channels = samples[:, np.newaxis] if samples.ndim == 1 else samples
    size = max(1, _BLOCK_VALUES // channels.shape[1])
    blocks = (
        to_mono(channels[start : start + size].astype(np.float32))
        for start in range(0, len(channels), size)
    )
    yield from _resample(_require_finite(blocks), rate, sample_rate)


@contextmanager
def open_song(source: str | os.PathLike[str] | IO[bytes]) -> Iterator["DecoderFile"]:
    """Open a file for :func:`open_libsndfile` and :func:`open_ffmpeg`.

    A file object is read from its start, and left open.

    Raises
    ------
    UnreadableError
        if the file can't be opened or read.
    AudioError
        if the file is empty, or a file object can't seek.
    TypeError
        if the source is neither a path nor a binary file.
    """
    try:
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would block
                raise UnreadableError("not a file, or a folder that cannot be read")
            with open(path, "rb") as file:
                yield _require_content(file)
        elif not hasattr(source, "read") or isinstance(source, io.TextIOBase):
            raise TypeError(
                "a song is a path, a binary file or (samples, sample_rate),"
                f" not {type(source).__name__}"
            )
        elif not source.seekable():
            raise AudioError("the file object cannot seek; read it into io.BytesIO first")
        else:
            yield _require_content(source)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error


def _require_content(file: IO[bytes]) -> "DecoderFile":
    if file.seek(0, os.SEEK_END) == 0:
        raise AudioError("the file is empty")
    file.seek(0)
    return DecoderFile(file)


class DecoderFile:
    """A file for the C libraries, whose callbacks must not raise."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read
        self.tell = file.tell
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek; stay at the position if a damaged file requests an impossible one."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self._file.tell()


def _stream_file(file: DecoderFile, sample_rate: int, to_mono: ToMono) -> Iterator[FloatArray]:
    try:
        source_rate, blocks = _decode_with_libsndfile(file, to_mono)
    except soundfile.LibsndfileError:
        file.seek(0)
        source_rate, blocks = _decode_with_ffmpeg(file, to_mono)
    check_rate(source_rate)
    with closing(blocks):  # type: ignore[type-var]
        yield from _resample(_require_finite(blocks), source_rate, sample_rate)


def check_rate(rate: float) -> None:
    """Check that a sample rate is within the range of music files.

    Raises
    ------
    AudioError
        if it is out of range.
    """
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise AudioError(f"its sample rate of {rate} Hz is not supported")


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """Sound file that is read from start to end.

    soundfile seeks to the current position after each block. A frame of an MP3 depends on
    earlier frames, so that the first tenth of a second after a seek is wrong.
    """

    def seekable(self) -> bool:
        return False


def open_libsndfile(file: DecoderFile, reader: type = soundfile.SoundFile) -> Any:
    """Open a file with libsndfile.

    Raises
    ------
    soundfile.LibsndfileError
        if libsndfile can't read the format.
    AudioError
        if it is not a format of music files.
    """
    sound = reader(file)
    if sound.format not in _LIBSNDFILE_FORMATS:
        sound.close()
        raise NotAudioError("not audio in a format that can be decoded")
    return sound


def _decode_with_libsndfile(file: DecoderFile, to_mono: ToMono) -> tuple[int, Iterator[FloatArray]]:
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


def open_ffmpeg(file: DecoderFile) -> tuple[Any, Any]:
    """Open a file with FFmpeg.

    Returns
    -------
    container, stream
        the container, which the caller closes, and its first audio stream

    Raises
    ------
    AudioError
        if FFmpeg can't decode the file.
    """
    import av  # takes 0.1 s, and MP3, FLAC and WAV do not need it

    av.logging.set_level(av.logging.PANIC)
    try:
        container = av.open(
            file, "r", options={"format_whitelist": _CONTAINERS}, metadata_errors="replace"
        )
    except Exception as error:  # libraries may raise anything for a damaged file
        raise NotAudioError("not audio in a format that can be decoded") from error
    if not container.streams.audio:
        container.close()
        raise NotAudioError("it holds no audio")
    stream = container.streams.audio[0]
    if stream.codec_context is None or not stream.rate:
        container.close()
        raise NotAudioError("its audio format cannot be decoded (it may be protected)")
    if stream.codec_context.codec_tag in PROTECTED_CODECS:
        container.close()
        raise NotAudioError("it is copy-protected and cannot be decoded")
    return container, stream


def _decode_with_ffmpeg(file: DecoderFile, to_mono: ToMono) -> tuple[int, Iterator[FloatArray]]:
    import av

    container, stream = open_ffmpeg(file)
    rate: int = stream.rate

    def blocks() -> Iterator[FloatArray]:
        # Converts only the sample format; layout and rate stay unchanged.
        planar = av.AudioResampler(format="fltp", rate=rate)
        with container:
            try:
                for frame in container.decode(stream):
                    for converted in planar.resample(frame):
                        planes = converted.to_ndarray().T.astype(np.float32, copy=False)
                        yield to_mono(planes)
            except Exception as error:  # libraries may raise anything for a damaged file
                raise DamagedAudioError("damaged: it cannot be decoded to its end") from error

    return rate, blocks()


def mix_to_mono(block: FloatArray) -> FloatArray:
    """Average the channels as ``librosa.to_mono``: (n, channels) to (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):  # _require_finite raises
        return _mean(block)


def _mean(block: FloatArray) -> FloatArray:
    if block.shape[1] == 1:
        return block[:, 0]
    if block.shape[1] == 2:  # four times as fast as mean() over two channels
        mono: FloatArray = block[:, 0] + block[:, 1]
        mono *= np.float32(0.5)
        return mono
    mean: FloatArray = block.mean(axis=1, dtype=np.float32)
    return mean


def _require_finite(blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
    for block in blocks:
        if not np.isfinite(block).all():
            raise DamagedAudioError("damaged: some samples are not finite")
        yield block


def _resample(
    blocks: Iterator[FloatArray], source_rate: float, target_rate: int
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
