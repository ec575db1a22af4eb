"""Decode songs to mono float32 blocks at one sample rate, streaming.

libsndfile (through soundfile) is tried first: it is twice as fast and, with soxr, returns the
samples that ``librosa.load`` returns. Other formats (AAC, ALAC, WMA, video containers) are decoded
by FFmpeg's libraries through PyAV. The format is detected from the content, not from the name.

libsndfile ends early, without an error, in some files that it reads: MP3 without a Xing header,
joined files, chained Ogg streams, WAV files whose header was not completed. Its position in the
file then lies before the end of the audio, and the rest is decoded from there.
"""

import math
import numbers
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import IO, Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from pocketgenre import constants
from pocketgenre.audio.coded import CodedDetector
from pocketgenre.audio.containers import find_sample_chunk, is_cut_ogg, next_ogg_link
from pocketgenre.audio.duration import Duration, measure_duration
from pocketgenre.audio.errors import DamagedAudioError, NotAudioError, UnreadableError
from pocketgenre.audio.ffmpeg import open_ffmpeg, read_frames, stated_seconds
from pocketgenre.audio.libsndfile import (
    BLOCK_VALUES,
    SequentialSound,
    Sound,
    bytes_per_frame,
    has_more_frames,
    open_libsndfile,
    open_unclaimed_samples,
    read_blocks,
)
from pocketgenre.audio.limits import LimitError, WorkLimit, check_rate, limit_reason
from pocketgenre.audio.mono import MonoMixer, ToMono
from pocketgenre.audio.overlap import Tail, drop_decoded
from pocketgenre.audio.source import SongFile, open_song
from pocketgenre.errors import AudioError

__all__ = [
    "AudioSource",
    "DamagedAudioError",
    "NotAudioError",
    "SongStream",
    "ToMono",
    "UnreadableError",
    "open_stream",
    "stream_mono",
]

FloatArray = NDArray[np.float32]

AudioSource = str | os.PathLike[str] | IO[bytes] | tuple[NDArray[Any], float]
"""A path, a seekable binary file, or samples [shape=(n,) or (n, channels)] with their rate [Hz]."""

_RatedBlocks = Iterator[tuple[float, FloatArray]]
"""Mono blocks with their sample rates [Hz]."""

_MOST_CHANNELS = 64  # wider arrays of so few rows are the transpose of what is expected
# A song is complete if no more than this is missing of the duration that its header states: 2 %,
# at least one second. Encoders and players count the padding of MP3 and AAC differently.
_TOLERANCE, _MIN_TOLERANCE = 0.02, 1.0


