"""Read and write the genre in ID3 tags: of MP3, or in a chunk of WAV or AIFF.

Mutagen gets an empty table of frames, so that it passes every frame through unparsed: nothing is
converted to another version or encoding.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mutagen.aiff import _IFFID3
from mutagen.apev2 import (
    APEBadItemError,
    APENoHeaderError,
    APEUnsupportedVersionError,
    APEv2,
)
from mutagen.id3 import ID3, TCON, Frames, ID3NoHeaderError
from mutagen.id3 import delete as delete_id3
from mutagen.wave import _WaveID3

from pocketgenre.library.tags.genre_tag import (
    GENRE_FIELD,
    GROUPING_FIELD,
    GenreTag,
    TagError,
)
from pocketgenre.library.tags.riff import check_riff_size, riff_info_genres

_GENRE, _GROUPING, _OWN = b"TCON", b"TIT1", b"TXXX"
_V1_SIZE = 128
_V1_NUMBERS = {name: number for number, name in enumerate(TCON.GENRES)}
_V1_NO_GENRE = 255
# Zeros appended to the file hide an ID3v1 tag from mutagen, which would rewrite it.
_V1_PADDING = 256


class _NoFrames(dict[str, Any]):
    """Table of known frames without parsers, so that mutagen parses none."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)


