"""Check output paths before a scan: only earlier results may be replaced."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pocketgenre.atomic_write import can_write_into, is_write_protected
from pocketgenre.cli.song_output import Format, parquet_writer
from pocketgenre.constants import SONG_SUFFIXES
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import is_address, local_path
from pocketgenre.library.schema import catalog_files
from pocketgenre.library.tags.undo_log import UNDO_SIGNATURE
from pocketgenre.models.model_card import card_path
from pocketgenre.plugins import STORES, load_plugin

ProtectedFiles = dict[Path, str]
"""Files that a command uses: description of each file by its path without links."""

_PROTECTED_SIGNATURES = {
    b"SQLite format 3\0": "a database, as catalogues are",
    UNDO_SIGNATURE: "an undo file",
}
"""Signatures of files that must never be overwritten."""


_Formats = TypeVar("_Formats", bound=StrEnum)


def output_path(out: Path | None) -> Path | None:
    """Return the path of ``--out``; None for standard output, which is also named ``-``."""
    return None if out == Path("-") else out


def format_of(out: Path | None, formats: type[_Formats], default: _Formats) -> _Formats:
    """Return the format that a path ends with, or the default one."""
    ending = out.suffix.lower().removeprefix(".") if out else ""
    return next((one for one in formats if one.value == ending), default)


def protected_files(
    catalog: Path | None = None, model: Path | None = None, undo_file: Path | None = None
) -> ProtectedFiles:
    """Return the files that a command uses, which its results must not replace."""
    protected: ProtectedFiles = {}
    if catalog:
        protected = dict.fromkeys(catalog_files(_real(catalog)), "part of the catalogue")
    if model:
        protected |= {_real(model): "the model", _real(card_path(model)): "the model's card"}
    if undo_file:
        protected[_real(undo_file)] = "the undo file"
    return protected


def output_file(format: Format, out: Path) -> Path | None:
    """Return the local file of ``--out``; None if it is an address."""
    if format is not Format.parquet:
        return out
    return None if is_address(local_path(out)) else local_path(out)


def check_format(format: Format, out: Path | None, protected: ProtectedFiles) -> None:
    """Check that results can be written in a format to a path.

    Raises
    ------
    PocketGenreError
        as :func:`check_output`; or if Parquet has no file, or the extra for it is missing.
    """
    if format is Format.parquet:
        if out is None:
            raise PocketGenreError(
                "--format parquet needs --out FILE, since it is a binary format."
            )
        parquet_writer()
    if out is None:
        return
    if file := output_file(format, out):
        check_output(file, protected)
    else:
        load_plugin(STORES, "fsspec", "--out ADDRESS")(out.parent)


def check_output(out: Path, protected: ProtectedFiles) -> None:
    """Check that results can be written to a path.

    Parameters
    ----------
    out : path of the results; of a link, the file that it points to is checked
    protected : files that the command uses

    Raises
    ------
    PocketGenreError
        if it is a song, a catalogue, an undo file, a protected file, write-protected, not a file,
        or in a folder that can't be written to.
    """
    target = _real(out)
    name = f"{out} points to {target}, which" if out.is_symlink() else f"{out}"
    if target.is_symlink():
        raise PocketGenreError(f"{out} is a link that points to itself; name another file.")
    if {out.suffix.lower(), target.suffix.lower()} & SONG_SUFFIXES:
        raise PocketGenreError(
            f"{name} has the suffix of a song; name another file for the results."
        )
    if not target.parent.is_dir() or not can_write_into(target.parent):
        raise PocketGenreError(f"{target.parent} is not a folder that can be written to.")
    if target in protected:
        raise PocketGenreError(f"{name} is {protected[target]}; name another file for the results.")
    if not target.exists():
        return
    if not target.is_file():
        raise PocketGenreError(f"{name} is not a file; name another one for the results.")
    if is_write_protected(target):
        raise PocketGenreError(f"{name} is write-protected; name another file for the results.")
    for signature, kind in _PROTECTED_SIGNATURES.items():
        if _starts_with(target, signature):
            raise PocketGenreError(f"{name} is {kind}; name another file for the results.")


def _starts_with(file: Path, signature: bytes) -> bool:
    try:
        with open(file, "rb") as content:
            return content.read(len(signature)) == signature
    except PermissionError:  # writable but not readable
        return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # resolve() fails on a link that points to itself
