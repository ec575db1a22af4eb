"""From a run folder to TFLite files, their cards and their reports."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pocketgenre import __version__
from pocketgenre.export.cards import accuracy_of, training_of
from pocketgenre.export.convert import Network, convert
from pocketgenre.export.edge_cases import difficult_segments
from pocketgenre.export.evaluate_files import GraphFeatures, InferenceSetup, Judge, hear
from pocketgenre.export.export_report import ExportReport
from pocketgenre.export.feature_graph import front_graph
from pocketgenre.export.layer_errors import layer_errors
from pocketgenre.export.measurements import probe_elsewhere
from pocketgenre.export.metadata import with_metadata
from pocketgenre.export.operations import op_names
from pocketgenre.export.prediction_parity import (
    FeatureParity,
    LabelParity,
    compare_features,
    compare_labels,
)
from pocketgenre.export.representative_data import calibration_segments, typical
from pocketgenre.export.variants import Form
from pocketgenre.features import compute_features
from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.model_card import ModelCard, model_hash
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.librosa_features import librosa_features
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.evaluation.calibration import fit_temperature
from pocketgenre.training.evaluation.run_evaluation import load_heldout
from pocketgenre.training.models.checkpoints import load_network
from pocketgenre.training.models.keras_trainer import predict
from pocketgenre.training.models.networks import MUSICNN
from pocketgenre.training.runs import HeldOutPredictions, Run

LICENCES = {MUSICNN: "Apache-2.0 AND ISC"}
"""Of weights that were not learned here alone, by network."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Step = Callable[[], None]


@dataclass(frozen=True)
class Export:
    """A converted network, its card and its report."""

    model: bytes
    card: ModelCard
    report: ExportReport


