"""What a worker does with a file; all of it is ``mobile_demo``'s doing."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pocketgenre.library.evidence import from_bytes, to_bytes
from pocketgenre.library.label import NO_THRESHOLDS, Thresholds
from pocketgenre.library.labelled import label_songs
from pocketgenre.library.song import CatalogSong

from pocketgenre.audio.decoding import DamagedAudioError, NotAudioError, stream_mono
from pocketgenre.audio.segments import TooShortError, cut_segments
from pocketgenre.classifier import Classifier
from pocketgenre.errors import AudioError
from pocketgenre.features import compute_features
from pocketgenre.features.config import FeatureConfig
from pocketgenre.library.serialize import song_fields
from pocketgenre.models.model_card import ModelCard
from pocketgenre.server.feature_encoding import FeaturesError, encode
from pocketgenre.server.outline import OutlineBuilder
from pocketgenre.server.schemas import ModelName, Segments, Song
from pocketgenre.text import printable

FloatArray = NDArray[np.float32]

_NICENESS = 5  # so that health is answered while all cores decode


class TooLongError(AudioError):
    """More audio than a request may bring."""


class NoSegmentError(AudioError):
    """The song ends before the segment that was asked for."""


@dataclass(frozen=True)
class Refusal:
    """In place of an answer: why there is none; ``code`` is one of the problems'."""

    code: str
    detail: str


class Task(Protocol):
    """A job of the server's workers.

    Attributes
    ----------
    model : name of the one that is to be used
    seconds : after so long the worker is stopped
    """

    @property
    def model(self) -> str: ...  # noqa: D102

    @property
    def seconds(self) -> float: ...  # noqa: D102

    def answer(self, classifier: Classifier, name: ModelName) -> Any:
        """Do it."""


@dataclass(frozen=True)
class Recording:
    """An uploaded file.

    Attributes
    ----------
    path : where it can be opened
    name : what the client calls it
    most_seconds : of audio
    """

    path: str
    name: str
    most_seconds: float

    def segments(self, feature_config: FeatureConfig) -> Iterator[FloatArray]:
        """Its 3 s segments, cut as the scanner cuts them.

        Raises
        ------
        AudioError
            it can't be decoded, is too short or too long.
        """
        blocks = stream_mono(Path(self.path), feature_config.sample_rate)
        most = round(self.most_seconds * feature_config.sample_rate)
        return cut_segments(_at_most(blocks, most, self.most_seconds), feature_config)


@dataclass(frozen=True)
class Listening:
    """How a song is labelled."""

    rule: Literal["majority", "probability"] = "majority"
    thresholds: Thresholds = NO_THRESHOLDS


@dataclass(frozen=True)
class Classify:
    """A song's genre; the answer is a :class:`pocketgenre.server.schemas.Song`."""

    recording: Recording
    model: str
    seconds: float
    listening: Listening = Listening()

    def answer(self, classifier: Classifier, name: ModelName) -> Song:  # noqa: ARG002
        """Listen to all of it."""
        table = classifier.listen(self.recording.segments(classifier.card.feature_config))
        return song_answer(self.recording.name, _kept(table), classifier.card, self.listening)


@dataclass(frozen=True)
class Dissect:
    """A song's segments; the answer is :class:`pocketgenre.server.schemas.Segments` as JSON."""

    recording: Recording
    model: str
    seconds: float
    listening: Listening = Listening()
    outline: bool = False

    def answer(self, classifier: Classifier, name: ModelName) -> bytes:
        """Listen to all of it, and draw its outline on the way."""
        card = classifier.card
        pencil = OutlineBuilder(card.feature_config) if self.outline else None
        segments = self.recording.segments(card.feature_config)
        table = _kept(classifier.listen(pencil.watch(segments) if pencil else segments))
        answer = Segments(
            model=name,
            song=song_answer(self.recording.name, table, card, self.listening),
            seconds_per_segment=card.feature_config.segment_seconds,
            labels=list(card.labels),
            probabilities=np.round(table.astype(float), 4).tolist(),
            outline=pencil.outline() if pencil else None,
        )
        return answer.model_dump_json().encode()


