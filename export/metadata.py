"""Write TFLite metadata (input, output and labels of a file) for MediaPipe Tasks.

The labels are a text file in a zip archive appended to the model. The rest is a flatbuffer in a
buffer named ``TFLITE_METADATA`` (``metadata_schema.fbs`` of MediaPipe). With it, MediaPipe's
``AudioClassifier`` loads the waveform file directly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers

from pocketgenre.export import flatbuffer
from pocketgenre.export.convert import OUTPUT_NAME
from pocketgenre.export.variants import WAVEFORM, Variant
from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.flatbuffer import LABELS_FILE, archive_labels
from pocketgenre.models.model_card import ModelCard

_IDENTIFIER = b"M001"
_TENSOR_AXIS_LABELS = 2  # AssociatedFileType
_FEATURE_PROPERTIES, _AUDIO_PROPERTIES = 1, 4  # ContentProperties
_DESCRIPTIONS = {"mfcc": "MFCC", "log-mel": "log-mel bands"}
"""Description of each kind of features; other kinds are described by their name."""


@dataclass(frozen=True)
class Byte:
    """Flatbuffer field of one byte: an enum or the type of a union."""

    value: int


Field = str | int | Byte | Mapping[int, Any] | Sequence[Any]
"""String, unsigned integer, byte, table (field number to value), or list of tables or strings."""


def with_metadata(tflite: bytes, variant: Variant, card: ModelCard, version: str) -> bytes:
    """Return the file with its metadata and labels.

    Parameters
    ----------
    tflite : file from :func:`pocketgenre.export.convert.convert`
    variant : variant of the file
    card : model card of the file
    version : version of the project
    """
    axis_labels = {0: LABELS_FILE, 1: "Genre of each output.", 2: Byte(_TENSOR_AXIS_LABELS)}
    output = {
        0: OUTPUT_NAME,
        1: "Probability of each genre for the segment; a song's genre is the majority's.",
        3: {0: Byte(_FEATURE_PROPERTIES), 1: {}},
        6: [axis_labels],
    }
    metadata = {
        0: card.name,
        1: f"Genre of {card.feature_config.segment_seconds:g} s of music.",
        2: version,
        3: [{2: [_input(variant, card.feature_config)], 3: [output]}],
        4: "pocketgenre",
        5: card.licence,
    }
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, metadata), file_identifier=_IDENTIFIER)
    described = flatbuffer.attach_metadata(tflite, bytes(builder.Output()))
    return described + archive_labels(card.labels, len(described))


def _input(variant: Variant, config: FeatureConfig) -> Field:
    if variant.input == WAVEFORM:
        description = (
            f"{config.segment_samples} samples of mono audio at {config.sample_rate} Hz,"
            " between -1 and 1."
        )
        audio = {0: config.sample_rate, 1: 1}  # channels
        return {0: WAVEFORM, 1: description, 3: {0: Byte(_AUDIO_PROPERTIES), 1: audio}}
    frames, coefficients = config.shape
    features = _DESCRIPTIONS.get(variant.input, variant.input)
    description = (
        f"{coefficients} {features} of {frames} frames: {config.sample_rate} Hz, n_fft"
        f" {config.n_fft}, hop {config.hop_length}"
        + ("; standardised as the card says." if variant.io == "int8" else ".")
    )
    return {0: variant.input, 1: description, 3: {0: Byte(_FEATURE_PROPERTIES), 1: {}}}


def _table(builder: flatbuffers.Builder, fields: Mapping[int, Field]) -> int:
    """Write a table after the values that it refers to, as flatbuffers require."""
    offsets = {slot: _write_value(builder, value) for slot, value in fields.items()}
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, value in fields.items():
        if isinstance(value, Byte):
            builder.PrependUint8Slot(slot, value.value, 0)
        elif isinstance(value, int):
            builder.PrependUint32Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
    return int(builder.EndObject())


def _write_value(builder: flatbuffers.Builder, value: Field) -> int:
    """Write a value that a field refers to and return its offset; 0 for values in the field."""
    if isinstance(value, Byte | int):
        return 0
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _table(builder, value)
    offsets = [_write_value(builder, item) for item in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
