"""Define the response schemas, from which the OpenAPI document is generated."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pocketgenre.parity.comparison import CoefficientDifference, FrameDifference

_EXAMPLE = json.loads(Path(__file__).with_name("example.json").read_text("utf-8"))
"""Recorded prediction for a synthetic song of ``make scan``."""


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelName(_Schema):
    """Model that produced a response."""

    name: str = Field(description="Name, as in `?model=`", examples=["best"])
    sha256: str = Field(description="SHA-256 of the `.tflite` file, in hexadecimal")


class ProbableGenre(_Schema):
    """A genre with its probability."""

    genre: str
    probability: float = Field(ge=0, le=1, description="Mean over the segments")


class Part(_Schema):
    """Part of a song with one genre."""

    start: float = Field(description="Start in seconds")
    end: float = Field(description="End in seconds")
    genre: str
    shares: dict[str, float] = Field(description="Mean probability of each genre in this part")


class Failure(_Schema):
    """Reason why a file could not be classified."""

    code: str = Field(description="Code of the problem")
    detail: str


class Song(_Schema):
    """Prediction for a song.

    The fields are those of `scan-library --format json`, with `name` in place of `path`.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    name: str = Field(description="File name, as uploaded")
    genre: str | None = Field(
        description="Predicted genre, `uncertain` or `not-music`; null if there is an error"
    )
    confidence: float | None = Field(
        description="Probability that the genre is correct, in (0, 1); the vote share if the model"
        " is not calibrated"
    )
    vote_share: float | None = Field(description="Share of the votes for the genre, in [0, 1]")
    probability: float | None = Field(description="Mean probability of the genre")
    margin: float | None = Field(
        description=(
            "`probability` minus the highest mean probability of another genre; negative if the"
            " vote and the probabilities disagree"
        )
    )
    top: list[ProbableGenre] | None = Field(description="The three most probable genres")
    votes: dict[str, int] | None = Field(description="Number of segments for each genre")
    segments: int = Field(ge=0, description="Number of classified segments, silent ones included")
    probabilities: dict[str, float] | None = Field(description="Mean probability of each genre")
    analyzed_seconds: float | None = Field(description="Length of the decoded audio")
    duration_seconds: float | None = Field(
        description="Length of the whole song by its file; null if unknown"
    )
    partial: bool | None = Field(description="True if the end of the song was not classified")
    timeline: list[Part] | None = Field(
        description="Parts of the song if its genre changes, otherwise null"
    )
    error: Failure | None = None


class Classification(_Schema):
    """Predictions for the uploaded songs, in the order of the upload."""

    model: ModelName
    songs: list[Song]


class Outline(_Schema):
    """Waveform and features of a song in columns of equal duration, for drawing."""

    seconds_per_column: float
    lowest: list[float] = Field(description="Smallest sample of each column")
    highest: list[float] = Field(description="Largest sample of each column")
    kind: str = Field(description="Kind of features: `mfcc`, `log-mel`, ...")
    features: list[list[float]] = Field(description="Mean features of each column")


class Segments(_Schema):
    """Predictions for each segment of a song."""

    model: ModelName
    song: Song
    seconds_per_segment: float
    labels: list[str] = Field(description="Genres, in the order of the columns")
    probabilities: list[list[float]] = Field(
        description="One row per segment, one column per genre"
    )
    outline: Outline | None = Field(description="Present with `outline=true`")


class Features(_Schema):
    """Features of some segments, as the model receives them."""

    model: ModelName
    kind: str = Field(description="Kind of features: `mfcc`, `log-mel`, ...")
    front_end: dict[str, Any] = Field(description="All parameters of the features")
    first: int = Field(description="Number of the first segment, counted from 0")
    shape: tuple[int, int, int] = Field(description="Segments, frames, coefficients")
    features: list[list[list[float]]]


class Operation(_Schema):
    """Type of TFLite operation."""

    name: str
    count: int


class ModelSummary(_Schema):
    """Available model."""

    name: str
    network: str
    input: str = Field(description="Kind of features (`mfcc`, `log-mel`, ...), or `waveform`")
    bytes: int
    sha256: str
    labels: list[str]


class Models(_Schema):
    """Available models."""

    default: str = Field(description="Name of the model used if a request has no `model`")
    models: list[ModelSummary]


class ModelDescription(ModelSummary):
    """Full description of a model."""

    front_end: dict[str, Any] = Field(description="All parameters of the features")
    operations: list[Operation] = Field(description="Operations in the file, most frequent first")
    runtime: str = Field(description="TFLite runtime and version of this server")
    card: dict[str, Any] = Field(description="Model card")


class Cause(_Schema):
    """Possible cause of the differences."""

    code: str = Field(description="Code of a known cause, `none` or `unknown`")
    detail: str
    maximum: float | None = Field(
        description="Largest difference that remains when the reference has the same cause"
    )
    mean: float | None = Field(description="Mean difference that remains")


class Parity(_Schema):
    """Comparison of a device's features with the reference."""

    model: ModelName
    kind: str = Field(description="Kind of features: `mfcc`, `log-mel`, ...")
    same: bool = Field(description="True if no difference exceeds the tolerance")
    tolerance: float
    shape: list[int] = Field(description="Shape of the device's features")
    expected_shape: list[int] = Field(description="Shape of the reference features")
    maximum: float | None = Field(
        description="Largest absolute difference; null if the shapes differ"
    )
    mean: float | None = Field(description="Mean absolute difference; null if the shapes differ")
    frames: list[FrameDifference] = Field(description="The ten frames with the largest differences")
    coefficients: list[CoefficientDifference] = Field(
        description="All coefficients, those with the largest differences first"
    )
    cause: Cause
    tried: list[Cause] = Field(description="The five causes that explain the differences best")


class Health(_Schema):
    """Sign that the server is running."""

    status: Literal["ok"] = "ok"


class Readiness(_Schema):
    """Sign that all workers are ready."""

    status: Literal["ready"] = "ready"
    workers: int
    model: str
