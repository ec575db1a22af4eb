"""Compute the duration of a song from its headers and its size, without decoding it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import soundfile

from pocketgenre.audio.containers import (
    MpegFrame,
    OggPage,
    audio_end,
    audio_start,
    find_sample_chunk,
    mpeg_frames,
    next_ogg_link,
    ogg_page,
)
from pocketgenre.audio.errors import NotAudioError
from pocketgenre.audio.ffmpeg import open_ffmpeg, stated_seconds
from pocketgenre.audio.libsndfile import bytes_per_frame, open_libsndfile
from pocketgenre.audio.source import SongFile, open_song
from pocketgenre.errors import AudioError

_PLACES = 16  # positions in an MP3 at which its bit rate is measured
_PLACE_BYTES = 1 << 13
_UNKNOWN_FRAMES = 1 << 40  # libsndfile returns 2**63 - 1 for an unknown number


@dataclass(frozen=True)
class Duration:
    """Duration of a song.

    Attributes
    ----------
    seconds : duration [s]; None if unknown
    is_stated : True if a header states it; False if it is estimated from the size, so that the
        decoded duration may differ although nothing is missing
    """

    seconds: float | None
    is_stated: bool = False


def probe_duration(source: str | os.PathLike[str] | IO[bytes]) -> float | None:
    """Return the duration of a song [s] without decoding it; None if it is unknown.

    A header that states less than the file holds (joined files, files written to a pipe) is
    corrected by the number of bytes.

    Raises
    ------
    AudioError, TypeError
        if the file can't be opened, as :func:`pocketgenre.audio.decoding.stream_mono`.
    """
    with open_song(source) as file:
        return measure_duration(file).seconds


def measure_duration(file: SongFile) -> Duration:
    """Return the duration of an open file, and whether its header states it."""
    start = audio_start(file)
    if file.search_at(start, 4) == b"OggS":
        return _ogg_duration(file, start)
    try:
        with open_libsndfile(file) as sound:
            if sound.format == "MP3":
                return _mpeg_duration(file, start)
            frames, rate, size = sound.frames, sound.samplerate, bytes_per_frame(sound)
    except (soundfile.LibsndfileError, NotAudioError):
        return _ffmpeg_duration(file)
    chunk = find_sample_chunk(file) if size else None
    if chunk is not None:
        stated = chunk.size or 0
        return Duration(max(stated, chunk.end - chunk.start) / (size * rate), stated > 0)
    return Duration(frames / rate if 0 < frames < _UNKNOWN_FRAMES else None, frames > 0)


def _ffmpeg_duration(file: SongFile) -> Duration:
    container, stream = open_ffmpeg(file)
    with container:
        seconds = stated_seconds(container, stream)
        if seconds is not None:
            return Duration(seconds, container.format.name not in ("aac", "mp3", "ac3", "eac3"))
        return Duration(_last_packet_end(container, stream))


def _last_packet_end(container: object, stream: object) -> float | None:
    """Return the end of the last packet [s], reading all packets without decoding them."""
    end = 0
    try:
        for packet in container.demux(stream):  # type: ignore[attr-defined]
            if packet.pts is not None:
                end = max(end, packet.pts + (packet.duration or 0))
    except Exception:  # libraries may raise anything for a damaged file  # noqa: S110
        pass
    return float(end * stream.time_base) or None  # type: ignore[attr-defined]


def sum_packets(source: str | os.PathLike[str] | IO[bytes], limit: float) -> float:
    """Add the durations of a song's packets [s], in a twentieth of the time of decoding.

    Parameters
    ----------
    source : path or file
    limit : sum at which to stop [s]

    Returns
    -------
    float
        sum up to damage or to the first packet beyond the limit; 0 if the song can't be opened
    """
    import av

    seconds = 0.0
    with suppress(AudioError), open_song(source) as file:
        container, stream = open_ffmpeg(file)
        with container, suppress(av.FFmpegError):  # what is damaged is found by decoding
            for packet in container.demux(stream):
                seconds += float((packet.duration or 0) * (packet.time_base or 0))
                if seconds > limit:
                    break
    return seconds


# --- MPEG audio ---


def _mpeg_duration(file: SongFile, start: int) -> Duration:
    end = audio_end(file)
    head = file.search_at(start, 1 << 16)
    frames = mpeg_frames(head)
    if not frames:
        return Duration(None)
    start += frames[0].position
    stated, stated_bytes = _stated_frames(head, frames[0])
    seconds = stated * frames[0].seconds
    if stated and (not stated_bytes or end - start <= 1.1 * stated_bytes):
        return Duration(seconds, is_stated=True)
    estimate = _estimate_mpeg_seconds(file, start, end)
    if estimate is None:
        return Duration(seconds or None, is_stated=bool(seconds))
    return Duration(max(estimate, seconds))


def _stated_frames(head: bytes, frame: MpegFrame) -> tuple[int, int]:
    """Return the numbers of frames and bytes in a Xing, Info or VBRI header; 0 if missing."""
    content = head[frame.position : frame.position + frame.size]
    position = max(content.find(b"Xing", 0, 44), content.find(b"Info", 0, 44))
    if position >= 0:
        flags, position = content[position + 7], position + 8
        values = []
        for bit in (1, 2):
            present = bool(flags & bit)
            values.append(int.from_bytes(content[position : position + 4], "big") * present)
            position += 4 * present
        return values[0], values[1]
    if content[36:40] == b"VBRI":
        return int.from_bytes(content[50:54], "big"), int.from_bytes(content[46:50], "big")
    return 0, 0


def _estimate_mpeg_seconds(file: SongFile, start: int, end: int) -> float | None:
    """Estimate the duration from the mean bit rate at some places."""
    bytes_read = seconds = 0.0
    places = {start + (end - start) * place // _PLACES for place in range(_PLACES)}
    found = 0
    for place in places:
        frames = mpeg_frames(file.search_at(place, min(_PLACE_BYTES, end - place)))
        bytes_read += sum(frame.size for frame in frames)
        seconds += sum(frame.seconds for frame in frames)
        found += bool(frames)
    if not bytes_read:
        return None
    return (end - start) * found / len(places) * seconds / bytes_read


# --- Ogg ---


def _ogg_duration(file: SongFile, start: int) -> Duration:
    """Add the durations of all chained streams."""
    last = _last_page(file, start, file.size)
    serials, link = _first_serials(file, start)
    if last is None or last.serial in serials:
        return Duration(_link_seconds(file, start, last), is_stated=True)
    seconds = 0.0
    following: int | None = start
    while following is not None:
        link = following
        following = next_ogg_link(file, link, link)
        last = _last_page(file, link, file.size if following is None else following)
        seconds += _link_seconds(file, link, last) or 0.0
    return Duration(seconds or None, is_stated=True)


def _first_serials(file: SongFile, offset: int) -> tuple[set[int], int]:
    serials = set()
    while (page := ogg_page(file, offset)) and page.begins_stream:
        serials.add(page.serial)
        offset += page.size
    return serials, offset


def _last_page(file: SongFile, start: int, end: int) -> OggPage | None:
    """Return the last page between two offsets."""
    while end > start:
        begin = max(start, end - (1 << 17))
        content = file.search_at(begin, end - begin)
        for position in _backwards(content, b"OggS\0"):
            page = ogg_page(file, begin + position)
            if page is not None and page.granule >= 0:
                return page
        if begin == start or not content:
            return None
        end = begin + 4
    return None


def _backwards(content: bytes, pattern: bytes) -> Iterator[int]:
    position = content.rfind(pattern)
    while position >= 0:
        yield position
        position = content.rfind(pattern, 0, position)


def _link_seconds(file: SongFile, start: int, last: OggPage | None) -> float | None:
    header = file.search_at(start, 27 + 255 + 128)
    if last is None or len(header) < 27:
        return None
    packet = header[27 + header[26] :]
    rate = _ogg_rate(packet)
    if not rate:
        return None
    preskip = int.from_bytes(packet[10:12], "little") if packet[:8] == b"OpusHead" else 0
    return max(0, last.granule - preskip) / rate


def _ogg_rate(packet: bytes) -> int:
    """Return the rate of the granule positions [Hz] from the first packet; 0 if unknown."""
    if packet[:7] == b"\x01vorbis":
        return int.from_bytes(packet[12:16], "little")
    if packet[:8] == b"OpusHead":
        return 48_000
    if packet[:5] == b"\x7fFLAC":
        return int.from_bytes(packet[27:30], "big") >> 4
    if packet[:5] == b"Speex":
        return int.from_bytes(packet[36:40], "little")
    return 0
