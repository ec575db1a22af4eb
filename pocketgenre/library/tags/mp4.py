"""Read and write the genre in MP4: the atom ``©gen``, or Apple's older number in ``gnre``.

All atoms keep their bytes, as mutagen does with those that it can't parse.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from mutagen.id3 import TCON
from mutagen.mp4 import Atom, Atoms, MP4Tags

from pocketgenre.library.tags.genre_tag import GenreTag, TagError

_NAME, _NUMBER = b"\xa9gen", b"gnre"
_KEYS = [name.decode("latin-1") for name in (_NAME, _NUMBER)]
_UTF8 = 1


class _RawTags(MP4Tags):  # type: ignore[misc]
    """Tags as the unparsed bytes of their atoms, by name."""

    def load(self, atoms: Atoms, file: BinaryIO) -> None:
        for atom in atoms.path(b"moov", b"udta", b"meta", b"ilst")[-1].children:
            whole, data = atom.read(file)
            if not whole:
                raise TagError("its tags are cut off")
            self._failed_atoms.setdefault(atom.name.decode("latin-1"), []).append(data)


class Mp4:
    """Genre of an M4A or MP4 file."""

    def read(self, path: Path) -> GenreTag:  # noqa: D102
        atoms = _load(path)._failed_atoms
        return GenreTag(
            "mp4",
            tuple(key.encode("latin-1") + data for key in _KEYS for data in atoms.get(key, [])),
        )

    def with_genre(self, genre: str, tag: GenreTag) -> GenreTag:  # noqa: D102
        data = Atom.render(b"data", struct.pack(">2I", _UTF8, 0) + genre.encode())
        return GenreTag(tag.kind, (_NAME + data,))

    def text(self, tag: GenreTag) -> tuple[str, ...]:  # noqa: D102
        return tuple(genre for value in tag.values for genre in _atom_text(value))

    def write(self, path: Path, tag: GenreTag) -> None:  # noqa: D102
        tags = _load(path)
        for key in _KEYS:
            tags._failed_atoms.pop(key, None)
        for value in tag.values:
            key = value[:4].decode("latin-1")
            tags._failed_atoms.setdefault(key, []).append(value[4:])
        tags.save(str(path))


def _load(path: Path) -> _RawTags:
    with open(path, "rb") as file:
        atoms = Atoms(file)
        if b"moov" not in atoms:
            raise TagError("it has no movie header")
        if b"moov.udta.meta.ilst" not in atoms:
            return _RawTags()
        return _RawTags(atoms, file)


def _atom_text(atom: bytes) -> list[str]:
    """Return the texts of an atom's ``data`` atoms, or the genre of its number."""
    name, rest = atom[:4], atom[4:]
    genres = []
    while len(rest) >= 16:
        size = max(16, int.from_bytes(rest[:4], "big"))
        value, rest = rest[16:size], rest[size:]
        if name == _NUMBER:
            number = int.from_bytes(value, "big") - 1  # 0 means none
            known = 0 <= number < len(TCON.GENRES)
            genres += [TCON.GENRES[number]] if known else []
        else:
            genres += [value.decode("utf-8", "replace").strip()]
    return [genre for genre in genres if genre]
