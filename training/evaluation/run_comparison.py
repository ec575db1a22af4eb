"""Runs side by side, and what differs only by chance: the seed."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py

from pocketgenre.training.data.songs import DataError
from pocketgenre.training.evaluation.evaluation import protocol_warnings, recorded_figures
from pocketgenre.training.evaluation.evaluation_page import FIGURES, markdown_table, warning_lines
from pocketgenre.training.evaluation.figures import Spread
from pocketgenre.training.evaluation.published import (
    PUBLISHED_CONDITIONS,
    PUBLISHED_VALIDATION_ACCURACY,
)
from pocketgenre.training.runs import Run

_WEIGHTS = "model.weights.h5"
_LARGEST_WEIGHTS = 256 << 20  # bytes, with the optimiser's memory; this project's have up to 3 MB


@dataclass(frozen=True)
class RunFigures:
    """One run's row.

    Attributes
    ----------
    run : name of its folder, or the folder where two have the same name
    model, protocol, folds, epochs, seed : as configured
    warnings : what must be said beside its figures
    dataset : folder of the data set
    songs : how many were judged
    figures : by the keys of :data:`pocketgenre.training.evaluation.evaluation_page.FIGURES`, shares in [0, 1]
    parameters : numbers that the network holds; None where its file doesn't tell
    published : published validation accuracy of the same network, where there is one
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
    figures: dict[str, float]
    parameters: int | None
    published: float | None


@dataclass(frozen=True)
class SeedSummary:
    """Runs that differ in their seed alone, and how far their figures lie apart."""

    runs: tuple[str, ...]
    model: str
    protocol: str
    seeds: tuple[int, ...]
    spread: dict[str, Spread]


@dataclass(frozen=True)
class Comparison:
    """Runs in the order named, and those of them that differ in their seed alone."""

    runs: tuple[RunFigures, ...]
    across_seeds: tuple[SeedSummary, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be said beside the whole."""
        by_warning: dict[str, list[str]] = {}
        for run in self.runs:
            for warning in run.warnings:
                by_warning.setdefault(warning, []).append(run.run)
        found = [f"{', '.join(runs)}: {warning}" for warning, runs in by_warning.items()]
        if len({run.dataset for run in self.runs}) > 1:
            found.append("The runs were trained and judged on different data sets.")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "format": 1,
            "warnings": self.warnings,
            "published_conditions": PUBLISHED_CONDITIONS,
            **asdict(self),
            # The name alone: where a data set stands on somebody's disk is nobody's business.
            "runs": [{**asdict(run), "dataset": Path(run.dataset).name} for run in self.runs],
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Put finished runs side by side, by the figures they were saved with.

    Raises
    ------
    DataError
        a run is named twice, or its figures can't be read.
    """
    folders = [run.folder.resolve() for run in runs]
    if len(set(folders)) < len(folders):
        raise DataError("A run is named twice; name each once.")
    names = [folder.name for folder in folders]
    rows = [
        _figures(run, name if names.count(name) == 1 else str(run.folder))
        for run, name in zip(runs, names, strict=True)
    ]
    alike: dict[str, list[RunFigures]] = {}
    for run, row in zip(runs, rows, strict=True):
        same = {**asdict(run.config), "seed": None, "dataset": str(run.dataset)}
        alike.setdefault(json.dumps([same, run.labels]), []).append(row)
    return Comparison(
        tuple(rows),
        tuple(_summary(group) for group in alike.values() if len({r.seed for r in group}) > 1),
    )


def count_parameters(model: Path) -> int | None:
    """How many numbers a ``.keras`` file's network holds, read without starting TensorFlow.

    Statistics of batch normalisation count, the optimiser's memory doesn't: the same as
    ``keras.Model.count_params``.

    Returns
    -------
    None where the file is none that Keras 3 wrote

    Raises
    ------
    DataError
        its weights are larger than any that this project trains.
    """
    try:
        with zipfile.ZipFile(model) as archive:
            size = archive.getinfo(_WEIGHTS).file_size
            if size > _LARGEST_WEIGHTS:
                raise DataError(
                    f"{model} unpacks to {size >> 20} MB, more than the {_LARGEST_WEIGHTS >> 20}"
                    " MB that a network may have here; leave its run out."
                )
            weights = archive.read(_WEIGHTS)
        sizes: list[int] = []
        with h5py.File(io.BytesIO(weights)) as file:
            file["layers"].visititems(
                lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None
            )
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile):
        return None
    return sum(sizes)


def comparison_page(comparison: Comparison) -> str:
    """The content of ``comparison.md``, beside which the picture stands."""
    lines = ["# Comparison of runs", "", *warning_lines(comparison.warnings)]
    columns = ["run", "network", "protocol", "folds", "epochs", "seed", *FIGURES.values()]
    columns += ["parameters", "published"]
    rows = [
        [
            run.run,
            run.model,
            f"{run.protocol} (LEAKS)" if run.warnings else run.protocol,
            str(run.folds or "-"),
            str(run.epochs),
            str(run.seed),
            *(f"{run.figures[name]:.1%}" for name in FIGURES),
            f"{run.parameters:,}" if run.parameters else "-",
            f"{run.published:.1%}" if run.published else "-",
        ]
        for run in comparison.runs
    ]
    lines += [markdown_table(columns, rows, text_columns=3), ""]
    lines += [f"In the last column: {PUBLISHED_CONDITIONS}.", ""]
    if comparison.across_seeds:
        lines += ["## Across seeds", ""]
        lines += ["Mean ± standard deviation of runs that differ in their seed alone.", ""]
        rows = [
            [
                group.model,
                f"{group.protocol} (LEAKS)"
                if protocol_warnings(group.protocol)
                else group.protocol,
                ", ".join(map(str, group.seeds)),
                *(
                    f"{group.spread[name].mean:.1%} ± {group.spread[name].deviation:.1%}"
                    for name in FIGURES
                ),
            ]
            for group in comparison.across_seeds
        ]
        columns = ["network", "protocol", "seeds", *FIGURES.values()]
        lines += [markdown_table(columns, rows, text_columns=3), ""]
    return "\n".join(lines)


def _figures(run: Run, name: str) -> RunFigures:
    figures = recorded_figures(run, (*FIGURES, "songs"))
    songs = int(figures.pop("songs"))
    return RunFigures(
        run=name,
        model=run.config.model,
        protocol=run.config.protocol,
        folds=run.config.folds,
        epochs=run.config.epochs,
        seed=run.config.seed,
        warnings=protocol_warnings(run.config.protocol),
        dataset=str(run.dataset),
        songs=songs,
        figures=figures,
        parameters=count_parameters(run.folder / "model.keras"),
        published=PUBLISHED_VALIDATION_ACCURACY.get(run.config.model),
    )


def _summary(group: Sequence[RunFigures]) -> SeedSummary:
    return SeedSummary(
        runs=tuple(run.run for run in group),
        model=group[0].model,
        protocol=group[0].protocol,
        seeds=tuple(run.seed for run in group),
        spread={name: Spread.of([run.figures[name] for run in group]) for name in FIGURES},
    )
