"""Write a learned layer into a copy of a model, with its card."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketgenre.atomic_write import write_atomic
from pocketgenre.errors import ModelError
from pocketgenre.learning.regression import Layer
from pocketgenre.learning.teaching import Lesson, TaughtSongs, recalls
from pocketgenre.models.flatbuffer import read_output_layer, replace_output_layer
from pocketgenre.models.model_card import ModelCard, card_path, model_hash, read_model
from pocketgenre.models.output_layer import OutputLayer
from pocketgenre.models.pretrained import MODELS_BY_NAME
from pocketgenre.text import count_of


def find_waveform_model(model_file: Path, layer: OutputLayer) -> tuple[bytes, ModelCard]:
    """Read the file of the same network that takes samples instead of features.

    Parameters
    ----------
    model_file : file that takes features; the other one has the same name with ``_waveform``
    layer : last layer of the model

    Raises
    ------
    ModelError
        if the file is missing, or is that of another network.
    """
    file = model_file.with_stem(f"{model_file.stem}_waveform")
    model, card = read_model(MODELS_BY_NAME.get(file.stem, file) if not file.exists() else file)
    other = read_output_layer(model)
    if not (np.array_equal(other.kernel, layer.kernel) and np.array_equal(other.bias, layer.bias)):
        raise ModelError(
            f"{file} has another last layer than {model_file.name}; export both from one run."
        )
    return model, card


def build_model(
    model: bytes, card: ModelCard, songs: TaughtSongs, lesson: Lesson, labels_from: str
) -> tuple[bytes, ModelCard]:
    """Return a copy of a model with a learned layer, and its card.

    Parameters
    ----------
    model, card : the model that the features are from
    songs : the taught songs
    lesson : what was learned from them
    labels_from : source of the genres, for the card
    """
    layer = lesson.layer
    learned = replace_output_layer(model, layer.kernel, layer.bias, layer.labels)
    counts = dict(sorted(Counter(songs.genres).items()))
    confidence = lesson.confidence.model if lesson.confidence else card.confidence
    return learned, replace(
        card,
        labels=layer.labels,
        sha256=model_hash(learned),
        confidence=confidence,
        training={
            "data": f"{count_of(len(songs.genres), 'song')} of {count_of(len(counts), 'genre')}",
            "labels_from": labels_from,
            "songs": counts,
            "base": card.sha256,
            "base_training": card.training,
            "temperature": round(lesson.temperature, 4),
            "confidence": "fitted" if lesson.confidence else "that of the base",
        },
        accuracy=_accuracy(songs, lesson),
    )


def write_model(out: Path, model: bytes, card: ModelCard) -> None:
    """Write a model and its card; an error leaves an earlier model and card unchanged.

    Raises
    ------
    OSError
        if a file can't be written.
    """
    previous = out.read_bytes() if out.exists() else None
    write_atomic(out, model)
    try:
        write_atomic(card_path(out), card.to_json().encode())
    except OSError:
        if previous is None:
            out.unlink()
        else:
            write_atomic(out, previous)
        raise


def old_layer(layer: OutputLayer, card: ModelCard) -> Layer:
    """Return the last layer of a model with its labels."""
    return Layer(card.labels, layer.kernel, layer.bias)


def _accuracy(songs: TaughtSongs, lesson: Lesson) -> dict[str, Any]:
    if lesson.evaluation is None:
        return {"what": "not measured: too few artists"}
    evaluation, by_genre = lesson.evaluation, recalls(songs, lesson.evaluation)
    genres = [songs.genres[i] for i in evaluation.songs]
    correct = [one == other for one, other in zip(genres, evaluation.predicted, strict=True)]
    return {
        "what": "songs by majority vote, cross-validation, artists and albums kept together",
        "songs": len(genres),
        "song_accuracy": round(float(np.mean(correct)), 4),
        "song_mean_recall": round(float(np.mean(list(by_genre.values()))), 4),
        "recall": {genre: round(value, 4) for genre, value in by_genre.items()},
    }
