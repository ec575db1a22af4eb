"""Judge a run: by genre, by confidence and song by song, not by one figure alone.

Needs no TensorFlow for a run's own held-out predictions, which are stored.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.evaluation.calibration import cross_fitted, fit_temperature
from pocketgenre.training.evaluation.figures import (
    Calibration,
    Level,
    Spread,
    WrongSong,
    calibration_of,
    figures_of,
    worst_songs,
)
from pocketgenre.training.evaluation.metrics import Rule, compute_metrics, vote_songs
from pocketgenre.training.runs import HeldOutPredictions, Run
from pocketgenre.vote import majority_vote, probability_vote

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """All that is known about how good a run is.

    Attributes
    ----------
    run : name of its folder
    model, protocol, folds, seed : as configured
    judged_on : what the figures were computed from, in words
    warnings : why the figures flatter, where they do; shown wherever they are
    labels : the genres
    songs, segments : figures by vote, and of single segments
    songs_by_probability : by probability-weighted vote
    calibration : of the segments' top probabilities
    temperature : that the logits are to be divided by; it changes no label
    calibrated : the same, each fold at the temperature that the others give; None without folds
    worst_songs : the most confidently wrong ones, worst first
    spread : of each figure over the folds; empty without folds
    """

    run: str
    model: str
    protocol: str
    folds: int
    seed: int
    judged_on: str
    warnings: tuple[str, ...]
    labels: tuple[str, ...]
    songs: Level
    segments: Level
    songs_by_probability: Level
    calibration: Calibration
    temperature: float
    calibrated: Calibration | None
    worst_songs: tuple[WrongSong, ...]
    spread: dict[str, Spread]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, in the order of reading."""
        return {"format": 1, "protocol_meaning": PROTOCOLS[self.protocol], **asdict(self)}


def protocol_warnings(protocol: str) -> tuple[str, ...]:
    """What must be said beside every figure of a protocol."""
    return (f"{PROTOCOLS[protocol]}.",) if protocol == "segments" else ()


def evaluate_heldout(run: Run, dataset: Dataset) -> Evaluation:
    """Judge a run on what each of its networks was not trained on.

    Raises
    ------
    DataError
        the data set is not the one that the run was trained on, or no longer.
    """
    parts = heldout_of(run, dataset)
    networks = f"{len(parts)} folds' networks, each" if run.config.folds else "the network kept,"
    return _evaluate(
        run,
        dataset,
        parts,
        f"{networks} on what it was not trained on ({PROTOCOLS[run.config.protocol]})",
        protocol_warnings(run.config.protocol),
    )


def require_unheard_songs(run: Run) -> None:
    """Refuse a run whose networks have heard parts of every song.

    Raises
    ------
    DataError
        it was not split by song.
    """
    if run.config.protocol != "songs":
        raise DataError(
            f"{run.folder} was trained with --protocol {run.config.protocol}, so that its networks"
            " have heard parts of the songs they judge; name a run with --protocol songs."
        )


def heldout_of(run: Run, dataset: Dataset) -> list[HeldOutPredictions]:
    """What each of a run's networks said of what it was not trained on.

    Raises
    ------
    DataError
        the data set is not the one that the run was trained on, or no longer.
    """
    _require_fit(run, dataset)
    parts = run.heldout()
    segments = np.concatenate([part.segments for part in parts])
    if segments.max() >= len(dataset.segment_songs):
        raise _changed(run, dataset)
    judged = compute_metrics(
        dataset, segments, np.concatenate([part.probabilities for part in parts])
    )
    for figure, recorded in recorded_figures(run, ("song_accuracy", "segment_accuracy")).items():
        if not math.isclose(recorded, getattr(judged, figure), abs_tol=1e-9):
            raise _changed(run, dataset)
    return parts


def recorded_figures(run: Run, names: Iterable[str]) -> dict[str, float]:
    """Some of the figures that a run was saved with.

    Raises
    ------
    DataError
        ``metrics.json`` is damaged or lacks one of them.
    """
    try:
        metrics = run.metrics()
        figures = {name: float(metrics[name]) for name in names}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"{run.folder}/metrics.json is damaged (wrong or missing: {error}); train it again."
        ) from error
    if not all(map(math.isfinite, figures.values())):
        raise DataError(f"{run.folder}/metrics.json holds what is no number; train it again.")
    return figures