@dataclass(frozen=True)
class Exporter:
    """Exports one run.

    Attributes
    ----------
    run : the trained run
    dataset : what it was trained on; its audio must be there
    representative : number of calibration segments
    other_python : another environment's Python whose TFLite runtime is probed too, if any

    Raises
    ------
    DataError
        the data set is not the one that the run was trained on, or no longer.
    """

    run: Run
    dataset: Dataset
    representative: int = 200
    other_python: Path | None = None

    def __post_init__(self) -> None:
        _ = self._parts  # before any work: what doesn't fit is refused

    def steps(self, forms: Sequence[Form]) -> int:
        """How often :meth:`export` calls its ``on_step``."""
        networks = 1 + len(self._parts)
        return len(forms) * networks + len(self.dataset.songs)

    def export(self, forms: Sequence[Form], on_step: Step) -> list[Export | DataError]:
        """Convert the run's network into each form, and check the files against it.

        With folds, the network of each fold is converted as well, with the same settings, and
        asked about the songs that it was not trained on: the figures that the card carries.

        Parameters
        ----------
        forms : the forms of the files
        on_step : called after each conversion and each song of the check, for a progress bar

        Returns
        -------
        list
            for each form its file, or why there is none

        Raises
        ------
        DataError
            the audio is gone or has changed.
        """
        model = self._network(self.run.folder / "model.keras")
        parts = self._parts
        made = [self._convert(model, parts, form, on_step) for form in forms]
        judges = [judge for judging in made if isinstance(judging, list) for judge in judging]
        in_graph = GraphFeatures(_front_alone(self.run.feature_config))
        hearing = hear(self.dataset, judges, in_graph, on_step)
        answers = iter(hearing.probabilities)
        features = self._feature_parity(hearing, in_graph)
        kept = predict(model, self.dataset, self._everything)
        exports: list[Export | DataError] = []
        for form, judging in zip(forms, made, strict=True):
            if isinstance(judging, DataError):
                exports.append(judging)
                continue
            labels = self._label_parity(kept, parts, [next(answers) for _ in judging])
            card = replace(judging[0].card, accuracy=accuracy_of(self.run, labels[1]))
            report = self._report(form, judging[0].model, card, features, labels)
            if not report.holds:
                calibration, _ = self._calibration(model, self._everything)
                errors = layer_errors(model, calibration, form)
                report = replace(report, layers=errors)
            exports.append(Export(judging[0].model, card, report))
        return exports

    @property
    def _everything(self) -> IntArray:
        return np.arange(len(self.dataset.segment_songs))

    @cached_property
    def _parts(self) -> list[HeldOutPredictions]:
        return load_heldout(self.run, self.dataset)

    @cached_property
    def _training(self) -> dict[str, Any]:
        return training_of(self.run, self.dataset, self._temperature)

    @cached_property
    def _temperature(self) -> float:
        segments = np.concatenate([part.segments for part in self._parts])
        probabilities = np.concatenate([part.probabilities for part in self._parts])
        return fit_temperature(probabilities, self.dataset.segment_targets[segments])

    def _network(self, path: Path) -> keras.Model:
        """A trained network, its logits divided by the run's temperature."""
        model = load_network(path)
        head = model.layers[-1]
        head.set_weights([weights / self._temperature for weights in head.get_weights()])
        return model

    def _convert(
        self, model: keras.Model, parts: list[HeldOutPredictions], form: Form, on_step: Step
    ) -> list[Judge] | DataError:
        """The kept network's file and each part's, with what they are asked about."""
        everything = self._everything
        try:
            judges = [self._judge(model, everything, everything, form)]
            on_step()
            for part in parts:
                heard = np.setdiff1d(everything, part.segments)
                judges.append(self._judge(self._network(part.model), heard, part.segments, form))
                on_step()
        except DataError as error:
            return error
        return judges

    def _judge(self, model: keras.Model, heard: IntArray, asked: IntArray, form: Form) -> Judge:
        feature_config = self.run.feature_config
        calibration, others = self._calibration(model, heard)
        tflite = convert(model, feature_config, calibration, form, others)
        card = self._card(model, form)
        tflite = with_metadata(tflite, form, card, __version__)
        return Judge(tflite, replace(card, sha256=model_hash(tflite)), asked)

    def _calibration(self, model: keras.Model, heard: IntArray) -> tuple[FloatArray, FloatArray]:
        """What sets the ranges: of twice as many segments the more typical; and all of these."""
        seed = self.run.config.seed
        drawn = calibration_segments(self.dataset, heard, 2 * self.representative, seed)
        features, genres = self.dataset.features[drawn], self.dataset.segment_targets[drawn]
        network = Network.of(model)
        usual = typical(network.core, network.standardized(features), genres)
        return features[usual], features

    def _feature_parity(
        self, hearing: InferenceSetup, in_graph: GraphFeatures
    ) -> dict[str, FeatureParity]:
        """Both front ends against librosa's, on difficult segments and on all of the data set."""
        feature_config = self.run.feature_config
        difficult = difficult_segments(feature_config)
        librosas = np.stack([librosa_features(s, feature_config) for s in difficult.values()])
        of_songs = np.asarray(self.dataset.features)
        owners = [self.dataset.songs[song].name for song in self.dataset.segment_songs]
        made: dict[str, tuple[Callable[[FloatArray], FloatArray], FloatArray]] = {
            "NumPy": (lambda s: compute_features(s, feature_config), hearing.numpy_features),
            "in the graph": (in_graph, hearing.graph_features),
        }
        parity = {}
        for where, (compute, features) in made.items():
            ours = np.stack([compute(samples) for samples in difficult.values()])
            parity[f"{where}, difficult ones"] = compare_features(list(difficult), ours, librosas)
            parity[f"{where}, all of the data set"] = compare_features(owners, features, of_songs)
        return parity

    def _label_parity(
        self, kept: FloatArray, parts: list[HeldOutPredictions], by_file: list[FloatArray]
    ) -> list[LabelParity]:
        folds = f"the {len(parts)} folds' networks" if self.run.config.folds else "the network kept"
        meaning = PROTOCOLS[self.run.config.protocol]
        return [
            compare_labels(
                "the network kept, on all songs", self.dataset, self._everything, kept, by_file[0]
            ),
            compare_labels(
                f"{folds}, on what each was not trained on ({meaning})",
                self.dataset,
                np.concatenate([part.segments for part in parts]),
                np.concatenate([part.probabilities for part in parts]),
                np.concatenate(by_file[1:]),
            ),
        ]

    def _report(
        self,
        form: Form,
        tflite: bytes,
        card: ModelCard,
        features: dict[str, FeatureParity],
        labels: list[LabelParity],
    ) -> ExportReport:
        pythons = [Path(sys.executable), *([self.other_python] if self.other_python else [])]
        return ExportReport(
            model=card.name,
            sha256=card.sha256,
            size=len(tflite),
            form=form,
            ops=op_names(tflite),
            calibration=f"the more typical half of {2 * self.representative} segments, evenly by"
            f" genre, seed {self.run.config.seed}",
            probes=probe_elsewhere(tflite, card, pythons),
            features={
                name: parity
                for name, parity in features.items()
                if form.input == "waveform" or "graph" not in name
            },
            labels=labels,
        )

    def _card(self, model: keras.Model, form: Form) -> ModelCard:
        run = self.run
        return ModelCard(
            name=run.config.model,
            labels=run.labels,
            feature_config=run.feature_config,
            sha256="",
            input=form.input,
            standardization=_standardization(model) if form.io == "int8" else None,
            licence=LICENCES.get(run.config.model, "Apache-2.0"),
            training=self._training,
        )


def _standardization(model: keras.Model) -> dict[str, list[float]]:
    network = Network.of(model)
    return {"mean": network.mean.tolist(), "deviation": network.deviation.tolist()}


def _front_alone(feature_config: FeatureConfig) -> bytes:
    """The graph of the front end without the standardisation."""
    nothing = np.zeros(feature_config.n_coefficients, np.float32)
    return front_graph("waveform", feature_config, mean=nothing, deviation=nothing + 1)
