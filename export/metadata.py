"""TFLite metadata: what a file is and takes, in the form that MediaPipe Tasks reads.

The labels are a file in a zip archive behind the model, the rest a flatbuffer of its own in a
buffer named ``TFLITE_METADATA`` (``metadata_schema.fbs`` of MediaPipe). With it MediaPipe's
``AudioClassifier`` loads the waveform file as it is.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers

from pocketgenre.export import flatbuffer
from pocketgenre.export.convert import OUTPUT_NAME
from pocketgenre.export.variants import Form
from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.model_card import ModelCard

LABELS_FILE = "labels.txt"
_IDENTIFIER = b"M001"
_TENSOR_AXIS_LABELS = 2  # AssociatedFileType
_FEATURE_PROPERTIES, _AUDIO_PROPERTIES = 1, 4  # ContentProperties
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the archive's time, so that the same network is the same file


@dataclass(frozen=True)
class Byte:
    """A field of one byte: an enum or the kind of a union."""

    value: int


Field = str | int | Byte | Mapping[int, Any] | Sequence[Any]
"""A string, an unsigned integer, a byte, a table (field number to value), or a list of tables
or strings."""


def with_metadata(tflite: bytes, form: Form, card: ModelCard, version: str) -> bytes:
    """The file with its metadata and labels.

    Parameters
    ----------
    tflite : from :func:`pocketgenre.export.convert.convert`
    form : of the file
    card : of the network
    version : of the project
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
        3: [{2: [_input(form, card.feature_config)], 3: [output]}],
        4: "pocketgenre",
        5: card.licence,
    }
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, metadata), file_identifier=_IDENTIFIER)
    described = flatbuffer.attach_metadata(tflite, bytes(builder.Output()))
    return described + _archive({LABELS_FILE: "\n".join(card.labels) + "\n"}, len(described))


def _input(form: Form, feature_config: FeatureConfig) -> Field:
    if form.input == "waveform":
        description = (
            f"{feature_config.segment_samples} samples of mono audio at {feature_config.sample_rate} Hz,"
            " between -1 and 1."
        )
        audio = {0: feature_config.sample_rate, 1: 1}  # channels
        return {0: "waveform", 1: description, 3: {0: Byte(_AUDIO_PROPERTIES), 1: audio}}
    frames, coefficients = feature_config.shape
    kind = "MFCC" if form.input == "mfcc" else "log-mel bands"
    description = (
        f"{coefficients} {kind} of {frames} frames: {feature_config.sample_rate} Hz, n_fft"
        f" {feature_config.n_fft}, hop {feature_config.hop_length}"
        + ("; standardised as the card says." if form.io == "int8" else ".")
    )
    return {0: form.input, 1: description, 3: {0: Byte(_FEATURE_PROPERTIES), 1: {}}}


def _table(builder: flatbuffers.Builder, fields: Mapping[int, Field]) -> int:
    """Write a table; what it refers to is written before it, as flatbuffers want it."""
    written = {slot: _refer(builder, value) for slot, value in fields.items()}
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, value in fields.items():
        if isinstance(value, Byte):
            builder.PrependUint8Slot(slot, value.value, 0)
        elif isinstance(value, int):
            builder.PrependUint32Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, written[slot], 0)
    return int(builder.EndObject())


def _refer(builder: flatbuffers.Builder, value: Field) -> int:
    """Write what a field points to and return where; 0 for what stands in the field itself."""
    if isinstance(value, Byte | int):
        return 0
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _table(builder, value)
    offsets = [_refer(builder, item) for item in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _archive(files: Mapping[str, str], before: int) -> bytes:
    """A zip archive, not compressed, that stands behind ``before`` other bytes."""
    content = io.BytesIO()
    content.write(b"\0" * before)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), text)
    return content.getvalue()[before:]
