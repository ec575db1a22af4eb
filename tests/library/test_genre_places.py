"""Find genres wherever players show them, and write where the other fields are."""

import struct
from collections.abc import Callable
from pathlib import Path

import mutagen
import pytest
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TCON, TIT2, TXXX
from mutagen.mp4 import MP4

from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.tagging import TagConfig, tag_songs
from pocketgenre.library.tags.undo_log import UndoLog
from tests.library.songs import song, write_kind, write_song

NOW = TagConfig(settle_seconds=0)


def _ape(path: Path) -> None:
    tags = APEv2()
    tags["Genre"] = "Krautrock"
    tags.save(path)


def _id3v1_next_to_id3v2(path: Path) -> None:
    tags = ID3()
    tags.add(TIT2(encoding=3, text="Title"))
    tags.save(path, v1=0)
    with open(path, "ab") as file:
        file.write(b"TAG".ljust(127, b"\0") + bytes([80]))  # Folk


def _txxx(path: Path) -> None:
    tags = ID3()
    tags.add(TXXX(encoding=1, desc="Genre", text="Zouk"))
    tags.save(path)


def _free_atom(path: Path) -> None:
    audio = MP4(path)
    audio["----:com.apple.iTunes:GENRE"] = [b"Zouk"]
    audio.save()


def _id3_in_flac(path: Path) -> None:
    audio = FLAC(path)
    audio["title"] = "Title"
    audio.save()
    tags = ID3()
    tags.add(TCON(encoding=3, text="Zouk"))
    tags.save(path)


def _info(path: Path) -> None:
    genre = b"IGNR" + struct.pack("<I", 5) + b"Zouk\0\0"
    chunk = b"LIST" + struct.pack("<I", 4 + len(genre)) + b"INFO" + genre
    content = bytearray(path.read_bytes()) + chunk
    content[4:8] = struct.pack("<I", len(content) - 8)
    path.write_bytes(content)


PLACES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "APEv2": (".mp3", _ape, "Krautrock"),
    "ID3v1 next to ID3v2": (".mp3", _id3v1_next_to_id3v2, "Folk"),
    "TXXX": (".mp3", _txxx, "Zouk"),
    "free atom": (".m4a", _free_atom, "Zouk"),
    "ID3 in FLAC": (".flac", _id3_in_flac, "Zouk"),
    "RIFF INFO": (".wav", _info, "Zouk"),
}
"""Places of genres that are read and never written: suffix, function that writes it, genre."""


@pytest.mark.parametrize("place", PLACES)
def test_genre_in_another_place_is_kept(place: str, tmp_path: Path, undo_file: Path) -> None:
    suffix, write, genre = PLACES[place]
    path = write_song(tmp_path / f"a{suffix}")
    write(path)
    content = path.read_bytes()
    with UndoLog(undo_file) as log:
        (outcome,) = tag_songs([song(path)], log, NOW)
    assert (outcome.action, outcome.reason) == ("kept", f"its genre is {genre}")
    assert path.read_bytes() == content


def test_flac_with_title_in_id3_gets_genre_there(tmp_path: Path, undo_file: Path) -> None:
    path = write_song(tmp_path / "a.flac")
    tags = ID3()
    tags.add(TIT2(encoding=3, text="Title"))
    tags.save(path)
    with UndoLog(undo_file) as log:
        (outcome,) = tag_songs([song(path)], log, NOW)
    assert outcome.action == "changed"
    assert (str(ID3(path)["TIT2"]), str(ID3(path)["TCON"])) == ("Title", "Rock")
    assert not FLAC(path).tags


def test_marks_in_each_value_are_not_part_of_it(tmp_path: Path) -> None:
    """Old programs write a byte order mark before each of several genres."""
    values = [genre.encode("utf-16-le") for genre in ("Zouk", "Ὠδή")]
    for mark in (b"\xff\xfe", b""):
        path = write_song(tmp_path / "a.mp3")
        data = b"\x01\xff\xfe" + values[0] + b"\0\0" + mark + values[1]
        frame = b"TCON" + struct.pack(">LH", len(data), 0) + data
        header = b"ID3\x03\0\0" + bytes([0, 0, 0, len(frame)])
        path.write_bytes(header + frame + path.read_bytes())
        genre_format, tag = read_genre(path)
        assert genre_format.text(tag) == ("Zouk", "Ὠδή")


def test_wav_from_a_pipe_is_refused_also_in_dry_run(tmp_path: Path, undo_file: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with UndoLog(undo_file) as log:
        for target in (None, log):
            (outcome,) = tag_songs([song(path)], target, NOW)
            assert outcome.action == "refused"
            assert "from a pipe" in str(outcome.reason)
    assert path.read_bytes() == content


@pytest.mark.parametrize("field", ["grouping", "mood"])
@pytest.mark.parametrize("kind", ["mp3-id3v2.3", "mp3-id3v2.4", "m4a-genre", "ogg-genres", "wav"])
def test_other_field_is_written(kind: str, field: str, tmp_path: Path, undo_file: Path) -> None:
    path = write_kind(kind, tmp_path)
    genre_before = read_genre(path)[1]
    config = TagConfig(settle_seconds=0, field=field, overwrite=True)
    before = read_genre(path, field)[1]
    with UndoLog(undo_file) as log:
        (outcome,) = tag_songs([song(path)], log, config)
    assert outcome.action == "changed", outcome
    genre_format, tag = read_genre(path, field)
    assert genre_format.text(tag) == ("Rock",)
    assert read_genre(path)[1] == genre_before
    assert before.values != tag.values
    assert "Rock" in str(mutagen.File(path).tags.pprint())
    genre_format.write(path, before)
    assert read_genre(path, field)[1].values == before.values


def test_replaceable_genre_is_replaced(tmp_path: Path, undo_file: Path) -> None:
    unknown, mine = (write_kind("flac", tmp_path, name) for name in ("unknown", "mine"))
    for path, genre in ((unknown, "unknown"), (mine, "Mine")):
        audio = FLAC(path)
        audio["genre"] = genre
        audio.save()
    config = TagConfig(settle_seconds=0, replaceable=("Unknown", "Other"))
    with UndoLog(undo_file) as log:
        outcomes = list(tag_songs([song(unknown), song(mine)], log, config))
    assert [outcome.action for outcome in outcomes] == ["changed", "kept"]