def evaluate_on(run: Run, dataset: Dataset) -> Evaluation:
    """Judge the network that a run kept on all songs of a data set; starts TensorFlow.

    Raises
    ------
    DataError
        the data set has other genres or another front end, or the network can't be read.
    """
    _require_fit(run, dataset)
    dataset.check()
    with suppress_stderr():
        from pocketgenre.training.models.checkpoints import load_network
        from pocketgenre.training.models.keras_trainer import predict

    model = load_network(run.folder / "model.keras")
    everything = np.arange(len(dataset.segment_songs))
    part = HeldOutPredictions(
        run.folder / "model.keras", everything, predict(model, dataset, everything)
    )
    judged_on = f"the network kept, on all songs of the data set {dataset.folder.name}"
    return _evaluate(run, dataset, [part], judged_on, dataset_warnings(run, dataset))


def dataset_warnings(run: Run, dataset: Dataset) -> tuple[str, ...]:
    """What must be said beside the figures of the kept network on all of a data set."""
    if dataset.folder.resolve() != run.dataset and not run.is_of(dataset):
        return protocol_warnings(run.config.protocol)
    known = (
        f"Judged on {dataset.folder}, the data set it was trained on:"
        " these figures say nothing about other music.",
    )
    return known + protocol_warnings(run.config.protocol)


def _evaluate(
    run: Run,
    dataset: Dataset,
    parts: Sequence[HeldOutPredictions],
    judged_on: str,
    warnings: tuple[str, ...],
) -> Evaluation:
    segments = np.concatenate([part.segments for part in parts])
    probabilities = np.concatenate([part.probabilities for part in parts])
    songs_level, segments_level = _levels(dataset, segments, probabilities)
    targets = dataset.segment_targets[segments]
    right = probabilities.argmax(axis=1) == targets
    return Evaluation(
        run=run.folder.resolve().name,
        model=run.config.model,
        protocol=run.config.protocol,
        folds=run.config.folds,
        seed=run.config.seed,
        judged_on=judged_on,
        warnings=warnings,
        labels=dataset.labels,
        songs=songs_level,
        segments=segments_level,
        songs_by_probability=figures_of(
            *_song_calls(dataset, segments, probabilities, probability_vote), dataset.labels
        ),
        calibration=calibration_of(probabilities.max(axis=1), right),
        temperature=fit_temperature(probabilities, targets),
        calibrated=_calibrated(dataset, parts, right) if len(parts) > 1 else None,
        worst_songs=worst_songs(dataset, segments, probabilities),
        spread=_spread(dataset, parts) if len(parts) > 1 else {},
    )


def _levels(
    dataset: Dataset, segments: IntArray, probabilities: NDArray[np.floating]
) -> tuple[Level, Level]:
    return (
        figures_of(*_song_calls(dataset, segments, probabilities), dataset.labels),
        figures_of(dataset.segment_targets[segments], probabilities.argmax(axis=1), dataset.labels),
    )


def _song_calls(
    dataset: Dataset,
    segments: IntArray,
    probabilities: NDArray[np.floating],
    rule: Rule = majority_vote,
) -> tuple[IntArray, IntArray]:
    songs, called = vote_songs(dataset, segments, probabilities, rule)
    return dataset.song_targets[songs], called


def _calibrated(
    dataset: Dataset, parts: Sequence[HeldOutPredictions], right: NDArray[np.bool_]
) -> Calibration:
    targets = [dataset.segment_targets[part.segments] for part in parts]
    tempered = cross_fitted([part.probabilities for part in parts], targets)
    return calibration_of(tempered.max(axis=1), right)


def _spread(dataset: Dataset, parts: Sequence[HeldOutPredictions]) -> dict[str, Spread]:
    folds = [_levels(dataset, part.segments, part.probabilities) for part in parts]
    return {
        "song_accuracy": Spread.of([songs.accuracy for songs, _ in folds]),
        "song_mean_recall": Spread.of([songs.mean_recall for songs, _ in folds]),
        "song_macro_f1": Spread.of([songs.macro_f1 for songs, _ in folds]),
        "segment_accuracy": Spread.of([segments.accuracy for _, segments in folds]),
    }


def _require_fit(run: Run, dataset: Dataset) -> None:
    if dataset.labels != run.labels:
        raise DataError(
            f"The data set {dataset.folder} holds the genres {', '.join(dataset.labels)}, but"
            f" the run {run.folder} knows {', '.join(run.labels)}."
        )
    if dataset.feature_config != run.feature_config:
        raise DataError(
            f"The features of {dataset.folder} were computed with another front end than the"
            f" run {run.folder} was trained with; prepare the data set again."
        )


def _changed(run: Run, dataset: Dataset) -> DataError:
    return DataError(
        f"The data set {dataset.folder} is not the one that {run.folder} was trained on, or has"
        " changed since, so that the run's predictions don't belong to its segments; prepare it as"
        " it was, or train on it again."
    )
