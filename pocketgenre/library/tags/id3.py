"""Read and write the genre in ID3 tags: of MP3, or in a chunk of WAV or AIFF.

Mutagen gets an empty table of frames, so that it passes every frame through unparsed: nothing is
converted to another version or encoding.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mutagen.aiff import _IFFID3
from mutagen.id3 import ID3, TCON, Frames, ID3NoHeaderError
from mutagen.id3 import delete as delete_id3
from mutagen.wave import _WaveID3

from pocketgenre.library.tags.genre_tag import GenreTag, TagError

_FRAME = b"TCON"
_V1_SIZE = 128
_V1_NUMBERS = {name: number for number, name in enumerate(TCON.GENRES)}
# Zeros appended to the file hide an ID3v1 tag from mutagen, which would rewrite it.
_V1_PADDING = 256


class _NoFrames(dict[str, Any]):
    """Table of known frames without parsers, so that mutagen parses none."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)


class Id3:
    """Genre of an MP3: in its ID3v2 tag, or else in its ID3v1 tag."""

    kind: type[ID3] = ID3

    def read(self, path: Path) -> GenreTag:  # noqa: D102
        tags = self._load(path)
        if tags is None:
            number = self._v1_number(path)
            if number is None:
                return GenreTag("id3v2.3")
            return GenreTag("id3v1", (bytes([number]),))
        frames = [bytes(frame) for frame in tags.unknown_frames if frame[:4] == _FRAME]
        return GenreTag(f"id3v2.{tags.version[1]}", tuple(frames))

    def with_genre(self, genre: str, tag: GenreTag) -> GenreTag:  # noqa: D102
        if tag.kind == "id3v1":
            if genre not in _V1_NUMBERS:
                raise TagError(f"it has only an ID3v1 tag, which has no genre {genre}")
            return GenreTag(tag.kind, (bytes([_V1_NUMBERS[genre]]),))
        if genre.isascii():
            data = b"\x00" + genre.encode("ascii")
        elif tag.kind == "id3v2.4":
            data = b"\x03" + genre.encode()
        else:
            data = b"\x01" + genre.encode("utf-16")
        size = len(data)
        if tag.kind == "id3v2.4":  # seven bits per byte
            size = sum((size >> 7 * place & 0x7F) << 8 * place for place in range(4))
        return GenreTag(tag.kind, (struct.pack(">4sLH", _FRAME, size, 0) + data,))

    def text(self, tag: GenreTag) -> tuple[str, ...]:  # noqa: D102
        if tag.kind == "id3v1":
            number = tag.values[0][0]
            return (TCON.GENRES[number],) if number < len(TCON.GENRES) else ()
        return tuple(genre for frame in tag.values for genre in _frame_text(frame))

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
        others = [frame for frame in tags.unknown_frames if frame[:4] != _FRAME]
        tags.unknown_frames = [*others, *tag.values]
        with self._v1_hidden(path):
            if tags.unknown_frames:
                tags.save(str(path), v2_version=version, v23_sep=None)
            else:
                self._delete(path)

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


class Id3InAiff(Id3InChunk):
    """Genre of an AIFF file."""

    kind = _IFFID3


def _frame_text(frame: bytes) -> list[str]:
    encodings = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}
    flags, data = frame[8:10], frame[10:]
    if not data:
        return []
    if flags[1] or data[0] not in encodings:  # for example compressed
        return ["(unreadable)"]
    texts = data[1:].decode(encodings[data[0]], "replace").split("\0")
    genres: list[str] = TCON(encoding=3, text=[text for text in texts if text.strip()]).genres
    return [genre for genre in genres if genre.strip()]
