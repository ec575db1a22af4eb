"""Decode evenly spaced segments of a song without decoding the rest.

Each segment starts within a millisecond of a segment of
:func:`pocketgenre.audio.segments.cut_segments`. A file without a known length or exact time stamps
has to be decoded completely.
"""

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from math import ceil, gcd
from typing import IO, Any, Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from pocketgenre.audio.coded import CodedDetector
from pocketgenre.audio.decoding import AudioSource, open_stream
from pocketgenre.audio.duration import measure_duration
from pocketgenre.audio.errors import DamagedAudioError
from pocketgenre.audio.ffmpeg import FloatConverter, open_ffmpeg, stated_seconds
from pocketgenre.audio.libsndfile import Sound, open_libsndfile
from pocketgenre.audio.limits import check_rate
from pocketgenre.audio.mono import MonoMixer
from pocketgenre.audio.segments import cut_segments
from pocketgenre.audio.source import SongFile, open_song
from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig

FloatArray = NDArray[np.float32]

# Audio decoded before a segment and discarded: frames of MP3, AAC and Opus depend on those before
# them, and the first tenth of a second of an MP3 after a seek is wrong.
_PREROLL_SECONDS = 0.5
# Audio decoded after a segment, for the look-ahead of the resampling filter.
_POSTROLL_SECONDS = 0.05
_MAX_VALUES = 1 << 24  # samples times channels in memory
_MAX_PACKETS = 5_000  # after a seek; 100 s of packets of 20 ms
# Containers with exact time stamps. Raw AAC and WMA have estimated time stamps or none.
_EXACT_CONTAINERS = ("mov", "matroska")
# Largest difference between the length that libsndfile decodes and the length of the file, at
# which it can seek: estimates from bit rates differ by some percent.
_MAX_DIFFERENCE = 0.05


class CannotSeekError(AudioError):
    """The segments cannot be decoded by seeking."""


def evenly_spaced_positions(total: int, count: int) -> list[int]:
    """Return the middle position of each of ``count`` equal parts of ``total`` segments."""
    if total <= count:
        return list(range(total))
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


def seek_segments(
    source: str | os.PathLike[str] | IO[bytes], config: FeatureConfig, count: int
) -> Iterator[FloatArray]:
    """Decode segments spread over a song, seeking to each.

    Parameters
    ----------
    source : path or seekable binary file
    config : sample rate and length of a segment
    count : number of segments

    Yields
    ------
    float32 [shape=(segment_samples,)]

    Raises
    ------
    CannotSeekError
        if the file does not support seeking, or has at most ``count`` segments. Some segments
        may have been yielded before; :func:`select_segments` starts again.
    AudioError
        as :func:`pocketgenre.audio.decoding.stream_mono`.
    """
    with open_song(source) as file, closing(_open(file)) as song:
        check_rate(song.rate)
        total = int(song.seconds / config.segment_seconds)
        if total <= count:
            raise CannotSeekError("it has no more segments than requested")
        for position in evenly_spaced_positions(total, count):
            yield _read_segment(song, position, config)


def select_segments(source: AudioSource, config: FeatureConfig, count: int) -> Iterator[FloatArray]:
    """Decode the whole song twice: to count its segments, and to select evenly spaced ones.

    Errors and yields are those of :func:`pocketgenre.audio.segments.cut_segments`.

    Raises
    ------
    DamagedAudioError
        after the last segment, if the end of the song can't be decoded or is beyond the limit.
    """
    total = 0
    with open_stream(source, config.sample_rate) as song:
        try:
            for _ in cut_segments(song.blocks, config):
                total += 1
        except AudioError:
            if not total:
                raise
    positions = set(evenly_spaced_positions(total, count))
    with open_stream(source, config.sample_rate) as again:
        for position, segment in enumerate(islice(cut_segments(again.blocks, config), total)):
            if position in positions:
                yield segment
    if song.damage is not None:
        raise DamagedAudioError(song.damage)


class _Song(Protocol):
    rate: int
    seconds: float

    @abstractmethod
    def read(self, start: int, frames: int) -> FloatArray:
        """Read mono samples from a sample position on; the end of the song may cut them off."""

    @abstractmethod
    def close(self) -> None: ...


