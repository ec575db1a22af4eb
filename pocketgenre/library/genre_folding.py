"""Fold the genres that people write into tags to labels: spelling, several values, numbers."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mutagen.id3 import TCON

from pocketgenre.constants import UNCERTAIN
from pocketgenre.errors import PocketGenreError
from pocketgenre.text import printable
from pocketgenre.toml_file import read_toml

_TABLE = Path(__file__).with_name("genre_folds.toml")
_MAX_LENGTH = 100  # characters, as in model cards
_NUMBER = re.compile(r"\(?(\d{1,3})\)?")


def letters(genre: str) -> str:
    """Return letters and digits in lower case, by which spellings of a genre are compared."""
    text = unicodedata.normalize("NFKC", genre).casefold()
    # Without letters of any script, such as "&", the text itself.
    return "".join(character for character in text if character.isalnum()) or text.strip()


def clean_genre(genre: str) -> str | None:
    """Return a genre as a label: on one line, with single spaces; None if it can't be one."""
    text = " ".join(unicodedata.normalize("NFKC", genre).split())
    is_label = 0 < len(text) <= _MAX_LENGTH and text.isprintable() and text != UNCERTAIN
    return text if is_label else None


class GenreFolding:
    """Table from the genres of tags to labels.

    Parameters
    ----------
    labels : labels of the model, which all spellings of them become
    file : TOML file of the user with lines such as ``"Hip-Hop/Rap" = "hiphop"``, or ``false`` for
        no genre; it takes precedence over the table of the package

    Raises
    ------
    PocketGenreError
        if the file can't be read, or a value is neither a genre nor false.
    """

    def __init__(self, labels: Iterable[str], file: Path | None = None) -> None:
        self._labels = {letters(label): label for label in labels}
        self._table = _read_table(_TABLE) | (_read_table(file) if file else {})

    def fold(self, values: Sequence[str]) -> str | None:
        """Return the label of a tag's values: of the first one that has one; None if none has."""
        for value in values:
            for part in (value, *re.split(r"[;,\0]", value), *re.split(r"[;,/\0]", value)):
                is_known, label = self._find(part)
                if label:
                    return label
                if is_known:
                    break
        first = next((part for value in values for part in re.split(r"[;,/\0]", value)), "")
        is_known, _ = self._find(first)
        return None if is_known else clean_genre(_name(first))

    def _find(self, genre: str) -> tuple[bool, str | None]:
        """Return True if the table or the model has a genre, and its label; None for no genre."""
        key = letters(_name(genre))
        if key in self._table:
            name = self._table[key]
            return True, None if name is None else self._labels.get(letters(name), name)
        return key in self._labels or not key, self._labels.get(key)


def unify_spellings(genres: Sequence[str | None]) -> list[str | None]:
    """Give all spellings of a genre the most frequent one."""
    counts = Counter(genre for genre in genres if genre)
    chosen: dict[str, str] = {}
    for genre, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        chosen.setdefault(letters(genre), genre)
    return [chosen[letters(genre)] if genre else None for genre in genres]


def _name(genre: str) -> str:
    """Return the name of a genre that is given by its ID3v1 number, such as ``(17)``."""
    number = _NUMBER.fullmatch(genre.strip())
    index = int(number[1]) if number else len(TCON.GENRES)
    return TCON.GENRES[index] if index < len(TCON.GENRES) else genre


def _read_table(file: Path) -> dict[str, str | None]:
    table: dict[str, str | None] = {}
    for key, value in read_toml(file, "genre map").items():
        name = clean_genre(value) if isinstance(value, str) else None
        if value is not False and name is None:
            raise PocketGenreError(
                f'{file}: {printable(key)} needs a genre in quotes, such as "{printable(key)}" ='
                ' "pop", or false for no genre.'
            )
        table[letters(key)] = name
    return table
