"""What the server answers, field by field; OpenAPI is written from it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pocketgenre.server.examples import DESCRIPTION, MODELS, SEGMENTS, SONG


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelName(_Answer):
    """Which model answered."""

    name: str = Field(description="As `?model=` takes it", examples=["best"])
    sha256: str = Field(description="Of the `.tflite` file, in hexadecimal")


class ProbableGenre(_Answer):
    """One of the most probable genres."""

    genre: str
    probability: float = Field(ge=0, le=1, description="Mean over the segments")


class Part(_Answer):
    """A stretch of a song that stays with one genre."""

    start: float = Field(description="In seconds")
    end: float = Field(description="In seconds")
    genre: str
    shares: dict[str, float] = Field(description="Mean probability of each genre in it")


class Failure(_Answer):
    """Why a file has no genre."""

    code: str = Field(description="As in problems")
    detail: str


class Song(_Answer):
    """What `scan-library --format json` writes of a song; its `path` is here the file's name."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": SONG})

    name: str = Field(description="Of the file, as it was uploaded")
    genre: str | None = Field(
        description="The winner of the vote, or `uncertain`; null where there is an error"
    )
    confidence: float | None = Field(description="The winner's share of the vote, in (0, 1]")
    probability: float | None = Field(description="The winner's mean probability")
    margin: float | None = Field(
        description="That less the best of the others; negative where vote and probability disagree"
    )
    top: list[ProbableGenre] | None = Field(description="The three most probable genres")
    votes: dict[str, int] | None = Field(description="Segments for each genre")
    segments: int = Field(ge=0, description="How many 3 s segments were heard")
    probabilities: dict[str, float] | None = Field(description="Mean probability of each genre")
    timeline: list[Part] | None = Field(
        description="How the song goes from genre to genre; null where it stays with one"
    )
    error: Failure | None = None


class Classification(_Answer):
    """The genre of each uploaded song, in the order of the upload."""

    model: ModelName
    songs: list[Song]


class Outline(_Answer):
    """A song small enough to be drawn: a column stands for a stretch of equal length."""

    seconds_per_column: float
    lowest: list[float] = Field(description="Least sample of each column")
    highest: list[float] = Field(description="Largest sample of each column")
    kind: str = Field(description="Of the features")
    features: list[list[float]] = Field(description="Mean features of each column")


class Segments(_Answer):
    """A song segment by segment."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": SEGMENTS})

    model: ModelName
    song: Song
    seconds_per_segment: float
    labels: list[str] = Field(description="Genres in the order of the columns")
    probabilities: list[list[float]] = Field(description="A row a segment, a column a genre")
    outline: Outline | None = Field(description="With `outline=true`")


class Features(_Answer):
    """What the network takes for each segment."""

    model: ModelName
    kind: str
    front_end: dict[str, Any] = Field(description="Every parameter that they were computed with")
    first: int = Field(description="Number of the first segment, from 0")
    shape: tuple[int, int, int] = Field(description="Segments, frames, coefficients")
    features: list[list[list[float]]]


class Operation(_Answer):
    """A kind of TFLite operation."""

    name: str
    count: int


class ModelSummary(_Answer):
    """A model that can be chosen."""

    name: str
    network: str
    input: str
    bytes: int
    sha256: str
    labels: list[str]


class Models(_Answer):
    """The models that can be chosen."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": MODELS})

    default: str = Field(description="The one that answers where none is named")
    models: list[ModelSummary]


class ModelDescription(ModelSummary):
    """All that is known of a model."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": DESCRIPTION})

    front_end: dict[str, Any]
    operations: list[Operation] = Field(description="Of the file, most frequent first")
    runtime: str = Field(description="What runs it here")
    card: dict[str, Any] = Field(description="Its card as it stands beside the file")


class FrameDifference(_Answer):
    """How far a frame is off."""

    segment: int
    frame: int
    maximum: float
    mean: float


class CoefficientDifference(_Answer):
    """How far a coefficient is off."""

    coefficient: int
    maximum: float
    mean: float


class Cause(_Answer):
    """What would explain the differences."""

    code: str = Field(description="`none`, the name of a known mistake, or `unknown`")
    detail: str
    maximum: float | None = Field(description="Difference that is left with that mistake made here")
    mean: float | None = Field(description="The same on average")


class Parity(_Answer):
    """A device's features beside those that are computed here."""

    model: ModelName
    kind: str
    same: bool = Field(description="Whether no value differs by more than the tolerance")
    tolerance: float
    shape: list[int] = Field(description="Of the device's features")
    expected_shape: list[int] = Field(description="Of ours")
    maximum: float | None = Field(description="Largest difference; null where the shapes differ")
    mean: float | None = Field(description="Mean absolute difference")
    frames: list[FrameDifference] = Field(description="The ten that are most off")
    coefficients: list[CoefficientDifference] = Field(description="All, the most off first")
    cause: Cause
    tried: list[Cause] = Field(description="The five mistakes that come nearest")


class Health(_Answer):
    """That the server is up."""

    status: Literal["ok"] = "ok"


class Readiness(_Answer):
    """That it can judge songs."""

    status: Literal["ready"] = "ready"
    workers: int
    model: str
