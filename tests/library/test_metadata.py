"""Read title, artist, album and year from tags, and store them with the songs."""

import os
import resource
import sqlite3
import struct
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import mutagen
import pytest
from mutagen.apev2 import APEv2
from mutagen.id3 import TALB, TDRC, TIT2, TPE1, TPE2

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.scan import read_missing_metadata
from pocketgenre.library.tags.metadata import NO_METADATA, Metadata, read_metadata
from tests.library.conftest import find_changes, scan, write_files
from tests.library.fake_models import scan_config
from tests.library.songs import write_song

FIELDS = Metadata("Jóga", "Björk", "Homogenic", "Various", 1997)


def write_fields(path: Path) -> None:
    if path.suffix in (".mp3", ".wav", ".aiff"):
        audio = mutagen.File(path)
        audio.add_tags()
        tags = audio.tags
        for frame, text in ((TIT2, "Jóga"), (TPE1, "Björk"), (TALB, "Homogenic"),
                            (TPE2, "Various"), (TDRC, "1997-09-22")):  # fmt: skip
            tags.add(frame(encoding=3, text=text))
        audio.save()
        return
    audio = mutagen.File(path, easy=True)
    audio["title"], audio["artist"], audio["album"] = "Jóga", "Björk", "Homogenic"
    audio["albumartist"], audio["date"] = "Various", "1997"
    audio.save()


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".flac", ".ogg", ".opus", ".wav", ".aiff"])
def test_fields_are_read_from_every_format(suffix: str, tmp_path: Path) -> None:
    path = write_song(tmp_path / f"a{suffix}")
    assert read_metadata(path) == NO_METADATA
    write_fields(path)
    assert read_metadata(path) == FIELDS


def write_info(path: Path, fields: dict[bytes, bytes]) -> None:
    """Append an INFO list to a WAV file."""
    texts = b""
    for name, text in fields.items():
        texts += name + struct.pack("<I", len(text)) + text + bytes(len(text) % 2)
    chunk = b"LIST" + struct.pack("<I", 4 + len(texts)) + b"INFO" + texts
    content = bytearray(path.read_bytes()) + chunk
    content[4:8] = struct.pack("<I", len(content) - 8)
    path.write_bytes(content)


def test_fields_of_a_riff_list_are_read(tmp_path: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    info = {b"INAM": "Jóga\0".encode(), b"IART": "Björk\0".encode("cp1252"), b"ICRD": b"1997-09"}
    write_info(path, info | {b"IPRD": b"Homogenic", b"ISFT": b"Editor"})
    assert read_metadata(path) == replace(FIELDS, album_artist=None)
    write_fields(path)  # an ID3 chunk, which players prefer
    assert read_metadata(path) == FIELDS


def test_fields_of_an_ape_tag_are_read(tmp_path: Path) -> None:
    path = write_song(tmp_path / "a.mp3")
    tags = APEv2()
    tags["Title"], tags["Artist"], tags["Album"] = "Jóga", "Björk", "Homogenic"
    tags["Album Artist"], tags["Year"] = "Various", "1997"
    tags.save(path)
    assert read_metadata(path) == FIELDS


def test_files_that_are_no_songs_have_no_fields(tmp_path: Path) -> None:
    (tmp_path / "text.mp3").write_text("not music")
    os.mkfifo(tmp_path / "pipe.mp3")
    for name in ("text.mp3", "pipe.mp3", "missing.mp3"):
        assert read_metadata(tmp_path / name) == NO_METADATA


def test_expanding_tag_ends_no_scan(music: Path, catalog: Catalog) -> None:
    """Read a compressed title of 0.3 MB that fills 256 MB, not in this process."""
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    data = struct.pack(">L", 2**28) + packed
    frame = b"TIT2" + struct.pack(">LH", len(data), 0x80) + data
    size = bytes(len(frame) >> 7 * place & 0x7F for place in reversed(range(4)))
    (music / "bomb.mp3").write_bytes(b"ID3\3\0\0" + size + frame)
    write_files(music, "song.mp3")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scan(music, catalog)
    assert "song.mp3" in {song.name.name for song in catalog.songs() if song.prediction}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_scan_stores_fields(music: Path, catalog: Catalog) -> None:
    write_files(music, "bare.mp3")
    path = write_song(music / "song.flac")
    write_fields(path)
    scan(music, catalog)
    assert [song.metadata for song in catalog.songs()] == [NO_METADATA, FIELDS]
    with closing(sqlite3.connect(catalog.file)) as connection, connection:
        # As after the conversion of an older catalogue.
        connection.execute("UPDATE songs SET has_metadata = 0, title = NULL, artist = NULL")
    config = scan_config()
    _, diff = find_changes(music, catalog, config.request())
    read_missing_metadata(diff.unchanged, catalog, config)
    assert [song.metadata for song in catalog.songs()] == [NO_METADATA, FIELDS]
    assert catalog.files_without_metadata() == set()
