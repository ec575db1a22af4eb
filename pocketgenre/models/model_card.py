"""Read and write model cards: a JSON file next to each ``.tflite`` file."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pocketgenre.confidence import ConfidenceModel
from pocketgenre.errors import ModelError
from pocketgenre.features.config import FeatureConfig

CARD_FORMAT = 1
MAX_LABEL_LENGTH = 200  # characters
_MAX_MODEL = 256 << 20  # bytes; the published networks have 0.05 to 4 MB
_MAX_CARD = 1 << 20  # bytes


@dataclass(frozen=True)
class ModelCard:
    """Description of a model file.

    Attributes
    ----------
    name : name of the network
    labels : genres in the order of the network's outputs
    feature_config : configuration of the features
    sha256 : SHA-256 of the model file, in hexadecimal
    input : input of the model: the kind of features, or ``waveform`` for samples
    standardization : ``mean`` and ``deviation`` of each coefficient, to be applied before
        quantization; None if the model standardizes the features
    training : data, command, seed, epochs and other facts about the training
    accuracy : measured accuracy, with data and split
    licence : SPDX expression; empty if the card has none
    confidence : calibration of the songs' confidence; None if there is none

    Raises
    ------
    ModelError
        if the labels or the input are invalid.
    """

    name: str
    labels: tuple[str, ...]
    feature_config: FeatureConfig
    sha256: str
    input: str = "mfcc"
    standardization: dict[str, list[float]] | None = None
    training: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    confidence: ConfidenceModel | None = None

    def __post_init__(self) -> None:
        names = self.labels
        if not names or len(set(names)) != len(names) or not all(map(_is_label, names)):
            raise ModelError("A model card needs a list of different genre names as its labels.")
        kinds = (self.feature_config.kind, "waveform")
        if self.input not in kinds:
            raise ModelError(f"The model's input must be {' or '.join(kinds)}, not {self.input!r}.")

    def to_json(self) -> str:
        """Return the card as readable JSON, ending in a newline."""
        values = {"format": CARD_FORMAT, **asdict(self)}
        values["feature_config"] = self.feature_config.to_dict()
        if self.confidence is None:  # as in cards of older versions
            del values["confidence"]
        # Card format 1 has this key.
        values = {"front_end" if key == "feature_config" else key: values[key] for key in values}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the result of :meth:`to_json`.

        Raises
        ------
        ModelError
            if it is not a valid card.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"The model card is not JSON: {error}") from error
        if not isinstance(values, dict) or values.get("format") != CARD_FORMAT:
            raise ModelError(f"The model card is not of format {CARD_FORMAT}.")
        try:
            return cls(
                name=str(values["name"]),
                labels=_labels(values["labels"]),
                feature_config=FeatureConfig.from_dict(values["front_end"]),
                sha256=str(values["sha256"]),
                input=values.get("input", "mfcc"),
                standardization=_standardization(values.get("standardization")),
                training=dict(values.get("training", {})),
                accuracy=dict(values.get("accuracy", {})),
                licence=str(values.get("licence", "")),
                confidence=_confidence(values.get("confidence")),
            )
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelError(f"The model card is incomplete or malformed: {error}") from error


def card_path(model_path: Path) -> Path:
    """Return the path of a model file's card: the same name with the suffix ``.json``."""
    return model_path.with_suffix(".json")


def model_hash(model: bytes) -> str:
    """Return the SHA-256 of a model file's content, in hexadecimal."""
    return hashlib.sha256(model).hexdigest()


def read_model(model_path: Path) -> tuple[bytes, ModelCard]:
    """Read a TFLite file and its card, and check that they match.

    Raises
    ------
    ModelError
        if a file is missing, too large or not TFLite, or the card describes another file.
    """
    model = _read_bounded(model_path, _MAX_MODEL, "model")
    if model[4:8] != b"TFL3":
        raise ModelError(f"{model_path} is not a TFLite model; export-tflite writes one.")
    card_file = card_path(model_path)
    text = _read_bounded(card_file, _MAX_CARD, "model card").decode("utf-8", "replace")
    try:
        card = ModelCard.from_json(text)
    except ModelError as error:
        raise ModelError(f"{card_file}: {error}") from error
    if card.sha256 != model_hash(model):
        raise ModelError(
            f"{card_file} describes another file than {model_path.name} (the hashes differ);"
            " export the model again, or put the right card next to it."
        )
    return model, card


def _read_bounded(path: Path, limit: int, description: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no {description} at {path}; export-tflite writes one."
        ) from error
    except OSError as error:
        raise ModelError(f"The {description} {path} cannot be read: {error.strerror}.") from error
    if len(content) > limit:
        raise ModelError(f"The {description} {path} is larger than {limit >> 20} MB.")
    return content


def _labels(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("labels must be a list")
    return tuple(values)


def _confidence(values: Any) -> ConfidenceModel | None:
    return None if values is None else ConfidenceModel.from_dict(values)


def _standardization(values: Any) -> dict[str, list[float]] | None:
    if values is None:
        return None
    return {name: [float(x) for x in values[name]] for name in ("mean", "deviation")}


def _is_label(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_LABEL_LENGTH and name.isprintable()
