"""Define the jobs of the server's workers, which use the inference code of the library."""

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import (
    DamagedAudioError,
    NotAudioError,
    SongStream,
    open_stream,
)
from pocketgenre.audio.duration import sum_packets
from pocketgenre.audio.segments import TooShortError, cut_segments
from pocketgenre.classifier import GenreClassifier
from pocketgenre.errors import AudioError
from pocketgenre.features import compute_features
from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.model_card import ModelCard
from pocketgenre.parity.audio import UnknownSegmentError, select_segments
from pocketgenre.parity.comparison import compare_features
from pocketgenre.parity.feature_files import FeaturesError, decode_features
from pocketgenre.prediction import LabelConfig, SongPrediction
from pocketgenre.server.outline import OutlineBuilder
from pocketgenre.server.schemas import ModelName, Parity, Segments, Song
from pocketgenre.text import printable

FloatArray = NDArray[np.float32]

_FEATURE_DECIMALS = 6
_NICENESS = 5  # keeps the server responsive while all cores decode


class TooLongError(AudioError):
    """A song exceeds the limit on its length."""


@dataclass(frozen=True)
class Refusal:
    """Result of a task that failed.

    Attributes
    ----------
    code : code of the problem
    detail : one sentence
    """

    code: str
    detail: str


class Task(Protocol):
    """A job of the server's workers.

    Attributes
    ----------
    model : name of the model
    timeout : time after which the worker is stopped [s]
    """

    @property
    def model(self) -> str: ...  # noqa: D102

    @property
    def timeout(self) -> float: ...  # noqa: D102

    def run(self, classifier: GenreClassifier, model_name: ModelName) -> Any:
        """Run the task in a worker and return its result."""


@dataclass(frozen=True)
class AudioUpload:
    """An uploaded song.

    Attributes
    ----------
    path : path at which the file can be opened
    name : file name given by the client
    max_seconds : longest audio [s]
    """

    path: str
    name: str
    max_seconds: float

    def segments(self, feature_config: FeatureConfig) -> Iterator[FloatArray]:
        """Decode the song and cut it into segments, as a scan does.

        Yields
        ------
        float32 [shape=(segment_samples,)]

        Raises
        ------
        AudioError
            if the file cannot be decoded, or is too short or too long.
        """
        with self.open(feature_config) as (_, segments):
            yield from segments

    @contextmanager
    def open(
        self, feature_config: FeatureConfig
    ) -> Iterator[tuple[SongStream, Iterator[FloatArray]]]:
        """Open the song.

        Yields
        ------
        stream, segments
            the stream and the segments cut from it; both raise the errors of :meth:`segments`.
        """
        rate = feature_config.sample_rate
        with open_stream(Path(self.path), rate) as stream:
            stated = stream.stated_seconds
            estimated = stream.duration_seconds
            limit = self.max_seconds + 1  # 1 s of padding
            if stated is None and (estimated is None or estimated > self.max_seconds):
                stated = sum_packets(self.path, limit)
            if (stated or 0.0) > limit:
                raise TooLongError(_too_long(self.max_seconds))
            blocks = self._limited(stream.blocks, rate)
            yield stream, cut_segments(blocks, feature_config)

    def _limited(self, blocks: Iterable[FloatArray], rate: int) -> Iterator[FloatArray]:
        decoded = 0
        for block in blocks:
            decoded += len(block)
            if decoded > self.max_seconds * rate:
                raise TooLongError(_too_long(self.max_seconds))
            yield block


@dataclass(frozen=True)
class ClassifyTask:
    """Classify a song; the result is a :class:`pocketgenre.server.schemas.Song`."""

    song: AudioUpload
    model: str
    timeout: float
    label_config: LabelConfig

    def run(self, classifier: GenreClassifier, model_name: ModelName) -> Song:  # noqa: ARG002
        """Classify all segments."""
        with self.song.open(classifier.card.feature_config) as (stream, segments):
            prediction = classifier.classify_segments(segments, self.label_config, stream)
        return _song_response(self.song.name, prediction)