@dataclass(frozen=True)
class Compute:
    """What the network takes for some segments; the answer is JSON or ``.npy``."""

    recording: Recording
    model: str
    seconds: float
    first: int = 0
    count: int = 10
    form: Literal["json", "npy"] = "json"

    def answer(self, classifier: Classifier, name: ModelName) -> bytes:
        """Decode up to the last of them, and compute their features."""
        feature_config = classifier.card.feature_config
        chosen = some_segments(self.recording, feature_config, self.first, self.count)
        table = np.stack([compute_features(segment, feature_config) for segment in chosen])
        return encode(table, feature_config, name, self.first, self.form)


def some_segments(
    recording: Recording, feature_config: FeatureConfig, first: int, count: int
) -> list[FloatArray]:
    """Segments by their number, fewer where the song ends.

    Raises
    ------
    NoSegmentError
        it ends before the first of them.
    """
    chosen = list(islice(recording.segments(feature_config), first, first + count))
    if not chosen:
        raise NoSegmentError(f"the song has no segment {first}; they are counted from 0")
    return chosen


def song_answer(
    name: str, table: NDArray[np.float32], card: ModelCard, listening: Listening
) -> Song:
    """A song with its label as the scanner's JSON has it.

    Parameters
    ----------
    table : float32 [shape=(segments, genres)]
    """
    seconds = card.feature_config.segment_seconds
    labels, model = card.labels, card.sha256
    song = CatalogSong(Path(), "labelled", None, 0, 0, model, seconds, labels, table)
    labelled = next(label_songs([song], None, listening.rule, listening.thresholds))
    fields = song_fields(labelled)
    del fields["path"], fields["error"]
    return Song(name=name, **fields)


@dataclass(frozen=True)
class TaskRunner:
    """Sets up a worker of the server.

    Attributes
    ----------
    models : content and card of each, by name; one is loaded when it is first asked for
    default : the one that is loaded at once
    """

    models: dict[str, tuple[bytes, ModelCard]]
    default: str

    def __call__(self) -> Callable[[Task], Any]:
        """Load the default model.

        Raises
        ------
        ModelError
            it can't be run.
        """
        os.nice(_NICENESS)
        loaded = {self.default: Classifier(*self.models[self.default])}

        def answer(task: Task) -> Any:
            try:
                content, card = self.models[task.model]
                if task.model not in loaded:
                    loaded[task.model] = Classifier(content, card)
                name = ModelName(name=task.model, sha256=card.sha256)
                return task.answer(loaded[task.model], name)
            except Exception as error:  # one file's fault must not end the worker
                return _refusal(error)

        return answer


_CODES: dict[type[Exception], str] = {
    NotAudioError: "not-audio",
    DamagedAudioError: "damaged",
    TooShortError: "too-short",
    TooLongError: "too-long",
    NoSegmentError: "unknown-segment",
    FeaturesError: "invalid-features",
    AudioError: "not-judged",
    MemoryError: "too-much-memory",
}


def _refusal(error: Exception) -> Refusal:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "internal")
    if code == "internal":
        return Refusal(code, type(error).__name__)  # its text may hold what was uploaded
    text = printable(str(error)) or "it needs more memory than a worker has"
    return Refusal(code, f"{text[0].upper()}{text[1:]}.")


def _kept(table: FloatArray) -> FloatArray:
    """As the catalogue would give them back: the label then is the scanner's in every case."""
    return from_bytes(to_bytes(table), table.shape[1])


def _at_most(blocks: Iterable[FloatArray], most: int, seconds: float) -> Iterator[FloatArray]:
    heard = 0
    for block in blocks:
        heard += len(block)
        if heard > most:
            raise TooLongError(f"it lasts more than the {seconds:g} s that are allowed")
        yield block
