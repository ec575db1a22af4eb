"""Decode songs with FFmpeg's libraries, through PyAV.

FFmpeg receives a file descriptor and a list of containers, so that a playlist disguised as a song
can't make it open other files or URLs. A large file is read through Python, which limits how
many bytes FFmpeg searches for the next packet.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.containers import mpeg_frames
from pocketgenre.audio.errors import DamagedAudioError, NotAudioError
from pocketgenre.audio.limits import WorkLimit, check_rate
from pocketgenre.audio.source import FileWindow, SongFile
from pocketgenre.constants import PROTECTED_CODECS
from pocketgenre.errors import AudioError

FloatArray = NDArray[np.float32]

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,caf,dsf,dts,eac3,flac,matroska,mov,mp3,mpc,mpc8,ogg,tta,w64,wav,wv"
)

_HEAD_BYTES = 1 << 17  # part of a file in which an MP3 may begin
_PACKET_SECONDS = 0.02  # of packets without a duration
_MAX_LOST_SECONDS = 1.0  # a shorter loss in the middle is not reported


def open_ffmpeg(file: SongFile, start: int = 0, container: str | None = None) -> tuple[Any, Any]:
    """Open a file with FFmpeg.

    Parameters
    ----------
    file : file to decode
    start : offset at which the song begins [bytes]
    container : name of the container; detected by default

    Returns
    -------
    container, stream
        the container, which the caller closes, and its default audio stream

    Raises
    ------
    NotAudioError
        if FFmpeg can't decode the file.
    OSError
        if the file can't be read.
    """
    try:
        opened = _open(file, start, container)
    except NotAudioError:
        # FFmpeg searches for the frames of an MP3 behind some other data, but not behind any.
        frames = [] if start or container else mpeg_frames(file.search_at(0, _HEAD_BYTES))
        if not frames:
            raise
        opened = _open(file, frames[0].position, "mp3")
    try:
        return opened, _default_stream(opened)
    except NotAudioError:
        opened.close()
        raise


def _open(file: SongFile, start: int, container: str | None) -> Any:
    import av  # takes 0.1 s, and MP3, FLAC and WAV do not need it

    options = {"format_whitelist": container or _CONTAINERS}
    source: str | FileWindow
    if file.is_large:
        source = file.window = FileWindow(file, start)
    else:
        source = "fd:"
        options |= {"fd": str(file.open_descriptor(start)), "protocol_whitelist": "fd"}
    try:
        return av.open(source, "r", container, options=options, metadata_errors="replace")
    except Exception as error:  # libraries may raise anything for a damaged file
        file.check_readable(0)
        raise NotAudioError("not audio in a format that can be decoded") from error


def _default_stream(container: Any) -> Any:
    """Return the default audio stream, else the first, among those that can be decoded."""
    streams = container.streams.audio
    if not streams:
        raise NotAudioError("it holds no audio")
    decodable = [stream for stream in streams if stream.codec_context is not None and stream.rate]
    if not decodable:
        raise NotAudioError("its audio format cannot be decoded (it may be protected)")
    clear = [s for s in decodable if s.codec_context.codec_tag not in PROTECTED_CODECS]
    if not clear:
        raise NotAudioError("it is copy-protected and cannot be decoded")
    return next((stream for stream in clear if _is_default(stream)), clear[0])


def _is_default(stream: Any) -> bool:
    return bool(int(stream.disposition) & 1)


def stated_seconds(container: Any, stream: Any) -> float | None:
    """Return the duration that the container states [s]; None if it states none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration) / 1e6  # microseconds
    return None


class FloatConverter:
    """Convert frames to float samples [shape=(n, channels)] at the frames' own sample rate."""

    def __init__(self) -> None:
        self._format: tuple[str, str, int] | None = None
        self._resampler: Any = None

    @property
    def has_frames(self) -> bool:
        """True after the first frame."""
        return self._format is not None

    def __call__(self, frame: Any) -> Iterator[FloatArray]:
        """Convert one frame. Formats, channels and rates may change between frames."""
        import av

        frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if frame_format != self._format:
            self._format = frame_format
            self._resampler = av.AudioResampler(format="flt", rate=frame.sample_rate)
        for converted in self._resampler.resample(frame):
            # Not planar: PyAV reads beyond the planes of a frame with eight channels.
            yield converted.to_ndarray().reshape(-1, converted.layout.nb_channels)


def read_frames(file: SongFile, container: Any, stream: Any) -> Iterator[tuple[int, FloatArray]]:
    """Decode a stream. Packets that can't be decoded are left out.

    Yields
    ------
    sample rate [Hz], float32 [shape=(n, channels)]

    Raises
    ------
    DamagedAudioError
        if decoding fails in the middle; or after the last frame, if more than one second before it
        can't be decoded.
    LimitError
        if the file causes more work than the longest song.
    OSError
        if the file can't be read.
    """
    convert, work = FloatConverter(), WorkLimit()
    lost = lost_since = 0.0
    try:
        for frames, lost_seconds in _decoded_packets(container, stream):
            file.allow_packet()
            if not frames:
                work.add_empty_packet()
            lost_since += lost_seconds
            for frame in frames:
                check_rate(frame.sample_rate)
                work.add_block(frame.sample_rate, frame.samples, frame.layout.nb_channels)
                lost, lost_since = lost + lost_since, 0.0
                for block in convert(frame):
                    yield frame.sample_rate, block
    except AudioError:
        raise
    except Exception as error:  # libraries may raise anything for a damaged file
        file.check_readable(file.descriptor_position())
        raise DamagedAudioError("damaged: it cannot be decoded to its end") from error
    file.check_readable(file.descriptor_position())
    if lost > _MAX_LOST_SECONDS:
        raise DamagedAudioError(f"damaged: {lost:.0f} s of it cannot be decoded")
    if lost_since and not convert.has_frames:
        raise DamagedAudioError("damaged: it cannot be decoded")


def _decoded_packets(container: Any, stream: Any) -> Iterator[tuple[list[Any], float]]:
    """Yield the frames of each packet, and its duration [s] if it can't be decoded."""
    import av

    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            yield [], float((packet.duration or 0) * stream.time_base) or _PACKET_SECONDS
        else:
            yield frames, 0.0
