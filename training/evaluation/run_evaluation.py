"""Evaluate a run: metrics of songs and segments, by genre and by confidence.

The held-out predictions are stored in the run, so their evaluation does not start TensorFlow.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.calibration import cross_calibrate, fit_temperature
from pocketgenre.training.evaluation.confidence_fit import fit_confidence
from pocketgenre.training.evaluation.length_metrics import LengthMetrics, compute_length_metrics
from pocketgenre.training.evaluation.metrics import (
    METRIC_NAMES,
    Calibration,
    ClassificationMetrics,
    SummaryStatistics,
    WrongSong,
    compute_calibration,
    compute_classification_metrics,
    compute_metrics,
    compute_song_metrics,
    find_worst_songs,
    to_stored_dict,
)
from pocketgenre.training.runs import HeldOutPredictions, Run

_CURVE_POINTS = 100


@dataclass(frozen=True)
class SongConfidence:
    """Cross-fitted confidence of the songs' labels.

    Attributes
    ----------
    calibration : calibration of the confidence
    min_confidence : default threshold, below which a label is ``uncertain``
    coverage : share of the songs that reach the threshold
    accuracy : share of correct labels among these songs
    risk_curve : pairs of coverage, and share of wrong labels among the songs of the highest
        confidence, for at most 100 coverages
    """

    calibration: Calibration
    min_confidence: float
    coverage: float
    accuracy: float
    risk_curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Evaluation:
    """Results of evaluating a run.

    Attributes
    ----------
    run : name of the run folder
    model, protocol, folds, seed : values of the training configuration
    evaluated_on : description of the evaluated networks and songs
    warnings : reasons why the metrics are too high; shown next to them everywhere
    labels : genres
    songs, segments : metrics of songs by majority vote, and of single segments
    songs_by_probability : metrics of songs by probability-weighted vote
    calibration : calibration of the segments' top probabilities
    temperature : divisor of the logits that gives the lowest log loss
    scaled_calibration : calibration with each fold at the temperature of the other folds;
        None without folds
    confidence : cross-fitted confidence of the songs; None without folds, or for too few songs
    lengths : metrics of songs by length
    worst_songs : most confidently wrong songs, worst first
    fold_statistics : statistics over the folds by name of the metric; empty without folds
    """

    run: str
    model: str
    protocol: str
    folds: int
    seed: int
    evaluated_on: str
    warnings: tuple[str, ...]
    labels: tuple[str, ...]
    songs: ClassificationMetrics
    segments: ClassificationMetrics
    songs_by_probability: ClassificationMetrics
    calibration: Calibration
    temperature: float
    scaled_calibration: Calibration | None
    confidence: SongConfidence | None
    lengths: tuple[LengthMetrics, ...]
    worst_songs: tuple[WrongSong, ...]
    fold_statistics: dict[str, SummaryStatistics]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``evaluation.json``."""
        return {
            "format": 1,
            "protocol_meaning": PROTOCOLS[self.protocol],
            **to_stored_dict(self),
        }


def protocol_warnings(protocol: str) -> tuple[str, ...]:
    """Return the warnings that must accompany every metric of a split protocol."""
    return (f"{PROTOCOLS[protocol]}.",) if protocol == "segments" else ()


def evaluate_heldout(run: Run, dataset: Dataset) -> Evaluation:
    """Evaluate a run on its held-out predictions.

    Raises
    ------
    DataError
        if the data set is not the one that the run was trained on, or has changed.
    """
    heldout = load_heldout(run, dataset)
    networks = f"each of the {len(heldout)} folds' networks" if run.config.folds else "the network"
    return _evaluate(
        run,
        dataset,
        heldout,
        f"{networks} on the data not used to train it ({PROTOCOLS[run.config.protocol]})",
        protocol_warnings(run.config.protocol),
    )


def require_distinct_runs(runs: Sequence[Run]) -> None:
    """Check that no run is given twice.

    Raises
    ------
    DataError
        if two runs have the same folder.
    """
    folders = {run.folder.resolve() for run in runs}
    if len(folders) < len(runs):
        raise DataError("A run is named twice; name each run once.")


def require_song_split(run: Run) -> None:
    """Check that a run was split by song.

    Raises
    ------
    DataError
        if the run was split by another protocol.
    """
    if run.config.protocol != "songs":
        raise DataError(
            f"{run.folder} was trained with --protocol {run.config.protocol}: its networks were"
            " trained on parts of the songs to evaluate; name a run with --protocol songs."
        )


def load_heldout(run: Run, dataset: Dataset) -> list[HeldOutPredictions]:
    """Read a run's held-out predictions and check that they belong to a data set.

    Raises
    ------
    DataError
        if the data set is not the one that the run was trained on, or has changed.
    """
    _require_same_labels_and_features(run, dataset)
    heldout = run.heldout()
    segments = np.concatenate([part.segments for part in heldout])
    if segments.max() >= len(dataset.segment_songs):
        raise _dataset_changed(run, dataset)
    metrics = compute_metrics(
        dataset, segments, np.concatenate([part.probabilities for part in heldout])
    )
    for name, recorded in recorded_metrics(run, ("song_accuracy", "segment_accuracy")).items():
        if not math.isclose(recorded, getattr(metrics, name), abs_tol=1e-9):
            raise _dataset_changed(run, dataset)
    return heldout


