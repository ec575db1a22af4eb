"""Represent songs of the catalogue with their predictions."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocketgenre.constants import UNCERTAIN
from pocketgenre.library.tags.metadata import NO_METADATA, Metadata
from pocketgenre.prediction import SongPrediction

State = Literal["labelled", "failed", "vanished"]
"""``labelled``: classified. ``failed``: could not be classified. ``vanished``: the file is gone."""


@dataclass(frozen=True, eq=False)
class LibrarySong:
    """A song of the catalogue.

    Attributes
    ----------
    path : absolute path; bytes that are not UTF-8 are surrogate escapes, as everywhere in Python
    name : path to show: relative to the scanned folder, absolute outside of it
    state : see :data:`State`
    size : size of the file when it was classified [bytes]
    modified_ns : modification time of the file then [ns since 1970]
    model : SHA-256 of the model that classified it, in hexadecimal
    prediction : predicted genre; None if the song could not be classified. A vanished song keeps
        its last prediction
    failure : reason why there is no prediction, a sentence without a full stop; None otherwise
    metadata : fields of the file's tags
    file_hash : see :func:`pocketgenre.library.file_hash.hash_file`; None if unknown
    correction : genre that the user gave to the song; None for the predicted one
    own_genre : name that the user gave to the genre, empty for a genre without tags and playlists;
        None for the label's usual name
    is_retagged : True if the last change of the file was that of its genre, by this program
    """

    path: Path
    name: Path
    state: State
    size: int
    modified_ns: int
    model: str
    prediction: SongPrediction | None
    failure: str | None
    own_genre: str | None = None
    is_retagged: bool = False
    metadata: Metadata = NO_METADATA
    file_hash: bytes | None = None
    correction: str | None = None

    @property
    def error(self) -> str | None:
        """Reason why there is no prediction or the file can't be played; None otherwise."""
        return "the file is gone" if self.state == "vanished" else self.failure

    @property
    def genre(self) -> str | None:
        """Name of the predicted genre; None if there is no prediction."""
        return self.own_genre or (self.prediction.genre if self.prediction else None)

    @property
    def has_genre(self) -> bool:
        """True if the song is music and its genre is certain."""
        return self.prediction is not None and self.prediction.has_genre

    @property
    def is_uncertain(self) -> bool:
        """True if the prediction is below the thresholds."""
        return self.prediction is not None and self.prediction.genre == UNCERTAIN


def genres_of(songs: Iterable[LibrarySong]) -> tuple[str, ...]:
    """Return every genre of the songs' models, in the order of the models, and of corrections."""
    predictions = [song.prediction for song in songs if song.prediction]
    known = dict.fromkeys(prediction.labels for prediction in predictions)
    labels = [label for labels in known for label in labels]
    given = {prediction.genre for prediction in predictions} - {UNCERTAIN}
    return tuple(dict.fromkeys([*labels, *sorted(given)]))