class Id3:
    """Genre of an MP3: in its ID3v2 tag, or else in its ID3v1 tag.

    Parameters
    ----------
    field : ``genre``, ``grouping``, or the description of a TXXX frame
    """

    kind: type[ID3] = ID3

    def __init__(self, field: str = GENRE_FIELD) -> None:
        self._field = field
        self._frame = {GENRE_FIELD: _GENRE, GROUPING_FIELD: _GROUPING}.get(field, _OWN)

    def read(self, path: Path) -> GenreTag:  # noqa: D102
        tags = self._load(path)
        if tags is None:
            number = self._v1_number(path) if self._field == GENRE_FIELD else None
            if number is None:
                return GenreTag("id3v2.3")
            return GenreTag("id3v1", (bytes([number]),))
        frames = [bytes(frame) for frame in tags.unknown_frames if self._is_field(frame)]
        return GenreTag(f"id3v2.{tags.version[1]}", tuple(frames))

    def with_genres(self, genres: Sequence[str], tag: GenreTag) -> GenreTag:  # noqa: D102
        if tag.kind == "id3v1":
            number = _V1_NUMBERS.get(genres[0], _V1_NO_GENRE) if genres else _V1_NO_GENRE
            if genres and (len(genres) > 1 or number == _V1_NO_GENRE):
                raise TagError(f"it has only an ID3v1 tag, which has no genre {', '.join(genres)}")
            return GenreTag(tag.kind, (bytes([number]),))
        if not genres:
            return GenreTag(tag.kind)
        is_v24 = tag.kind == "id3v2.4"
        # Only version 2.4 has several values; players split 2.3 at the semicolon.
        texts = ["\0".join(genres) if is_v24 else "; ".join(genres)]
        if self._frame == _OWN:
            texts.insert(0, self._field.upper())
        if all(text.isascii() for text in texts):
            data = b"\x00" + b"\0".join(text.encode("ascii") for text in texts)
        elif is_v24:
            data = b"\x03" + b"\0".join(text.encode() for text in texts)
        else:
            data = b"\x01" + b"\0\0".join(text.encode("utf-16") for text in texts)
        size = len(data)
        if is_v24:  # seven bits per byte
            size = sum((size >> 7 * place & 0x7F) << 8 * place for place in range(4))
        return GenreTag(tag.kind, (struct.pack(">4sLH", self._frame, size, 0) + data,))

    def text(self, tag: GenreTag) -> tuple[str, ...]:  # noqa: D102
        if tag.kind == "id3v1":
            return _v1_text(tag.values[0][0])
        return tuple(genre for frame in tag.values for genre in _frame_text(frame))

    def elsewhere(self, path: Path) -> tuple[str, ...]:  # noqa: D102
        if self._field != GENRE_FIELD:
            return ()
        tags = self._load(path)
        if tags is None:
            return _ape_genres(path)
        own = [frame for frame in tags.unknown_frames if _own_name(frame) == GENRE_FIELD]
        genres = [genre for frame in own for genre in _frame_text(frame)]
        number = self._v1_number(path)
        v1 = () if number is None else _v1_text(number)
        return (*genres, *_ape_genres(path), *v1)

    def write(self, path: Path, tag: GenreTag) -> None:  # noqa: D102
        if tag.kind == "id3v1":
            with open(path, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(tag.values[0])
            return
        version = int(tag.kind[-1])
        tags = self._load(path)
        if tags is None:
            tags = self.kind()
            tags._unknown_v2_version = version
        others = [frame for frame in tags.unknown_frames if not self._is_field(frame)]
        tags.unknown_frames = [*others, *tag.values]
        with self._v1_hidden(path):
            if tags.unknown_frames:
                tags.save(str(path), v2_version=version, v23_sep=None)
            else:
                self._delete(path)

    def _is_field(self, frame: bytes) -> bool:
        if self._frame == _OWN:
            return _own_name(frame) == self._field.lower()
        return frame[:4] == self._frame

    def _load(self, path: Path) -> ID3 | None:
        try:
            tags = self.kind(str(path), known_frames=_NoFrames(Frames), translate=False,
                             load_v1=False)  # fmt: skip
        except ID3NoHeaderError:
            return None
        version = tags.version[1]
        header = tags._header
        if version == 2 or header.f_footer:
            raise TagError(
                "its tag is ID3v2.2, which can't be written without changing all of it"
                if version == 2
                else "its ID3 tag has a footer, which can't be written back"
            )
        if version == 4 and header.f_unsynch:  # mutagen drops this flag of the whole tag
            tags.unknown_frames = [
                frame[:9] + bytes([frame[9] | 2]) + frame[10:] for frame in tags.unknown_frames
            ]
        return tags

    def _delete(self, path: Path) -> None:
        delete_id3(str(path), delete_v1=False)

    def _v1_number(self, path: Path) -> int | None:
        """Return the number of the genre in an ID3v1 tag; None without the tag."""
        with open(path, "rb") as file:
            if file.seek(0, os.SEEK_END) < _V1_SIZE:
                return None
            file.seek(-_V1_SIZE, os.SEEK_END)
            tag = file.read()
        return tag[-1] if tag.startswith(b"TAG") else None

    @contextmanager
    def _v1_hidden(self, path: Path) -> Iterator[None]:
        with open(path, "ab") as file:
            file.write(b"\0" * _V1_PADDING)
        yield
        os.truncate(path, path.stat().st_size - _V1_PADDING)


class Id3InChunk(Id3):
    """Genre of a file made of chunks, one of which holds an ID3 tag."""

    def _delete(self, path: Path) -> None:
        tags = self._load(path)
        if tags is not None:
            tags.delete(str(path))

    def _v1_number(self, path: Path) -> int | None:  # noqa: ARG002
        return None

    @contextmanager
    def _v1_hidden(self, path: Path) -> Iterator[None]:  # noqa: ARG002
        yield


class Id3InWav(Id3InChunk):
    """Genre of a WAV file."""

    kind = _WaveID3

    def read(self, path: Path) -> GenreTag:  # noqa: D102
        check_riff_size(path)
        return super().read(path)

    def elsewhere(self, path: Path) -> tuple[str, ...]:  # noqa: D102
        info = riff_info_genres(path) if self._field == GENRE_FIELD else ()
        return (*super().elsewhere(path), *info)


class Id3InAiff(Id3InChunk):
    """Genre of an AIFF file."""

    kind = _IFFID3


def read_id3_genres(path: Path) -> tuple[str, ...]:
    """Return the genres of all ID3 and APEv2 tags of a file that has another format."""
    tag = Id3()
    return (*tag.text(tag.read(path)), *tag.elsewhere(path))


def _v1_text(number: int) -> tuple[str, ...]:
    return (TCON.GENRES[number],) if number < len(TCON.GENRES) else ()


def _ape_genres(path: Path) -> tuple[str, ...]:
    try:
        value = APEv2(str(path)).get("Genre")
    except (APENoHeaderError, APEBadItemError, APEUnsupportedVersionError):
        return ()
    return tuple(genre.strip() for genre in value or () if genre.strip())


_ENCODINGS = {0: "latin-1", 1: "utf-16-le", 2: "utf-16-be", 3: "utf-8"}
_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UNSYNCHRONISED = 2  # flag of a frame in which a zero follows each 255


def _frame_values(frame: bytes) -> list[str] | None:
    """Return the values of a text frame; None if it is compressed, encrypted or damaged."""
    flags, data = frame[9], frame[10:]
    if flags == _UNSYNCHRONISED:
        flags, data = 0, data.replace(b"\xff\0", b"\xff")
    if flags or (data and data[0] not in _ENCODINGS):
        return None
    if not data:
        return []
    encoding, values = _ENCODINGS[data[0]], []
    width = 2 if encoding.startswith("utf-16") else 1
    for value in _split_at_zeros(data[1:], width):
        # Some programs write a byte order mark into each value, others into the first one only.
        encoding = _MARKS.get(value[:2], encoding) if width == 2 else encoding
        values.append(value.decode(encoding, "replace").removeprefix("\ufeff"))
    return values


def _split_at_zeros(data: bytes, width: int) -> list[bytes]:
    values, start = [], 0
    for position in range(0, len(data) - width + 1, width):
        if not any(data[position : position + width]):
            values.append(data[start:position])
            start = position + width
    return [*values, data[start:]]


def _own_name(frame: bytes) -> str | None:
    """Return the description of a TXXX frame in lower case; None for another frame."""
    values = _frame_values(frame) if frame[:4] == _OWN else None
    return values[0].lower() if values else None


def _frame_text(frame: bytes) -> list[str]:
    texts = _frame_values(frame)
    if texts is None:
        return ["(unreadable)"]
    if frame[:4] == _OWN:
        texts = texts[1:]
    elif frame[:4] == _GENRE:
        texts = TCON(encoding=3, text=[text for text in texts if text.strip()]).genres
    return [text.strip() for text in texts if text.strip()]
