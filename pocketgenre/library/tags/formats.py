"""Detect a file's tag format by its content."""

from pathlib import Path
from typing import BinaryIO

import mutagen
from mutagen.aiff import AIFF
from mutagen.flac import FLAC
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from pocketgenre.library.tags.genre_tag import GENRE_FIELD, GenreFormat, GenreTag, TagError
from pocketgenre.library.tags.id3 import Id3, Id3InAiff, Id3InWav
from pocketgenre.library.tags.mp4 import Mp4
from pocketgenre.library.tags.vorbis import VorbisComment

_ID3 = {MP3: Id3, WAVE: Id3InWav, AIFF: Id3InAiff}
_VORBIS = (FLAC, OggFLAC, OggOpus, OggVorbis)
_TYPES: list[type[mutagen.FileType]] = [*_ID3, MP4, *_VORBIS]
_ID3_HEADER = 10


def _detect(path: Path, field: str) -> GenreFormat:
    # As a file object: with a name, mutagen would prefer its suffix to the content.
    with open(path, "rb") as file:
        id3_size = _id3_size(file)
        file.seek(id3_size)
        if id3_size and file.read(4) == b"fLaC":
            # Players read the genre where the title is.
            has_comments = bool(FLAC(str(path)).tags)
            return VorbisComment(FLAC, field) if has_comments else Id3(field)
        file.seek(0)
        audio = mutagen.File(file, options=_TYPES)
    kind = type(audio)
    if kind in _ID3:
        return _ID3[kind](field)
    if kind in _VORBIS:
        return VorbisComment(kind, field)
    if kind is MP4:
        return Mp4(field)
    raise TagError("no genre can be written into files of its format")


def _id3_size(file: BinaryIO) -> int:
    """Return the size of an ID3v2 tag at the beginning of a file [bytes]; 0 without one."""
    header = file.read(_ID3_HEADER)
    if len(header) < _ID3_HEADER or not header.startswith(b"ID3"):
        return 0
    return _ID3_HEADER + sum(byte << 7 * place for place, byte in enumerate(reversed(header[6:])))


def text_of(tag: GenreTag, field: str = GENRE_FIELD) -> tuple[str, ...]:
    """Return the genres of a tag of any kind as text.

    Raises
    ------
    TagError
        if the bytes of the tag are damaged, as an undo file's may be.
    """
    reader: GenreFormat = Id3(field)
    if tag.kind == "mp4":
        reader = Mp4(field)
    elif tag.kind == "vorbis":
        reader = VorbisComment(FLAC, field)
    try:
        return reader.text(tag)
    except (IndexError, ValueError) as error:
        raise TagError("its previous genre is damaged in the undo file") from error


def read_genre(path: Path, field: str = GENRE_FIELD) -> tuple[GenreFormat, GenreTag]:
    """Read the genre tag of a file, or another field of its tags.

    Returns
    -------
    format, tag
        the format, which can write the tag, and the tag

    Raises
    ------
    TagError
        if no genre can be written into files of this format, or the tags are damaged.
    OSError
        if the file can't be read.
    """
    try:
        genre_format = _detect(path, field)
        return genre_format, genre_format.read(path)
    except (TagError, MemoryError, OSError):
        raise
    except Exception as error:  # libraries may raise anything for a damaged file
        raise TagError(f"its tags can't be read: {error or type(error).__name__}") from error
