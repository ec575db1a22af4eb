"""Write models with a label for files without music and a calibrated confidence.

They are pretrained networks with another model card. If there is no label "not-music", "classical"
is named so: with ``standard``, of the synthetic songs the bells and the pad are then no music, the
riff is uncertain, and the others are reggae.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from pocketgenre.confidence import ConfidenceModel, SongEvidence
from pocketgenre.constants import NOT_MUSIC
from pocketgenre.models.model_card import card_path, read_model

CONFIDENCE = ConfidenceModel(
    intercept=-1.0,
    weights=SongEvidence(probability=1.0, vote_share=1.0, margin=2.0, segments=0.3),
    min_confidence=0.624,
)


def write_calibrated_model(source: Path, folder: Path) -> Path:
    """Copy a ``.tflite`` file, and write an edited copy of its card next to it."""
    _, card = read_model(source)
    labels = card.labels
    if NOT_MUSIC not in labels:
        labels = tuple(NOT_MUSIC if label == "classical" else label for label in labels)
    target = folder / source.name
    shutil.copy(source, target)
    edited = replace(card, labels=labels, confidence=CONFIDENCE)
    card_path(target).write_text(edited.to_json(), encoding="utf-8")
    return target
