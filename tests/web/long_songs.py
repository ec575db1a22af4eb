"""Write songs of hours within seconds: the packets of one minute, again and again."""

from pathlib import Path

import av
import numpy as np

from tests.audio.test_whole_songs import encode
from tests.conftest import tone

MINUTE = 60.0
RATE = 48_000


def write_long(
    path: Path, codec: str, container: str, seconds: float, *, silent: bool = False, **muxer: str
) -> Path:
    """Write a song that repeats a minute.

    Parameters
    ----------
    path : file to write
    codec, container : FFmpeg's names of the encoder and of the format
    seconds : length of the song, whole minutes
    silent : True for silence, False for a tone
    muxer : FFmpeg's options of the format
    """
    minute_format = "mp4" if container == "mp4" else "matroska"
    minute = path.with_name(f"minute of {path.name}")
    samples = tone(440.0, MINUTE, RATE, 2) * np.float32(0.0 if silent else 1.0)
    encode(minute, samples, codec, minute_format, RATE)
    with (
        av.open(str(minute)) as source,
        av.open(str(path), "w", format=container, options=muxer) as file,
    ):
        (original,) = source.streams
        stream = file.add_stream_from_template(original)
        packets = [packet for packet in source.demux(original) if packet.size]
        length = round(MINUTE / packets[0].time_base)
        contents = [
            (bytes(packet), packet.pts, packet.duration, packet.time_base) for packet in packets
        ]
        for repetition in range(round(seconds / MINUTE)):
            for content, pts, duration, time_base in contents:
                copied = av.Packet(content)
                copied.stream = stream
                copied.time_base = time_base
                copied.pts = copied.dts = pts + repetition * length
                copied.duration = duration
                copied.is_keyframe = True
                file.mux(copied)
    minute.unlink()
    return path
