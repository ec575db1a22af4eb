"""Compare runs by their stored metrics, and summarise runs that differ only in their seed."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py

from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.metrics import (
    METRIC_NAMES,
    SummaryStatistics,
    to_stored_dict,
)
from pocketgenre.training.evaluation.run_evaluation import (
    protocol_warnings,
    recorded_metrics,
    require_distinct_runs,
)
from pocketgenre.training.runs import Run

PUBLISHED_VALIDATION_ACCURACY: dict[str, float] = {
    "ann": 0.6198,
    "ann-regularized": 0.6800,
    "cnn": 0.7397,
    "lstm": 0.6660,
}
"""Published share of validation segments with the correct label, by name of the network."""

GTZAN_GENRES = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)

PUBLISHED_CONDITIONS = (
    "published validation accuracy on all of GTZAN, split by segment, so that parts of a song are"
    " in both training and validation; comparable only to the segment accuracy of runs with"
    " --protocol segments"
)
"""Conditions of the published accuracies, shown next to them."""

_WEIGHTS_FILE = "model.weights.h5"
_MAX_WEIGHTS = 256 << 20  # bytes, with the optimiser's state; our networks have up to 3 MB


@dataclass(frozen=True)
class RunMetrics:
    """Configuration and stored metrics of one run.

    Attributes
    ----------
    run : name of the run folder, or its path if two runs have the same name
    model, protocol, folds, epochs, seed : values of the training configuration
    warnings : warnings that must accompany the metrics
    dataset : folder of the data set
    songs : number of evaluated songs
    metrics : shares in [0, 1], by the keys of
        :data:`pocketgenre.training.evaluation.metrics.METRIC_NAMES`
    parameters : number of parameters of the network; None if unknown
    published : published validation accuracy of the same network on the same genres, or None
    """

    run: str
    model: str
    protocol: str
    folds: int
    epochs: int
    seed: int
    warnings: tuple[str, ...]
    dataset: str
    songs: int
    metrics: dict[str, float]
    parameters: int | None
    published: float | None

    @property
    def leaks(self) -> bool:
        """True if the protocol puts parts of a song into both sides of the split."""
        return bool(protocol_warnings(self.protocol))


@dataclass(frozen=True)
class SeedSummary:
    """Statistics over runs that differ only in their seed."""

    runs: tuple[str, ...]
    model: str
    protocol: str
    seeds: tuple[int, ...]
    seed_statistics: dict[str, SummaryStatistics]

    @property
    def leaks(self) -> bool:
        """True if the protocol puts parts of a song into both sides of the split."""
        return bool(protocol_warnings(self.protocol))


@dataclass(frozen=True)
class Comparison:
    """Metrics of several runs.

    Attributes
    ----------
    runs : metrics of each run, in the given order
    across_seeds : summaries of the runs that differ only in their seed
    """

    runs: tuple[RunMetrics, ...]
    across_seeds: tuple[SeedSummary, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the runs and their comparison."""
        by_warning: dict[str, list[str]] = {}
        for run in self.runs:
            for warning in run.warnings:
                by_warning.setdefault(warning, []).append(run.run)
        warnings = [f"{', '.join(runs)}: {warning}" for warning, runs in by_warning.items()]
        if len({run.dataset for run in self.runs}) > 1:
            warnings.append("The runs were trained and evaluated on different data sets.")
        return tuple(warnings)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``comparison.json``."""
        return {
            "format": 1,
            "warnings": self.warnings,
            "published_conditions": PUBLISHED_CONDITIONS,
            **to_stored_dict(self),
            # Only the folder's name: a path would disclose the layout of the user's disk.
            "runs": [
                {**to_stored_dict(run), "dataset": Path(run.dataset).name} for run in self.runs
            ],
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare finished runs by their stored metrics.

    Raises
    ------
    DataError
        if a run is named twice, or its metrics can't be read.
    """
    require_distinct_runs(runs)
    names = [run.folder.resolve().name for run in runs]
    rows = [
        _run_metrics(run, name if names.count(name) == 1 else str(run.folder))
        for run, name in zip(runs, names, strict=True)
    ]
    groups: dict[str, list[RunMetrics]] = {}
    for run, row in zip(runs, rows, strict=True):
        config = {**asdict(run.config), "seed": None, "dataset": str(run.dataset)}
        groups.setdefault(json.dumps([config, run.labels]), []).append(row)
    return Comparison(
        tuple(rows),
        tuple(_summary(group) for group in groups.values() if len({r.seed for r in group}) > 1),
    )


def count_parameters(model: Path) -> int | None:
    """Count the parameters of the network in a ``.keras`` file without starting TensorFlow.

    The result is that of ``keras.Model.count_params``: it includes the statistics of batch
    normalisation, but not the optimiser's state.

    Returns
    -------
    int or None
        None if the file was not written by Keras 3

    Raises
    ------
    DataError
        if the weights are larger than those of any network of this project.
    """
    try:
        with zipfile.ZipFile(model) as archive:
            size = archive.getinfo(_WEIGHTS_FILE).file_size
            if size > _MAX_WEIGHTS:
                raise DataError(
                    f"The weights in {model} unpack to {size >> 20} MB, more than the limit of"
                    f" {_MAX_WEIGHTS >> 20} MB; leave this run out."
                )
            weights = archive.read(_WEIGHTS_FILE)
        sizes: list[int] = []
        with h5py.File(io.BytesIO(weights)) as file:
            file["layers"].visititems(
                lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None
            )
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile):
        return None
    return sum(sizes)


def _run_metrics(run: Run, name: str) -> RunMetrics:
    metrics = recorded_metrics(run, (*METRIC_NAMES, "songs"))
    songs = int(metrics.pop("songs"))
    return RunMetrics(
        run=name,
        model=run.config.model,
        protocol=run.config.protocol,
        folds=run.config.folds,
        epochs=run.config.epochs,
        seed=run.config.seed,
        warnings=protocol_warnings(run.config.protocol),
        dataset=str(run.dataset),
        songs=songs,
        metrics=metrics,
        parameters=count_parameters(run.folder / "model.keras"),
        published=PUBLISHED_VALIDATION_ACCURACY.get(run.config.model)
        if run.labels == GTZAN_GENRES
        else None,
    )


def _summary(group: Sequence[RunMetrics]) -> SeedSummary:
    return SeedSummary(
        runs=tuple(run.run for run in group),
        model=group[0].model,
        protocol=group[0].protocol,
        seeds=tuple(run.seed for run in group),
        seed_statistics={
            name: SummaryStatistics.of([run.metrics[name] for run in group])
            for name in METRIC_NAMES
        },
    )