def recorded_metrics(run: Run, names: Iterable[str]) -> dict[str, float]:
    """Read some of the metrics stored with a run.

    Raises
    ------
    DataError
        if ``metrics.json`` is damaged or lacks one of the metrics.
    """
    try:
        metrics = run.metrics()
        values = {name: float(metrics[name]) for name in names}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"{run.folder}/metrics.json is damaged (wrong or missing: {error}); train it again."
        ) from error
    if not all(map(math.isfinite, values.values())):
        raise DataError(f"{run.folder}/metrics.json holds a non-finite value; train it again.")
    return values


def evaluate_dataset(run: Run, dataset: Dataset) -> Evaluation:
    """Evaluate a run's final network on all songs of a data set. This starts TensorFlow.

    Raises
    ------
    DataError
        if the data set has other genres or feature parameters, or the network can't be read.
    """
    _require_same_labels_and_features(run, dataset)
    dataset.check()
    with suppress_stderr():
        from pocketgenre.training.models.checkpoints import load_network
        from pocketgenre.training.models.keras_trainer import predict

    file = run.folder / "model.keras"
    model = load_network(file)
    segments = np.arange(len(dataset.segment_songs))
    predictions = HeldOutPredictions(file, segments, predict(model, dataset, segments))
    evaluated_on = f"the final network on all songs of the data set {dataset.folder.name}"
    return _evaluate(run, dataset, [predictions], evaluated_on, _dataset_warnings(run, dataset))


def _dataset_warnings(run: Run, dataset: Dataset) -> tuple[str, ...]:
    """Return the warnings for evaluating a run's final network on all of a data set."""
    warnings = protocol_warnings(run.config.protocol)
    if dataset.folder.resolve() == run.dataset or run.is_of(dataset):
        warning = (
            f"{dataset.folder} is the data set that the network was trained on:"
            " these metrics do not apply to other music."
        )
        return (warning, *warnings)
    return warnings


def _evaluate(
    run: Run,
    dataset: Dataset,
    predictions: Sequence[HeldOutPredictions],
    evaluated_on: str,
    warnings: tuple[str, ...],
) -> Evaluation:
    segments = np.concatenate([part.segments for part in predictions])
    probabilities = np.concatenate([part.probabilities for part in predictions])
    targets = dataset.segment_targets[segments]
    predicted = probabilities.argmax(axis=1)
    correct = predicted == targets
    has_folds = len(predictions) > 1
    scaled = _scaled_probabilities(dataset, predictions) if has_folds else None
    return Evaluation(
        run=run.folder.resolve().name,
        model=run.config.model,
        protocol=run.config.protocol,
        folds=run.config.folds,
        seed=run.config.seed,
        evaluated_on=evaluated_on,
        warnings=warnings,
        labels=dataset.labels,
        songs=compute_song_metrics(dataset, segments, probabilities),
        segments=compute_classification_metrics(targets, predicted, dataset.labels),
        songs_by_probability=compute_song_metrics(
            dataset, segments, probabilities, vote="probability"
        ),
        calibration=compute_calibration(probabilities.max(axis=1), correct),
        temperature=fit_temperature(probabilities, targets),
        scaled_calibration=None
        if scaled is None
        else compute_calibration(scaled.max(axis=1), correct),
        confidence=None if scaled is None else _song_confidence(dataset, segments, scaled),
        lengths=compute_length_metrics(dataset, segments, probabilities),
        worst_songs=find_worst_songs(dataset, segments, probabilities),
        fold_statistics=_fold_statistics(dataset, predictions) if has_folds else {},
    )


def _scaled_probabilities(
    dataset: Dataset, predictions: Sequence[HeldOutPredictions]
) -> NDArray[np.float64]:
    targets = [dataset.segment_targets[part.segments] for part in predictions]
    return cross_calibrate([part.probabilities for part in predictions], targets)


def _song_confidence(
    dataset: Dataset, segments: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> SongConfidence | None:
    fit = fit_confidence(dataset, segments, probabilities)
    if fit is None:
        return None
    coverages, risks = fit.risk_coverage()
    points = np.unique(np.linspace(0, len(coverages) - 1, _CURVE_POINTS).astype(int))
    return SongConfidence(
        calibration=fit.calibration,
        min_confidence=fit.model.min_confidence,
        coverage=fit.coverage,
        accuracy=fit.covered_accuracy,
        risk_curve=tuple((float(coverages[i]), float(risks[i])) for i in points),
    )


def _fold_statistics(
    dataset: Dataset, predictions: Sequence[HeldOutPredictions]
) -> dict[str, SummaryStatistics]:
    folds = [compute_metrics(dataset, part.segments, part.probabilities) for part in predictions]
    return {
        name: SummaryStatistics.of([getattr(metrics, name) for metrics in folds])
        for name in METRIC_NAMES
    }


def _require_same_labels_and_features(run: Run, dataset: Dataset) -> None:
    if dataset.labels != run.labels:
        raise DataError(
            f"The data set {dataset.folder} holds the genres {', '.join(dataset.labels)}, but"
            f" the run {run.folder} was trained on {', '.join(run.labels)}."
        )
    if dataset.feature_config != run.feature_config:
        raise DataError(
            f"The features of {dataset.folder} were computed with other parameters than those of"
            f" the run {run.folder}; prepare the data set again."
        )


def _dataset_changed(run: Run, dataset: Dataset) -> DataError:
    return DataError(
        f"The data set {dataset.folder} is not the one that {run.folder} was trained on, or has"
        " changed since, so the stored predictions don't match its segments; restore the data set"
        " or train again."
    )