class SongStream:
    """A song that is being decoded.

    Attributes
    ----------
    blocks : iterator of float32 [shape=(n,)]: consecutive blocks, of any length, never empty.
        Raises DamagedAudioError if decoding fails in the middle; the blocks before are valid.
        Ends after :data:`pocketgenre.constants.MAX_SONG_SECONDS`.
    sample_rate : sample rate of the blocks [Hz]
    damage : reason why the blocks end before the end of the song; None if they are complete, and
        before the last block
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.damage: str | None = None
        self.blocks: Iterator[FloatArray] = iter(())
        self._samples = 0
        self._is_complete = False
        self._duration: Duration | None = None
        self._measure: Callable[[], Duration] = lambda: Duration(None)

    @property
    def decoded_seconds(self) -> float:
        """Duration of the blocks up to now [s]."""
        return self._samples / self.sample_rate

    @property
    def duration_seconds(self) -> float | None:
        """Duration of the whole song [s].

        The decoded duration if the song is complete. Otherwise the duration that the header
        states or the number of bytes implies; None if it is unknown.
        """
        if self._is_complete:
            return self.decoded_seconds
        seconds = self._measured().seconds
        return None if seconds is None else max(seconds, self.decoded_seconds)

    @property
    def stated_seconds(self) -> float | None:
        """Duration that the header states [s], also before decoding; None if it states none."""
        duration = self._measured()
        return duration.seconds if duration.is_stated else None

    def _measured(self) -> Duration:
        if self._duration is None:
            try:
                self._duration = self._measure()
            except AudioError:
                self._duration = Duration(None)
        return self._duration

    def _close(self) -> None:
        """Measure the duration, if it is not known, while the file is open."""
        if not self._is_complete:
            self._measured()

    def _count(self, blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
        longest = round(constants.MAX_SONG_SECONDS * self.sample_rate)
        try:
            for block in blocks:
                kept = block[: longest - self._samples]
                self._samples += len(kept)
                if len(kept):
                    yield kept
                if len(kept) < len(block):
                    raise LimitError(limit_reason())
        except LimitError as error:
            self.damage = str(error)
            return
        except AudioError as error:
            self.damage = str(error)
            raise
        self._end()

    def _end(self) -> None:
        duration = self._measured()
        if duration.seconds is not None and duration.is_stated:
            missing = duration.seconds - self.decoded_seconds
            if missing > max(_MIN_TOLERANCE, _TOLERANCE * duration.seconds):
                self.damage = self.damage or (
                    f"ends early: {self.decoded_seconds:.0f} of {duration.seconds:.0f} s"
                )
        self._is_complete = self.damage is None


def stream_mono(
    source: AudioSource, sample_rate: int, to_mono: ToMono | None = None
) -> Iterator[FloatArray]:
    """Decode a song, average its channels, and resample it (soxr HQ).

    Parameters
    ----------
    source : path, seekable binary file, or (samples, rate)
    sample_rate : sample rate of the blocks [Hz]
    to_mono : function that mixes the channels; by default their mean, or where they cancel each
        other, the loudest channel

    Yields
    ------
    float32 [shape=(n,)]
        consecutive blocks of the song, of any length, never empty, up to
        :data:`pocketgenre.constants.MAX_SONG_SECONDS`. Memory does not grow with the length of the
        song.

    Raises
    ------
    UnreadableError
        if the file can't be opened or read, also in the middle.
    AudioError
        if the file holds no audio that can be decoded, or samples are not finite.
    DamagedAudioError
        if decoding fails in the middle. The blocks before have been yielded.
    TypeError
        if the source is of another type.
    """
    with open_stream(source, sample_rate, to_mono) as song:
        yield from song.blocks


@contextmanager
def open_stream(
    source: AudioSource, sample_rate: int, to_mono: ToMono | None = None
) -> Iterator[SongStream]:
    """Open a song, to decode it and to know how much of it has been decoded.

    Parameters, blocks and errors are those of :func:`stream_mono`.

    Examples
    --------
    >>> with open_stream("song.mp3", 22_050) as song:  # doctest: +SKIP
    ...     samples = np.concatenate(list(song.blocks))
    >>> print(song.decoded_seconds, song.duration_seconds, song.damage)  # doctest: +SKIP
    """
    song = SongStream(sample_rate)
    mix = to_mono or MonoMixer()
    if isinstance(source, tuple):
        samples, rate = _check_samples(source)
        song._duration = Duration(len(samples) / rate, is_stated=True)
        blocks = _mix_samples(samples, rate, mix)
        song.blocks = song._count(_resample(blocks, sample_rate))
        yield song
        return
    with open_song(source) as file:
        song._measure = lambda: measure_duration(file)
        with closing(_Decoder(file, song, mix).blocks()) as decoded:
            finite = _require_finite(decoded)
            song.blocks = song._count(_resample(finite, sample_rate))
            yield song
        song._close()


def _check_samples(source: tuple[Any, ...]) -> tuple[NDArray[Any], float]:
    if len(source) != 2:
        raise TypeError(
            "a song is a path, a binary file or (samples, sample_rate), not a tuple of"
            f" {len(source)}"
        )
    try:
        samples = np.asarray(source[0])
    except ValueError as error:
        raise TypeError("samples must be floats in [-1, 1], in rows of equal length") from error
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
    if not isinstance(source[1], numbers.Real):
        raise TypeError(f"the sample rate must be a number, not {type(source[1]).__name__}")
    check_rate(source[1])  # type: ignore[arg-type]
    return (samples[:, np.newaxis] if samples.ndim == 1 else samples), source[1]  # type: ignore[return-value]


def _mix_samples(samples: NDArray[Any], rate: float, mix: ToMono) -> _RatedBlocks:
    size = max(1, BLOCK_VALUES // samples.shape[1])
    for start in range(0, len(samples), size):
        with np.errstate(over="ignore"):
            block = samples[start : start + size].astype(np.float32)
        mono = mix(block)
        if not np.isfinite(mono).all():
            raise AudioError("some samples are not finite")
        yield rate, mono


class _Decoder:
    """Decode a file to mono blocks at its own sample rates.

    libsndfile decodes a file up to a position. The rest, if there is one, is

    - the next stream of a chained Ogg file, which is decoded as a file of its own;
    - samples that the header of a WAV file does not claim, which are read without a header;
    - MP3 or FLAC frames. FFmpeg decodes the whole file again, because frames depend on those
      before them, and the samples that have been yielded are dropped.
    """

    def __init__(self, file: SongFile, song: SongStream, mix: ToMono) -> None:
        self._file, self._song, self._mix = file, song, mix
        self._work = WorkLimit()

    def blocks(self) -> Generator[tuple[float, FloatArray]]:
        """Yield sample rates and mono blocks."""
        link: int | None = 0
        while link is not None:
            try:
                sound = open_libsndfile(self._file, SequentialSound, link)
            except soundfile.LibsndfileError:
                yield from self._ffmpeg_blocks(link)
                return
            check_rate(sound.samplerate)
            with sound:
                link = yield from self._libsndfile_blocks(sound, link)

    def _libsndfile_blocks(
        self, sound: Sound, link: int
    ) -> Generator[tuple[float, FloatArray], None, int | None]:
        """Yield the blocks of one stream; return the offset of the next, or None."""
        tail = Tail(sound.samplerate)
        damage: DamagedAudioError | None = None
        is_16_bit = sound.channels == 2 and sound.subtype == "PCM_16"
        detector = CodedDetector() if is_16_bit else None
        try:
            for block in read_blocks(sound):
                if detector is not None and detector.finds(block):
                    yield from self._coded_blocks(sound, detector)
                    return None
                self._work.add_block(sound.samplerate, *block.shape)
                tail.add(block)
                yield sound.samplerate, self._mix(block)
        except LimitError:
            raise
        except DamagedAudioError as error:
            damage = error
        position = sound.end_position
        if sound.format == "OGG":
            following = next_ogg_link(self._file, link, position)
            if following is not None:
                return following
            if is_cut_ogg(self._file):
                self._song.damage = "ends early: its last page is cut off"
        else:
            damage = yield from self._rest(sound, position, tail, damage)
        if damage is not None:
            raise damage
        return None

    def _rest(
        self, sound: Sound, position: int, tail: Tail, damage: DamagedAudioError | None
    ) -> Generator[tuple[float, FloatArray], None, DamagedAudioError | None]:
        """Yield the rest of the file; return the damage that remains."""
        unclaimed = open_unclaimed_samples(self._file, sound, tail.frames)
        if unclaimed is not None:
            with unclaimed:
                for block in read_blocks(unclaimed):
                    self._work.add_block(sound.samplerate, *block.shape)
                    yield sound.samplerate, self._mix(block)
            return damage
        seconds = tail.frames / sound.samplerate
        is_framed = sound.format in ("MP3", "FLAC")
        if not is_framed or not (damage or has_more_frames(self._file, sound, position, seconds)):
            return damage
        try:
            yield from self._ffmpeg_blocks(0, tail)
        except DamagedAudioError as error:
            return error
        except NotAudioError:
            return damage
        return None

    def _coded_blocks(self, sound: Sound, detector: CodedDetector) -> _RatedBlocks:
        chunk = find_sample_chunk(self._file)
        if chunk is None:
            raise NotAudioError("it holds a coded bitstream (DTS or AC-3) that cannot be decoded")
        start = chunk.start + detector.position * bytes_per_frame(sound)
        yield from self._ffmpeg_blocks(start, container=detector.container)

    def _ffmpeg_blocks(
        self, start: int, tail: Tail | None = None, container: str | None = None
    ) -> _RatedBlocks:
        """Decode the file from an offset with FFmpeg, and drop what ends with ``tail``."""
        opened, stream = open_ffmpeg(self._file, start, container)
        if not start and tail is None:
            estimated = opened.format.name in ("aac", "mp3", "ac3", "eac3", "amr")
            self._song._duration = Duration(stated_seconds(opened, stream), not estimated)
        with opened:
            frames = read_frames(self._file, opened, stream)
            if tail is not None:
                frames = drop_decoded(frames, tail)
            for rate, block in frames:
                yield rate, self._mix(block)


def _require_finite(blocks: _RatedBlocks) -> _RatedBlocks:
    for rate, block in blocks:
        if not np.isfinite(block).all():
            raise DamagedAudioError("damaged: some samples are not finite")
        yield rate, block


def _resample(blocks: _RatedBlocks, target_rate: int) -> Iterator[FloatArray]:
    """Resample blocks. Where the sample rate changes, the filter starts again."""
    resampler = _Resampler(target_rate)
    damage: DamagedAudioError | None = None
    try:
        for rate, block in blocks:
            yield from resampler.add(rate, block)
    except DamagedAudioError as error:
        damage = error
    yield from resampler.end()
    if damage:
        raise damage


class _Resampler:
    def __init__(self, target_rate: int) -> None:
        self._target_rate = target_rate
        self._rate = math.nan
        self._stream: soxr.ResampleStream | None = None

    def add(self, rate: float, block: FloatArray) -> Iterator[FloatArray]:
        """Yield what a block adds to the output."""
        if rate != self._rate:
            yield from self.end()
            self._rate = rate
            if rate != self._target_rate:
                self._stream = soxr.ResampleStream(
                    rate, self._target_rate, num_channels=1, quality="HQ"
                )
        if self._stream is not None:
            block = self._stream.resample_chunk(np.ascontiguousarray(block))
        if len(block):
            yield block

    def end(self) -> Iterator[FloatArray]:
        """Yield the rest of the output."""
        if self._stream is not None:
            rest = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
            self._stream = None
            if len(rest):
                yield rest
