"""Some segments of a song, spread over all of it, without decoding what lies between them.

They are counted in whole segments from the song's start: each is one of those that
:func:`pocketgenre.audio.segments.cut_segments` cuts, within a millisecond. Where a file doesn't say how
long it is, or can't be entered at an exact place, all of it has to be decoded and some picked.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from math import ceil, gcd
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from pocketgenre.audio.decoding import (
    Source,
    check_rate,
    mix,
    open_ffmpeg,
    open_libsndfile,
    open_song,
    stream_mono,
)
from pocketgenre.audio.segments import cut_segments
from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig

FloatArray = NDArray[np.float32]

# Decoded and thrown away. Before a segment: frames of MP3, AAC and Opus build on those before, the
# first tenth of a second that libsndfile gives of an MP3 is wrong. After it: what the resampler's
# filter looks ahead.
_RUN_UP_SECONDS, _RUN_OUT_SECONDS = 0.5, 0.05
_MOST_VALUES = 1 << 24  # samples times channels held at a time
# Whose time stamps are exact. Raw AAC and WMA have estimates or none.
_EXACT_CONTAINERS = ("mov", "matroska")


class CannotSeekError(AudioError):
    """The file has to be decoded from its start."""


def evenly_spaced_positions(whole: int, count: int) -> list[int]:
    """Which segments of so many are taken: the middle one of each of ``count`` equal parts."""
    if whole <= count:
        return list(range(whole))
    return [(2 * part + 1) * whole // (2 * count) for part in range(count)]


def spread_segments(path: Path, feature_config: FeatureConfig, count: int) -> Iterator[FloatArray]:
    """Segments spread over a song, each sought and decoded by itself.

    Yields
    ------
    float32 [shape=(segment_samples,)]
        ``count`` of them.

    Raises
    ------
    CannotSeekError
        that is not possible with this file, or not worth it: it has no more segments than that.
        It may come after some segments were yielded; :func:`pick_segments` begins anew.
    AudioError
        as :func:`pocketgenre.audio.decoding.stream_mono`.
    """
    with open_song(path) as file, closing(_open(file)) as song:
        check_rate(song.rate)
        whole = int(song.seconds / feature_config.segment_seconds)
        if whole <= count:
            raise CannotSeekError("there is little to leave out")
        for position in evenly_spaced_positions(whole, count):
            yield _segment(song, position, feature_config)


def pick_segments(path: Path, feature_config: FeatureConfig, count: int) -> Iterator[FloatArray]:
    """The same segments, from a song that is decoded as a whole: once to count, once to pick.

    Errors and yields are those of :func:`pocketgenre.audio.segments.cut_segments`.
    """

    def segments() -> Iterator[FloatArray]:
        return cut_segments(stream_mono(path, feature_config.sample_rate), feature_config)

    whole = 0
    try:
        for _ in segments():
            whole += 1
    except AudioError:
        if not whole:
            raise
    positions = evenly_spaced_positions(whole, count)
    for position, segment in enumerate(islice(segments(), whole)):
        if position in positions:
            yield segment


class _Song(Protocol):
    rate: int
    seconds: float

    @abstractmethod
    def read(self, start: int, frames: int) -> FloatArray:
        """Mono samples from a frame on; fewer where the song ends."""

    @abstractmethod
    def close(self) -> None: ...


def _segment(song: _Song, position: int, feature_config: FeatureConfig) -> FloatArray:
    size, rate = feature_config.segment_samples, feature_config.sample_rate
    common = gcd(song.rate, rate)
    # As much as is a whole number of samples at both rates.
    steps = ceil(_RUN_UP_SECONDS * common) if position else 0
    start = round(position * size * song.rate / rate) - steps * (song.rate // common)
    frames = steps * (song.rate // common) + ceil((size / rate + _RUN_OUT_SECONDS) * song.rate)
    samples = song.read(start, frames)
    if not np.isfinite(samples).all():
        raise CannotSeekError("some samples are not numbers")
    if song.rate != rate:
        samples = soxr.resample(np.ascontiguousarray(samples), song.rate, rate, quality="HQ")
    run_up = steps * (rate // common)
    segment = samples[run_up : run_up + size]
    if len(segment) < size:
        raise CannotSeekError("it ends before it should")
    return np.ascontiguousarray(segment)


def _open(file: Source) -> _Song:
    try:
        return _Libsndfile(open_libsndfile(file))
    except soundfile.LibsndfileError:
        file.seek(0)
        return _Ffmpeg(*open_ffmpeg(file))


class _Libsndfile:
    """Seeks to the sample, in MP3 too."""

    def __init__(self, sound: Any) -> None:
        self._sound = sound
        self.rate: int = sound.samplerate
        self.seconds = sound.frames / sound.samplerate

    def read(self, start: int, frames: int) -> FloatArray:
        if frames * self._sound.channels > _MOST_VALUES:
            raise CannotSeekError("its segments are too large to hold")
        try:
            self._sound.seek(start)
            return mix(self._sound.read(frames, dtype="float32", always_2d=True))
        except soundfile.LibsndfileError as error:
            raise CannotSeekError("it is damaged") from error

    def close(self) -> None:
        self._sound.close()


class _Ffmpeg:
    """Seeks to a packet before, and counts samples by the time stamps of the frames."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self.rate: int = stream.rate
        exact = container.format.name.startswith(_EXACT_CONTAINERS)
        self.seconds = _duration(container, stream) if exact else 0.0

    def read(self, start: int, frames: int) -> FloatArray:
        try:
            return self._read(start, frames)
        except CannotSeekError:
            raise
        except Exception as error:  # whatever a damaged file makes of foreign code
            raise CannotSeekError("it is damaged") from error

    def _read(self, start: int, frames: int) -> FloatArray:
        import av

        stream = self._stream
        first = stream.start_time or 0
        self._container.seek(first + int(start / self.rate / stream.time_base), stream=stream)
        planar = av.AudioResampler(format="fltp", rate=self.rate)
        blocks: list[FloatArray] = []
        begin, reached = 0, -1
        for frame in self._container.decode(stream):
            if reached < 0:
                if frame.pts is None:
                    raise CannotSeekError("it has no time stamps")
                begin = reached = round((frame.pts - first) * stream.time_base * self.rate)
                if begin > start:
                    raise CannotSeekError("it cannot be entered there")
            for converted in planar.resample(frame):
                blocks.append(mix(converted.to_ndarray().T.astype(np.float32, copy=False)))
                reached += len(blocks[-1])
                if reached <= start:
                    begin += len(blocks.pop())
            if reached >= start + frames:
                break
        if not blocks:
            raise CannotSeekError("it ends before it should")
        return np.concatenate(blocks)[start - begin : start - begin + frames]

    def close(self) -> None:
        self._container.close()


def _duration(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6  # microseconds
