"""Songs for tests: entries of a catalogue, and tagged files of each format."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from hypothesis import strategies as st
from mutagen.aiff import AIFF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TCON, TIT2, TYER
from mutagen.mp4 import MP4
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.library.library_song import LibrarySong, State
from pocketgenre.library.tags.genre_tag import GenreTag
from pocketgenre.library.tags.mp4 import Mp4
from pocketgenre.prediction import DEFAULT_LABELS, LabelConfig, predict_song
from tests.conftest import GENRES, tone

PICTURE = bytes(range(256)) * 40
MUSIC = Path("/music")

NAMES = (
    st.binary(min_size=1, max_size=60)
    .map(lambda raw: os.fsdecode(raw.replace(b"/", b"").replace(b"\0", b"")) or "x")
    .filter(lambda name: name not in (".", ".."))
)
"""Any name that a file can have: bytes without a slash or a zero."""


def song(path: Path | str, genres: Sequence[str] = ("rock",), **options) -> LibrarySong:
    """Return a song with one segment of each of these genres, each with probability 1."""
    table = np.zeros((len(genres), len(GENRES)), np.float32)
    for row, genre in enumerate(genres):
        table[row, GENRES.index(genre)] = 1.0
    return song_of_table(path, table, **options)


def song_of_table(
    path: Path | str,
    table: np.ndarray,
    label_config: LabelConfig = DEFAULT_LABELS,
    *,
    state: State = "labelled",
    seconds_per_segment: float = 3.0,
) -> LibrarySong:
    """Return a song with these segment probabilities; its name is relative to ``/music``."""
    path = Path(path)
    status = path.stat() if path.is_absolute() and path.is_file() else None
    return LibrarySong(
        path=path,
        name=_relative(path),
        state=state,
        size=status.st_size if status else 1,
        modified_ns=status.st_mtime_ns if status else 1,
        model="0" * 64,
        prediction=predict_song(table, GENRES, label_config, seconds_per_segment),
        failure=None,
    )


def failed_song(path: Path | str, failure: str = "the file is empty") -> LibrarySong:
    """Return a song that could not be classified."""
    path = Path(path)
    return LibrarySong(path, _relative(path), "failed", 0, 1, "0" * 64, None, failure)


def _relative(path: Path) -> Path:
    return path.relative_to(MUSIC) if path.is_relative_to(MUSIC) else path


def write_song(path: Path, seconds: float = 1.5) -> Path:
    """Write a song in the format of the path's suffix, without a genre."""
    samples = tone(440.0, seconds, 44_100, channels=2)
    if path.suffix == ".m4a":
        write_aac(path, samples, 44_100)
    elif path.suffix == ".opus":
        write_audio(path, samples[: len(samples) // 2], 48_000, format="OGG", subtype="OPUS")
    else:
        write_audio(path, samples, 44_100)
    return path


def _mp3_v23(path: Path) -> None:
    tags = ID3()
    tags.add(TIT2(encoding=1, text="Ænima"))
    tags.add(TYER(encoding=0, text="1996"))
    tags.add(COMM(encoding=0, lang="eng", desc="", text="kept"))
    tags.add(APIC(encoding=0, mime="image/png", type=3, data=PICTURE))
    tags.save(path, v2_version=3, v1=0)


def _mp3_v24(path: Path) -> None:
    tags = ID3()
    tags.add(TIT2(encoding=3, text="Jóga"))
    tags.add(TCON(encoding=3, text=["Trip-Hop", "Electronic"]))
    tags.save(path, v2_version=4, v1=0)


def _mp3_v1(path: Path, genre: int = 255) -> None:
    fields = [b"Title", b"Artist", b"Album"]
    tag = b"TAG" + b"".join(field.ljust(30, b"\0") for field in fields)
    tag += b"1999" + b"\xcf\xf0\xe8".ljust(30, b"\0") + bytes([genre])  # cp1251, as was usual
    with open(path, "ab") as file:
        file.write(tag)


def _mp3_both(path: Path) -> None:
    _mp3_v1(path, genre=17)
    tags = ID3()
    tags.add(TIT2(encoding=0, text="Title"))
    tags.add(TCON(encoding=1, text="(8)"))
    data = path.read_bytes()
    tags.save(path, v2_version=3, v1=0)
    if not path.read_bytes().endswith(data[-128:]):
        with open(path, "ab") as file:
            file.write(data[-128:])


def _m4a(path: Path) -> None:
    audio = MP4(path)
    audio["\xa9nam"] = ["Title"]
    audio["trkn"] = [(3, 12)]
    audio["----:com.apple.iTunes:MOOD"] = [b"calm"]
    audio.save()


def _m4a_with_genre(path: Path) -> None:
    _m4a(path)
    audio = MP4(path)
    audio["\xa9gen"] = ["Chamber pop"]
    audio.save()


def _m4a_with_number(path: Path) -> None:
    """Write Apple's genre atom, which holds a number."""
    _m4a(path)
    data = (16 + 2).to_bytes(4, "big") + b"data" + bytes(8) + (18).to_bytes(2, "big")
    Mp4().write(path, GenreTag("mp4", (b"gnre" + data,)))


def _ogg(path: Path) -> None:
    audio = OggVorbis(path)
    audio["TITLE"] = "Títle"
    audio.tags.append(("Genre", "Zydeco"))
    audio.tags.append(("GENRE", "Cajun"))
    audio["metadata_block_picture"] = "A" * 120_000  # over more than one page
    audio.save()


def _opus(path: Path) -> None:
    audio = OggOpus(path)
    audio["TITLE"] = "Title"
    audio.save()


def _flac(path: Path) -> None:
    audio = FLAC(path)
    audio["title"] = "Title"
    picture = Picture()
    picture.data, picture.type, picture.mime = PICTURE, 3, "image/png"
    audio.add_picture(picture)
    audio.save()


def _chunk(kind: Callable) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        audio = kind(path)
        audio.add_tags()
        audio.tags.add(TIT2(encoding=3, text="Title"))
        audio.tags.add(TCON(encoding=3, text="Drone"))
        audio.save()

    return write


def _nothing(path: Path) -> None:
    pass


KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "mp3-bare": (".mp3", _nothing),
    "mp3-id3v1": (".mp3", _mp3_v1),
    "mp3-id3v2.3": (".mp3", _mp3_v23),
    "mp3-id3v2.4": (".mp3", _mp3_v24),
    "mp3-both": (".mp3", _mp3_both),
    "m4a-bare": (".m4a", _nothing),
    "m4a": (".m4a", _m4a),
    "m4a-genre": (".m4a", _m4a_with_genre),
    "m4a-gnre": (".m4a", _m4a_with_number),
    "ogg-bare": (".ogg", _nothing),
    "ogg-genres": (".ogg", _ogg),
    "opus": (".opus", _opus),
    "flac-bare": (".flac", _nothing),
    "flac": (".flac", _flac),
    "wav-bare": (".wav", _nothing),
    "wav": (".wav", _chunk(WAVE)),
    "aiff-bare": (".aiff", _nothing),
    "aiff": (".aiff", _chunk(AIFF)),
}
"""Kinds of files that a genre is written into: the suffix, and the function that adds tags."""


def write_kind(kind: str, folder: Path, name: str | None = None) -> Path:
    """Write a song of one of :data:`KINDS`, by default with the kind as its name."""
    suffix, tag = KINDS[kind]
    path = write_song(folder / f"{name or kind}{suffix}")
    tag(path)
    return path


def hash_audio(path: Path) -> str:
    """Hash the decoded samples and the packets that they were decoded from."""
    digest = hashlib.sha256()
    for block in stream_mono(path, 44_100):
        digest.update(block.tobytes())
    with av.open(os.fspath(path), metadata_errors="replace") as container:
        for packet in container.demux(container.streams.audio[0]):
            digest.update(bytes(packet))
    return digest.hexdigest()