@dataclass(frozen=True)
class SegmentsTask:
    """Classify each segment; the result is :class:`pocketgenre.server.schemas.Segments` as JSON."""

    song: AudioUpload
    model: str
    timeout: float
    label_config: LabelConfig
    outline: bool = False

    def run(self, classifier: GenreClassifier, model_name: ModelName) -> bytes:
        """Classify all segments, and build the outline if requested."""
        feature_config = classifier.card.feature_config
        outline = OutlineBuilder(feature_config) if self.outline else None
        with self.song.open(feature_config) as (stream, segments):
            recorded = outline.record(segments) if outline else segments
            prediction = classifier.classify_segments(recorded, self.label_config, stream)
        table = prediction.segment_probabilities.astype(float)
        response = Segments(
            model=model_name,
            song=_song_response(self.song.name, prediction),
            seconds_per_segment=prediction.seconds_per_segment,
            labels=list(prediction.labels),
            probabilities=np.round(table, 4).tolist(),
            outline=outline.build() if outline else None,
        )
        return response.model_dump_json().encode()


@dataclass(frozen=True)
class FeaturesTask:
    """Compute the features of some segments; the result is JSON or the content of a ``.npy``."""

    song: AudioUpload
    model: str
    timeout: float
    first: int = 0
    count: int = 10
    format: Literal["json", "npy"] = "json"

    def run(self, classifier: GenreClassifier, model_name: ModelName) -> bytes:
        """Decode up to the last requested segment and compute the features."""
        feature_config = classifier.card.feature_config
        segments = select_segments(self.song.segments(feature_config), self.first, self.count)
        features = np.stack([compute_features(segment, feature_config) for segment in segments])
        if self.format == "npy":
            file = io.BytesIO()
            np.save(file, features, allow_pickle=False)
            return file.getvalue()
        # Not with pydantic: it would take twice as long for half a million numbers.
        values = {
            "model": model_name.model_dump(),
            "kind": feature_config.kind,
            "front_end": feature_config.to_dict(),
            "first": self.first,
            "shape": features.shape,
            "features": np.round(features.astype(float), _FEATURE_DECIMALS).tolist(),
        }
        return json.dumps(values).encode()


@dataclass(frozen=True)
class ParityTask:
    """Compare a device's features; the result is :class:`pocketgenre.server.schemas.Parity`.

    Attributes
    ----------
    features : path of the file with the device's features
    first : number of the first segment in ``features``
    """

    song: AudioUpload
    features: str
    model: str
    timeout: float
    first: int = 0

    def run(self, classifier: GenreClassifier, model_name: ModelName) -> Parity:
        """Compare the features and search for the cause of differences."""
        feature_config = classifier.card.feature_config
        features = decode_features(Path(self.features).read_bytes(), feature_config)
        segments = self.song.segments(feature_config)
        comparison = compare_features(
            features, self.song.path, segments, feature_config, self.first
        )
        return Parity(model=model_name, **asdict(comparison))


@dataclass(frozen=True)
class TaskRunner:
    """Set up a worker that runs tasks.

    Attributes
    ----------
    models : content and card of each model, by name; each is loaded when first used
    default : name of the model that is loaded at the start
    """

    models: dict[str, tuple[bytes, ModelCard]]
    default: str

    def __call__(self) -> Callable[[Task], Any]:
        """Load the default model and return the function that runs tasks.

        Raises
        ------
        ModelError
            if the model cannot be run.
        """
        os.nice(_NICENESS)
        loaded = {self.default: GenreClassifier.from_bytes(*self.models[self.default])}

        def run(task: Task) -> Any:
            try:
                content, card = self.models[task.model]
                if task.model not in loaded:
                    loaded[task.model] = GenreClassifier.from_bytes(content, card)
                model_name = ModelName(name=task.model, sha256=card.sha256)
                return task.run(loaded[task.model], model_name)
            except Exception as error:  # an error in one file must not end the worker
                return _refusal(error)

        return run


_CODES: dict[type[Exception], str] = {
    NotAudioError: "not-audio",
    DamagedAudioError: "damaged",
    TooShortError: "too-short",
    TooLongError: "too-long",
    UnknownSegmentError: "unknown-segment",
    FeaturesError: "invalid-features",
    AudioError: "not-classified",
    MemoryError: "too-much-memory",
}


def _refusal(error: Exception) -> Refusal:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "internal")
    if code == "internal":
        return Refusal(code, type(error).__name__)  # the text may contain uploaded data
    text = printable(str(error)) or "the file needs more memory than a worker has"
    return Refusal(code, f"{text[0].upper()}{text[1:]}.")


def _song_response(name: str, prediction: SongPrediction) -> Song:
    return Song(name=name, **prediction.to_dict())


def _too_long(max_seconds: float) -> str:
    return f"the song is longer than the limit of {max_seconds:g} s"
