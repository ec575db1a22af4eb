"""Detect a file's tag format by its content."""

from pathlib import Path

import mutagen
from mutagen.aiff import AIFF
from mutagen.flac import FLAC
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from pocketgenre.library.tags.genre_tag import GenreFormat, GenreTag, TagError
from pocketgenre.library.tags.id3 import Id3, Id3InAiff, Id3InWav
from pocketgenre.library.tags.mp4 import Mp4
from pocketgenre.library.tags.vorbis import VorbisComment

_FORMATS: dict[type[mutagen.FileType], GenreFormat] = {
    MP3: Id3(),
    WAVE: Id3InWav(),
    AIFF: Id3InAiff(),
    MP4: Mp4(),
    FLAC: VorbisComment(FLAC),
    OggFLAC: VorbisComment(OggFLAC),
    OggOpus: VorbisComment(OggOpus),
    OggVorbis: VorbisComment(OggVorbis),
}


def read_genre(path: Path) -> tuple[GenreFormat, GenreTag]:
    """Read the genre tag of a file.

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
        # As a file object: with a name, mutagen would prefer its suffix to the content.
        with open(path, "rb") as file:
            audio = mutagen.File(file, options=list(_FORMATS))
        if audio is None:
            raise TagError("no genre can be written into files of its format")
        genre_format = _FORMATS[type(audio)]
        return genre_format, genre_format.read(path)
    except (TagError, MemoryError, OSError):
        raise
    except Exception as error:  # libraries may raise anything for a damaged file
        raise TagError(f"its tags can't be read: {error or type(error).__name__}") from error
