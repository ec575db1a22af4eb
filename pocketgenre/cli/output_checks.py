"""Where results may be written: over older results, and over nothing else of the user's."""

import os
from pathlib import Path

from pocketgenre.atomic_write import is_write_protected
from pocketgenre.audio.decoding import SONG_SUFFIXES
from pocketgenre.cli.song_output import Format, parquet_writer
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import is_address, local_path
from pocketgenre.library.schema import files_of
from pocketgenre.library.tags.undo_log import UNDO_BEGINNING
from pocketgenre.models.model_card import card_path
from pocketgenre.plugins import STORES, load_plugin

ProtectedFiles = dict[Path, str]
"""What a command works with: the places, free of links, and what a person calls them."""

_KEPT = {b"SQLite format 3\0": "a database, as catalogues are", UNDO_BEGINNING: "an undo file"}
"""How files begin whose loss nothing brings back."""


def protected_files(
    catalog: Path | None = None, model: Path | None = None, undo_file: Path | None = None
) -> ProtectedFiles:
    """The files of a command, none of which its results may replace."""
    own: ProtectedFiles = {}
    if catalog:
        own = dict.fromkeys(files_of(_real(catalog)), "part of the catalogue")
    if model:
        own |= {_real(model): "the model", _real(card_path(model)): "the model's card"}
    if undo_file:
        own[_real(undo_file)] = "the undo file"
    return own


def file_of(format: Format, out: Path) -> Path | None:
    """The file of this machine that ``--out`` names; None where it names an address."""
    if format is not Format.parquet:
        return out
    return None if is_address(local_path(out)) else local_path(out)


def check_format(format: Format, out: Path | None, own: ProtectedFiles) -> None:
    """Refuse, before hours of work, a form that can't be written, or not there.

    Raises
    ------
    PocketGenreError
        as :func:`check_output`; or Parquet was asked for without a file, what writes it or what
        opens its address.
    """
    if format is Format.parquet:
        if out is None:
            raise PocketGenreError("--format parquet needs --out FILE; it is not for a terminal.")
        parquet_writer()
    if out is None:
        return
    if file := file_of(format, out):
        check_output(file, own)
    else:
        load_plugin(STORES, "fsspec", "--out ADDRESS")(out.parent)


def check_output(out: Path, own: ProtectedFiles) -> None:
    """Refuse a place for results before hours of work.

    Parameters
    ----------
    out : where they are to be; what a link leads to is looked at, since that is what is written
    own : of this command

    Raises
    ------
    PocketGenreError
        it is a song, a catalogue, an undo file, one of the command's own, write-protected, no
        file, or in a folder that can't be written to.
    """
    place = _real(out)
    name = f"{out} leads to {place}, which" if out.is_symlink() else f"{out}"
    if place.is_symlink():
        raise PocketGenreError(f"{out} is a link that leads to itself; name another file.")
    if {out.suffix.lower(), place.suffix.lower()} & SONG_SUFFIXES:
        raise PocketGenreError(f"{name} has a song's ending; name another file for the results.")
    if not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
        raise PocketGenreError(f"{place.parent} is not a folder that can be written to.")
    if place in own:
        raise PocketGenreError(f"{name} is {own[place]}; name another file for the results.")
    if not place.exists():
        return
    if not place.is_file():
        raise PocketGenreError(f"{name} is not a file; name another one for the results.")
    if is_write_protected(place):
        raise PocketGenreError(f"{name} is write-protected; name another file for the results.")
    for beginning, kind in _KEPT.items():
        if _begins(place, beginning):
            raise PocketGenreError(f"{name} is {kind}; name another file for the results.")


def _begins(file: Path, beginning: bytes) -> bool:
    try:
        with open(file, "rb") as content:
            return content.read(len(beginning)) == beginning
    except PermissionError:  # may be written to and not read, so nothing is known of it
        return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # resolve() fails on a link that leads to itself
