"""Write unusual songs, and broken files with the suffix of a song."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from pocketgenre.demo.synthetic import write_aac, write_audio
from tests.conftest import tone, write_tone


def write_silent_video(path: Path) -> None:
    """Write a video without an audio stream."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def write_cover(path: Path) -> None:
    """Write an ID3 tag with a picture, without audio after it."""
    picture = b"\0image/jpeg\0\3\0" + b"\xff\xd8\xff" + bytes(5_000)
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    size = len(frame)
    sizes = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\3\0\0" + sizes + frame)


def write_protected(path: Path) -> None:
    """Write AAC with the codec "drms", as the iTunes store sold it until 2009."""
    write_aac(path, tone(440.0, 3.0, 44_100, 2), 44_100)
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"drms"))


def write_cut(path: Path, keep: float) -> None:
    """Write a share ``keep`` of a file's bytes."""
    if path.suffix == ".m4a":
        write_aac(path, tone(440.0, 5.0, 44_100, 2), 44_100)
    else:
        write_tone(path, 5.0, 44_100, 2)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def write_nan(path: Path) -> None:
    """Write a song with samples that are not finite."""
    samples = tone(440.0, 4.0)
    samples[100:200] = np.nan
    write_audio(path, samples, 22_050, "WAV", "FLOAT")


def write_fake(path: Path) -> None:
    """Write half a second whose header gives the size of hours."""
    write_tone(path, 0.5)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.mp3": (Path.touch, "the file is empty"),
    "truncated.m4a": (lambda p: write_cut(p, 0.5), "not audio"),
    "header only.flac": (lambda p: write_cut(p, 0.001), ""),
    "really a text.mp3": (lambda p: p.write_text("Dear diary, " * 1000), "not audio"),
    "really a picture.ogg": (lambda p: p.write_bytes(b"\xff\xd8\xff" + bytes(9_999)), "not audio"),
    "protected.m4p": (write_protected, "it is copy-protected"),
    "not numbers.wav": (write_nan, "not finite"),
    "no samples.wav": (lambda p: write_audio(p, tone(1, 0.0), 22_050), "too short"),
    "a blink.wav": (lambda p: write_tone(p, 0.3), "too short"),
    "silence.flac": (lambda p: write_audio(p, 0 * tone(1, 4.0), 22_050), "only silence"),
    "cover only.mp3": (write_cover, ""),
    "video without sound.mp4": (write_silent_video, "no audio"),
    "loop.mp3": (lambda p: p.symlink_to(p.name), "cannot be read"),
    "vanished.mp3": (lambda p: p.symlink_to("nowhere.mp3"), "No such file"),
    "pipe.mp3": (os.mkfifo, "not a file"),
    "huge by its header.wav": (write_fake, "too short"),
    "noise.opus": (lambda p: p.write_bytes(np.random.default_rng(0).bytes(20_000)), "not audio"),
    "zeros.aac": (lambda p: p.write_bytes(bytes(20_000)), "not audio"),
}
"""By file name: the function that writes it, and a part of the expected error."""

ODD: dict[str, Callable[[Path], object]] = {
    "8 bit.wav": lambda p: write_audio(p, tone(440.0, 4.0), 22_050, "WAV", "PCM_U8"),
    "192 kHz.flac": lambda p: write_tone(p, 4.0, 192_000),
    "7.1.wav": lambda p: write_tone(p, 4.0, 48_000, 8),
    "really AAC.mp3": lambda p: write_aac(p, tone(440.0, 4.0, 44_100, 2), 44_100),
    "cut off.mp3": lambda p: write_cut(p, 0.8),
    "SHOUTED.WAV": lambda p: write_audio(p, tone(440.0, 4.0), 22_050, "WAV", "PCM_16"),
    os.fsdecode(b"caf\xe9 \xff.wav"): lambda p: write_audio(p, tone(440.0, 4.0), 22_050, "WAV"),
    "line\nbreak \x1b[31m.wav": lambda p: write_audio(p, tone(440.0, 4.0), 22_050, "WAV"),
    "x" * 251 + ".wav": lambda p: write_tone(p, 4.0),
    "/".join(["y" * 100] * 3) + "/300 characters.wav": lambda p: write_tone(p, 4.0),
    "-rf *; $(reboot).wav": lambda p: write_tone(p, 4.0),
}
"""By file name: the function that writes it. Each can be classified."""


def write_odd_library(folder: Path) -> None:
    """Write one file of each kind."""
    for name, write in {**ODD, **{name: write for name, (write, _) in BROKEN.items()}}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = folder / ("plain" + path.suffix)  # libsndfile writes only names in UTF-8
        write(plain if name in ODD else path)
        if name in ODD:
            plain.rename(path)
    (folder / "loop of folders").symlink_to(folder)
    (folder / "a folder.mp3").mkdir()
