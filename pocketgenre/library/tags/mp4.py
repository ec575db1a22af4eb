"""Read and write the genre in MP4: the atom ``©gen``, or Apple's older number in ``gnre``.

All atoms keep their bytes, as mutagen does with those that it can't parse.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from mutagen.id3 import TCON
from mutagen.mp4 import Atom, Atoms, MP4Tags

from pocketgenre.library.tags.genre_tag import (
    GENRE_FIELD,
    GROUPING_FIELD,
    GenreTag,
    TagError,
)

_NAME, _NUMBER, _GROUPING, _FREE = b"\xa9gen", b"gnre", b"\xa9grp", b"----"
_OWNER = b"com.apple.iTunes"  # of free atoms, whoever writes them
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
    """Genre of an M4A or MP4 file.

    Parameters
    ----------
    field : ``genre``, ``grouping``, or the name of a free atom
    """

    def __init__(self, field: str = GENRE_FIELD) -> None:
        self._field = field
        self._atom = {GENRE_FIELD: _NAME, GROUPING_FIELD: _GROUPING}.get(field, _FREE)

    def read(self, path: Path) -> GenreTag:  # noqa: D102
        return GenreTag("mp4", tuple(atom for atom in _atoms(path) if self._is_field(atom)))

    def with_genres(self, genres: Sequence[str], tag: GenreTag) -> GenreTag:  # noqa: D102
        head = self._atom
        if head == _FREE:
            for name, text in ((b"mean", _OWNER), (b"name", self._field.upper().encode())):
                head += Atom.render(name, bytes(4) + text)
        data = b"".join(
            Atom.render(b"data", struct.pack(">2I", _UTF8, 0) + genre.encode()) for genre in genres
        )
        return GenreTag(tag.kind, (head + data,) if genres else ())

    def text(self, tag: GenreTag) -> tuple[str, ...]:  # noqa: D102
        return tuple(genre for value in tag.values for genre in _atom_text(value))

    def elsewhere(self, path: Path) -> tuple[str, ...]:  # noqa: D102
        if self._field != GENRE_FIELD:
            return ()
        free = [atom for atom in _atoms(path) if _free_name(atom) == GENRE_FIELD]
        return tuple(genre for atom in free for genre in _atom_text(atom))

    def write(self, path: Path, tag: GenreTag) -> None:  # noqa: D102
        tags = _load(path)
        for key, contents in list(tags._failed_atoms.items()):
            name = key.encode("latin-1")
            others = [data for data in contents if not self._is_field(name + data)]
            if others:
                tags._failed_atoms[key] = others
            else:
                del tags._failed_atoms[key]
        for value in tag.values:
            key = value[:4].decode("latin-1")
            tags._failed_atoms.setdefault(key, []).append(value[4:])
        tags.save(str(path))

    def _is_field(self, atom: bytes) -> bool:
        if self._atom == _FREE:
            return _free_name(atom) == self._field.lower()
        return atom[:4] == self._atom or (self._atom == _NAME and atom[:4] == _NUMBER)


def _atoms(path: Path) -> list[bytes]:
    """Return the name and content of each atom, those of the genre by name first."""
    atoms = _load(path)._failed_atoms
    found = [key.encode("latin-1") + data for key in atoms for data in atoms[key]]
    return sorted(found, key=lambda atom: atom[:4] == _NUMBER)


def _free_name(atom: bytes) -> str | None:
    """Return the name of a free atom in lower case; None for other atoms."""
    if atom[:4] != _FREE:
        return None
    return next((d[4:].decode("utf-8", "replace").lower() for n, d in _parts(atom) if n == b"name"),
                None)  # fmt: skip


def _parts(atom: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and content of the atoms inside an atom."""
    rest = atom[4:]
    while len(rest) >= 8:
        size = max(8, int.from_bytes(rest[:4], "big"))
        yield rest[4:8], rest[8:size]
        rest = rest[size:]


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
    genres = []
    for name, content in _parts(atom):
        value = content[8:]
        if name != b"data":
            continue
        if atom[:4] == _NUMBER:
            number = int.from_bytes(value, "big") - 1  # 0 means none
            known = 0 <= number < len(TCON.GENRES)
            genres += [TCON.GENRES[number]] if known else []
        else:
            genres += [value.decode("utf-8", "replace").strip()]
    return [genre for genre in genres if genre]
