"""Read and write the genre in Vorbis comments: Ogg Vorbis, Opus, FLAC, FLAC in Ogg."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutagen.flac import FLAC
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from pocketgenre.library.tags.genre_tag import GENRE_FIELD, GenreTag, TagError
from pocketgenre.library.tags.id3 import read_id3_genres


class VorbisComment:
    """Genres in comments of one name, one value each.

    Parameters
    ----------
    container : mutagen's class of the container
    field : name of the comments; upper and lower case are the same in this format
    """

    def __init__(
        self,
        container: type[FLAC] | type[OggFLAC] | type[OggOpus] | type[OggVorbis],
        field: str = GENRE_FIELD,
    ) -> None:
        self._container = container
        self._field = field

    def read(self, path: Path) -> GenreTag:  # noqa: D102
        comments = self._load(path).tags or []
        return GenreTag(
            "vorbis", tuple(f"{k}={v}".encode() for k, v in comments if self._is_field(k))
        )

    def with_genres(self, genres: Sequence[str], tag: GenreTag) -> GenreTag:  # noqa: D102
        return GenreTag(tag.kind, tuple(f"{self._field.upper()}={g}".encode() for g in genres))

    def text(self, tag: GenreTag) -> tuple[str, ...]:  # noqa: D102
        values = [value.decode().partition("=")[2].strip() for value in tag.values]
        return tuple(value for value in values if value)

    def elsewhere(self, path: Path) -> tuple[str, ...]:  # noqa: D102
        if self._container is not FLAC or self._field != GENRE_FIELD:
            return ()
        return read_id3_genres(path)  # some programs put ID3 tags in front of FLAC

    def write(self, path: Path, tag: GenreTag) -> None:  # noqa: D102
        audio = self._load(path)
        if audio.tags is None:
            audio.add_tags()
        others = [comment for comment in audio.tags if not self._is_field(comment[0])]
        genres = [tuple(value.decode().split("=", 1)) for value in tag.values]
        audio.tags[:] = others + genres
        audio.save(str(path))

    def _is_field(self, key: str) -> bool:
        return key.lower() == self._field.lower()

    def _load(self, path: Path) -> Any:
        audio = self._container(str(path))
        if audio.tags is not None:
            _check_lossless(audio.tags)
        return audio


def _check_lossless(tags: Any) -> None:
    """Check that mutagen can write the comments unchanged: it replaces invalid UTF-8."""
    framing = tags._size != len(tags.write(framing=False))  # one bit, stored in a byte
    whole = tags._size == len(tags.write(framing=framing))
    texts = [tags.vendor, *(text for comment in tags for text in comment)]
    if not whole or any("\ufffd" in text for text in texts) or any("?" in key for key, _ in tags):
        raise TagError("its tags hold text that is not UTF-8, which writing would change")