def _read_segment(song: _Song, position: int, config: FeatureConfig) -> FloatArray:
    size, rate = config.segment_samples, config.sample_rate
    common = gcd(song.rate, rate)
    # The preroll is a whole number of samples at both rates.
    steps = ceil(_PREROLL_SECONDS * common) if position else 0
    start = round(position * size * song.rate / rate) - steps * (song.rate // common)
    frames = steps * (song.rate // common) + ceil((size / rate + _POSTROLL_SECONDS) * song.rate)
    samples = song.read(start, frames)
    if not np.isfinite(samples).all():
        raise CannotSeekError("some samples are not finite")
    if song.rate != rate:
        samples = soxr.resample(np.ascontiguousarray(samples), song.rate, rate, quality="HQ")
    preroll = steps * (rate // common)
    segment = samples[preroll : preroll + size]
    if len(segment) < size:
        raise CannotSeekError("it ends too early")
    return np.ascontiguousarray(segment)


def _open(file: SongFile) -> _Song:
    try:
        sound = open_libsndfile(file)
    except soundfile.LibsndfileError:
        return _Ffmpeg(*open_ffmpeg(file))
    # measure_duration reads the file at other positions, so it comes before the next open.
    sound.close()
    seconds = measure_duration(file).seconds
    return _Libsndfile(open_libsndfile(file), seconds)


class _Libsndfile:
    """Song decoded by libsndfile, which seeks to the exact sample, also in MP3."""

    def __init__(self, sound: Sound, seconds: float | None) -> None:
        self._sound = sound
        self.rate: int = sound.samplerate
        self.seconds = sound.frames / sound.samplerate
        if seconds is None or abs(seconds - self.seconds) > 1 + _MAX_DIFFERENCE * seconds:
            self.seconds = 0.0  # libsndfile would end early, or too late

    def read(self, start: int, frames: int) -> FloatArray:
        if frames * self._sound.channels > _MAX_VALUES:
            raise CannotSeekError("its segments are too large")
        try:
            self._sound.seek(start)
            block = self._sound.read_block(frames)
        except (soundfile.LibsndfileError, DamagedAudioError) as error:
            self._sound.raise_error()
            raise CannotSeekError("it is damaged") from error
        is_16_bit = self._sound.channels == 2 and self._sound.subtype == "PCM_16"
        if is_16_bit and CodedDetector().finds(block):
            raise CannotSeekError("it holds a coded bitstream")
        return MonoMixer()(block)

    def close(self) -> None:
        self._sound.close()


class _Ffmpeg:
    """Song decoded by FFmpeg, which seeks to a packet; time stamps give the sample position."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self.rate: int = stream.rate
        exact = container.format.name.startswith(_EXACT_CONTAINERS)
        self.seconds = (stated_seconds(container, stream) or 0.0) if exact else 0.0

    def read(self, start: int, frames: int) -> FloatArray:
        try:
            return self._read(start, frames)
        except CannotSeekError:
            raise
        except Exception as error:  # libraries may raise anything for a damaged file
            raise CannotSeekError("it is damaged") from error

    def _read(self, start: int, frames: int) -> FloatArray:
        stream = self._stream
        first = stream.start_time or 0
        self._container.seek(first + int(start / self.rate / stream.time_base), stream=stream)
        convert, mix = FloatConverter(), MonoMixer()
        blocks: list[FloatArray] = []
        begin, reached = 0, -1
        for frame in _near_frames(self._container, stream):
            if reached < 0:
                if frame.pts is None:
                    raise CannotSeekError("it has no time stamps")
                begin = reached = round((frame.pts - first) * stream.time_base * self.rate)
                if begin > start:
                    raise CannotSeekError("it cannot seek there")
            if frame.sample_rate != self.rate:
                raise CannotSeekError("its sample rate changes")
            for block in convert(frame):
                blocks.append(mix(block))
                reached += len(blocks[-1])
                if reached <= start:
                    begin += len(blocks.pop())
            if reached >= start + frames:
                break
        if not blocks:
            raise CannotSeekError("it ends too early")
        return np.concatenate(blocks)[start - begin : start - begin + frames]

    def close(self) -> None:
        self._container.close()


def _near_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decode the frames of the next packets, as many as a segment after a seek may need."""
    for packet in islice(container.demux(stream), _MAX_PACKETS):
        yield from packet.decode()
    raise CannotSeekError("it cannot seek there")
